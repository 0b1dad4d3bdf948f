"""The site for gunicorn, whose threads serve requests side by side; `ckan run` serves one at a time."""

import os

from ckan.cli import load_config
from ckan.config.middleware import make_app

application = make_app(load_config(os.environ["CKAN_INI"]))
