"""What a token costs: `authz_authorize` over HTTP, for scopes about as many datasets.

The peer is an action of the same site, called in the same way by the same user: it asks CKAN the same
permissions with `check_access` and signs one statement of them with the same key. One after another, on one
connection; the site serves from a process of its own.
"""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import requests

from bench import site
from bench.figure import Case, Contender, Figure, Goal, in_turn
from services.settings import Settings

#: Number of scopes → rounds.
ROUNDS = {1: 100, 10: 60, 100: 20}
WARM_UP = 5
OURS, PEER, CONTROL = "authz_authorize", "check_access, signature", "the same again"


def measure(chance: random.Random) -> Iterator[Case]:
    settings = Settings.load()
    assert settings
    with site.running(settings, "authz_service") as on, requests.Session() as http:
        on.call(make_key)
        url = on.call(serve)
        http.headers["Authorization"], datasets = on.call(create, max(ROUNDS))
        for count, rounds in ROUNDS.items():
            asked = [f"ds:{dataset}:read" for dataset in datasets[:count]]
            contenders: dict[str, Contender] = {
                OURS: partial(authorize, http, url, asked),
                PEER: partial(check_and_sign, http, url, datasets[:count]),
                CONTROL: partial(check_and_sign, http, url, datasets[:count]),
            }
            seconds = in_turn(contenders, rounds, WARM_UP, chance)
            counts = {}
            for name, work in contenders.items():
                before = on.call(statements)
                work()
                per_second = round(len(seconds[name]) / sum(seconds[name]), 1)
                counts[name] = {"per second": per_second, "SQL": on.call(statements) - before}
            yield Case(f"{count} scope{'s' * (count > 1)}", seconds, counts)


def authorize(http: requests.Session, url: str, scopes: list[str]) -> float:
    seconds, answer = post(http, url, "authz_authorize", {"scopes": scopes})
    assert answer["granted_scopes"] == scopes
    return seconds


def check_and_sign(http: requests.Session, url: str, datasets: list[str]) -> float:
    seconds, answer = post(http, url, "bench_check_and_sign", {"datasets": datasets})
    assert answer["allowed"] == datasets
    return seconds


def post(http: requests.Session, url: str, action: str, data: dict[str, Any]) -> tuple[float, Any]:
    started = time.perf_counter()
    response = http.post(f"{url}/api/3/action/{action}", json=data)
    seconds = time.perf_counter() - started
    assert response.ok, response.text
    return seconds, response.json()["result"]


# --- in the site -------------------------------------------------------------------------------------------

_statements = 0


def make_key() -> None:
    from ckan.plugins import toolkit as tk

    from ckanext.authz_service import keys

    keys.generate(Path(tk.config["ckanext.authz_service.keys_dir"]), "RS256")


def serve() -> str:
    """Serve this site over HTTP and count its SQL statements; the base URL."""
    from ckan import logic, model
    from sqlalchemy import event

    def count(*rest: Any) -> None:
        global _statements
        _statements += 1

    logic.get_action("authz_authorize")  # builds the table of actions
    logic._actions["bench_check_and_sign"] = peer
    event.listen(model.meta.engine, "before_cursor_execute", count)
    return site.serve()


def statements() -> int:
    """How many were sent so far."""
    return _statements


def create(datasets: int) -> tuple[str, list[str]]:
    """An editor's API token, and the ids of private datasets that they may read."""
    from ckan.plugins import toolkit as tk

    site_user = tk.get_action("get_site_user")({"ignore_auth": True}, {})["name"]
    unique = uuid.uuid4().hex

    def call(action: str, **data: Any) -> dict[str, Any]:
        return tk.get_action(action)({"ignore_auth": True, "user": site_user}, data)

    user = call("user_create", name=f"u-{unique}", email=f"{unique}@example.org", password=unique)
    members = [{"name": user["name"], "capacity": "editor"}]
    organization = call("organization_create", name=f"o-{unique}", users=members)
    ids = [
        call("package_create", name=f"d-{unique}-{number}", private=True, owner_org=organization["id"])["id"]
        for number in range(datasets)
    ]
    return call("api_token_create", user=user["name"], name="bench")["token"], ids


def peer(context: Any, data_dict: dict[str, Any]) -> dict[str, Any]:
    """An action: the user's permissions asked one by one, and one signature."""
    import jwt
    from ckan.plugins import toolkit as tk

    from ckanext.authz_service import config

    for dataset in data_dict["datasets"]:
        # With the account, as ours has it too: without it, each check would look it up.
        asking: Any = {"user": context["user"], "auth_user_obj": context["auth_user_obj"]}
        tk.check_access("package_show", asking, {"id": dataset})
    now = int(time.time())
    claims = {
        "iss": tk.config["ckan.site_url"],
        "sub": context["user"],
        "iat": now,
        "exp": now + 900,
        "scopes": [f"ds:{dataset}:read" for dataset in data_dict["datasets"]],
    }
    key = config.signing_key()
    token = jwt.encode(claims, key.key, algorithm=key.algorithm, headers={"kid": key.kid})
    return {"token": token, "allowed": data_dict["datasets"]}


FIGURE = Figure(
    what="authz_authorize over HTTP, a dataset for each scope, and the same permissions asked directly",
    ours=OURS,
    peer=PEER,
    control=CONTROL,
    goal=Goal(1.5),
    measure=measure,
)
