"""How much there is."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from ckanext.external_storage import model

_package = sa.table("package", sa.column("id"), sa.column("owner_org"))
_group = sa.table("group", sa.column("id"), sa.column("name"))


def summary(engine: sa.Engine, organizations: int) -> dict[str, Any]:
    """Objects, links, uploads by state, dead keys, the *organizations* that keep most. Sizes are bytes."""
    o, link, upload, dead = model.object.c, model.link.c, model.upload.c, model.dead_key
    number = sa.func.count()
    with engine.connect() as connection:
        objects = connection.execute(sa.select(number, _sum(o.size))).one()
        linked = connection.execute(
            sa.select(number, _sum(o.size)).join_from(model.link, model.object, link.oid == o.oid)
        ).one()
        states = connection.execute(
            sa.select(upload.state, number, _sum(upload.declared_size)).group_by(upload.state)
        )
        uploads = {state: {"count": count, "bytes": int(size)} for state, count, size in states}
        dead_keys = connection.execute(sa.select(number).select_from(dead)).scalar_one()
        largest = [
            {"id": id, "name": name, "objects": count, "bytes": int(size)}
            for id, name, count, size in connection.execute(_by_organization().limit(organizations))
        ]
    return {
        "objects": {"count": objects[0], "bytes": int(objects[1])},
        "links": {"count": linked[0], "bytes": int(linked[1])},
        "uploads": uploads,
        "dead_keys": dead_keys,
        "organizations": largest,
    }


def _by_organization() -> sa.Select[Any]:
    """Each object once for each organisation, as quotas count (`quota`); NULL for datasets without one."""
    o, link, p, g = model.object.c, model.link.c, _package.c, _group.c
    each = (
        sa.select(p.owner_org, link.oid).join_from(_package, model.link, link.package_id == p.id).distinct()
    ).subquery()
    size = sa.func.sum(o.size)
    return (
        sa.select(each.c.owner_org, g.name, sa.func.count(), size)
        .select_from(each)
        .join(model.object, o.oid == each.c.oid)
        .join(_group, g.id == each.c.owner_org, isouter=True)
        .group_by(each.c.owner_org, g.name)
        .order_by(size.desc())
    )


def _sum(column: Any) -> Any:
    return sa.func.coalesce(sa.func.sum(column), 0)
