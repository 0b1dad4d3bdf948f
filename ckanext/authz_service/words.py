"""What a token opens, for people."""

from __future__ import annotations

import ckantoolkit as tk

from ckanext.authz_service import config
from ckanext.authz_service.scope import Scope


def opens(scope: str) -> str:
    """A sentence about one scope of a token: what it is about, and what it allows there."""
    parsed = Scope.from_string(scope)
    about = _about(parsed)
    if parsed.subscope:
        about = tk._("{entity}, the part “{part}”").format(entity=about, part=parsed.subscope)
    words = _actions()
    actions = [words.get(action, action) for action in sorted(parsed.actions or ())]
    return tk._("{entity}: {actions}").format(entity=about, actions=", ".join(actions))


def opened_at(audience: str | None) -> str:
    """Which servers a token is for."""
    if audience is None:
        return tk._("every service that trusts this site")
    if audience == config.lfs_audience():
        return tk._("this site's file store")
    return audience


def _about(scope: Scope) -> str:
    ref = scope.entity_id
    # Whole sentences, and not a word for each type, since languages put such parts together differently.
    if ref is None:
        everything = {
            "ds": tk._("All datasets"),
            "org": tk._("All organizations"),
            "res": tk._("All resources"),
        }
        return everything.get(scope.entity_type) or tk._("Everything of the kind “{kind}”").format(
            kind=scope.entity_type
        )
    container, _, last = ref.rpartition("/")
    everything_in = {
        "ds": tk._("All datasets in {ref}"),
        "res": tk._("All resources of {ref}"),
        "obj": tk._("All files of the dataset {ref}"),
    }
    one = {
        "ds": tk._("The dataset {ref}"),
        "org": tk._("The organization {ref}"),
        "res": tk._("The resource {ref}"),
        "obj": tk._("The file {ref}"),
    }
    if container and last in ("*", "") and scope.entity_type in everything_in:
        return everything_in[scope.entity_type].format(ref=container)
    known = one.get(scope.entity_type) or tk._("{kind} {ref}")
    return known.format(kind=scope.entity_type, ref=ref)


def _actions() -> dict[str, str]:
    return {
        "create": tk._("create"),
        "delete": tk._("delete"),
        "list": tk._("list"),
        "patch": tk._("change parts"),
        "purge": tk._("delete for good"),
        "read": tk._("read"),
        "update": tk._("change"),
        "write": tk._("add files"),
    }
