"""For servers: ``CKAN_INI=… gunicorn ckanext.external_storage.wsgi:app`` (see standalone.py)."""

from __future__ import annotations

import os
from pathlib import Path

from ckanext.external_storage import standalone

if not os.environ.get("CKAN_INI"):
    raise RuntimeError("Set CKAN_INI to the site's configuration file.")
app = standalone.make_app(Path(os.environ["CKAN_INI"]))
