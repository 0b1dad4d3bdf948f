# ckantoolkit hands on CKAN's own toolkit at run time, which type checkers cannot see.
from ckan.plugins.toolkit import *
from ckan.plugins.toolkit import _ as _
from ckan.plugins.toolkit import auth_sysadmins_check as auth_sysadmins_check
