"""Create the sysadmin and an API token for it: all that cannot be done over HTTP, in one start of CKAN.

Run as `python -m demo.sysadmin NAME`, with the password on standard input; prints the token as its last line.
"""

from __future__ import annotations

import os
import sys

from ckan import model
from ckan.cli import load_config
from ckan.config.environment import load_environment
from ckan.plugins import toolkit as tk


def main(name: str, password: str) -> None:
    load_environment(load_config(os.environ["CKAN_INI"]))
    user = model.User.get(name)
    if user is None:
        user = model.User(name=name, email=f"{name}@localhost.localdomain")
        model.Session.add(user)
    user.sysadmin = True
    user.password = password
    model.Session.commit()
    token = tk.get_action("api_token_create")({"ignore_auth": True}, {"user": name, "name": "demo"})
    print(token["token"])


if __name__ == "__main__":
    main(sys.argv[1], sys.stdin.read().strip())
