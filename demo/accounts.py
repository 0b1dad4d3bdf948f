"""The demo's users and organisation, and .run/demo.json, which tells scripts how to use them."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from pathlib import Path
from typing import Any

from demo.client import Client, Refused
from demo.place import Place
from demo.site import Address
from services.checkout import LOG, ROOT, RUN, write_private
from services.progress import Failure

#: What scripts read: a copy of the running demo's own file of this name.
PATH = RUN / "demo.json"
ORG = "open-data-office"
#: Role in the story → user name. The editor edits ORG, the reader is in no organisation.
NAMES = {"sysadmin": "admin", "editor": "editor", "reader": "reader"}


def ensure(place: Place, address: Address) -> dict[str, Any]:
    """What demo.json says; users that are missing, or whose tokens work no more, are made or get new ones."""
    own = place.directory / PATH.name
    accounts = _saved(own, address) or _create(place, address)
    for path in (own, PATH):
        write_private(path, json.dumps({"url": address.url, "lfs": address.lfs, **accounts}, indent=2) + "\n")
    return accounts


def _saved(path: Path, address: Address) -> dict[str, Any] | None:
    try:
        saved = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return None
    try:
        for role, name in NAMES.items():
            # Only the user and a sysadmin may see this; a token that is not known makes an anonymous caller.
            Client(address.url, address.lfs, saved[role]["token"]).action("api_token_list", user=name)
    except (Refused, KeyError):
        return None
    return {key: saved[key] for key in ("org", *NAMES)}


def _create(place: Place, address: Address) -> dict[str, Any]:
    passwords = {role: secrets.token_urlsafe(12) for role in NAMES}
    tokens = {"sysadmin": _sysadmin(place, passwords["sysadmin"])}
    sysadmin = Client(address.url, address.lfs, tokens["sysadmin"])
    for role in ("editor", "reader"):
        _user(sysadmin, NAMES[role], passwords[role])
        tokens[role] = sysadmin.action("api_token_create", user=NAMES[role], name="demo")["token"]
    if not _exists(sysadmin, "organization_show", ORG):
        sysadmin.action(
            "organization_create",
            name=ORG,
            title="Open Data Office",
            description="Publishes what the demo shows.",
        )
    sysadmin.action("organization_member_create", id=ORG, username=NAMES["editor"], role="editor")
    users = {
        role: {"name": name, "password": passwords[role], "token": tokens[role]}
        for role, name in NAMES.items()
    }
    return {"org": ORG, **users}


def _user(sysadmin: Client, name: str, password: str) -> None:
    if _exists(sysadmin, "user_show", name):
        sysadmin.action("user_patch", id=name, password=password)
    else:
        sysadmin.action(
            "user_create",
            name=name,
            email=f"{name}@localhost.localdomain",
            password=password,
            fullname=f"The {name}",
        )


def _exists(sysadmin: Client, show: str, name: str) -> bool:
    try:
        sysadmin.action(show, id=name)
    except Refused as refused:
        if refused.status == 404:
            return False
        raise
    return True


def _sysadmin(place: Place, password: str) -> str:
    log = LOG / "demo-sysadmin.log"
    with log.open("w") as errors:
        created = subprocess.run(
            [sys.executable, "-m", "demo.sysadmin", NAMES["sysadmin"]],
            cwd=ROOT,
            env={**os.environ, "CKAN_INI": str(place.ini)},
            input=password,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            check=False,
        )
    if created.returncode:
        raise Failure("The sysadmin could not be created.", "the traceback above shows why.", log)
    return created.stdout.splitlines()[-1]
