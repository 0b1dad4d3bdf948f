"""The site for gunicorn, on the configuration that ``CKAN_INI`` names."""

import os
import sys

search_path = list(sys.path)
from ckan.cli import load_config  # noqa: E402
from ckan.config.middleware import make_app  # noqa: E402

sys.path[:] = search_path  # CKAN has put its own directory first, whose `tests` would hide ours
app = make_app(load_config(os.environ["CKAN_INI"]))
