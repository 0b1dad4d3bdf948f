"""A dataset as it was before the plugins came: CKAN's own FileStore holds its file.

Run as `python -m demo.before NAME FILE ORG USER` with CKAN_INI set to an ini file without our plugins.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from ckan import model
from ckan.cli import load_config
from ckan.config.middleware import make_app
from ckan.plugins import toolkit as tk
from werkzeug.datastructures import FileStorage


def main(name: str, path: Path, org: str, user: str) -> None:
    app: Any = make_app(load_config(os.environ["CKAN_INI"]))
    with app._wsgi_app.test_request_context():
        context: Any = {"ignore_auth": True, "user": user}
        if model.Package.get(name) is None:
            title = "Uploaded before the plugins came"
            tk.get_action("package_create")(context.copy(), {"name": name, "title": title, "owner_org": org})
            with path.open("rb") as stream:
                given = {"package_id": name, "name": path.stem, "upload": FileStorage(stream, path.name)}
                tk.get_action("resource_create")(context.copy(), given)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3], sys.argv[4])
