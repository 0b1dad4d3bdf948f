"""What a caller may do with one dataset."""

from __future__ import annotations

from dataclasses import dataclass

from ckanext.authz_service.tokens import VerifiedToken
from ckanext.external_storage.lfs.site import Judgement


@dataclass(frozen=True)
class Access:
    """The objects of one dataset that a caller may touch.

    ``write``: the caller may update the dataset, which includes reading all that is linked to it.
    ``read_current``: every file of the resources as they are now. ``read_oids``: these, whatever their age.
    ``visible``: the dataset itself is theirs to see, whatever its files. ``jti``: id of the token that opens
    them.
    """

    user_id: str | None
    jti: str
    write: bool = False
    read_current: bool = False
    read_oids: frozenset[str] = frozenset()
    visible: bool = False

    def __bool__(self) -> bool:
        return self.visible or self.write or self.read_current or bool(self.read_oids)


def by_token(token: VerifiedToken, package_id: str) -> Access:
    """What *token* opens on the dataset *package_id*.

    Only scopes that the token binds to this id (claim ``refs``) count, so a name taken over later opens
    nothing. ``update`` is the older name of ``write``. Anonymous callers cannot write.
    """
    write = read_current = False
    read_oids = set()
    for scope in token.scopes:
        # A part of an object is nothing this server knows; it must not be taken for the whole.
        if (scope.entity_type, scope.subscope) != ("obj", None):
            continue
        if token.refs.get(str(scope)) != package_id:
            continue
        target = (scope.entity_id or "").rpartition("/")[2]
        actions = scope.actions or frozenset()
        if target == "*":
            write = write or not actions.isdisjoint(("write", "update"))
            read_current = read_current or "read" in actions
        elif "read" in actions:
            read_oids.add(target)
    return Access(
        token.user_id, token.jti, write and token.user_id is not None, read_current, frozenset(read_oids)
    )


def by_judgement(user_id: str | None, jti: str, judgement: Judgement) -> Access:
    """What CKAN lets this user do. Anonymous callers cannot write, whatever the site's auth functions say:
    an upload belongs to somebody."""
    write = judgement.write and user_id is not None
    return Access(user_id, jti, write, read_oids=judgement.readable, visible=judgement.read)
