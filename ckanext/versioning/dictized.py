"""A dataset as it is in the database, in CKAN's dictized form, for less than it costs core.

The dict is the one that core's `package_dictize` gives with ``for_edit`` and ``include_plugin_data``. Core
asks the database for each part of a dataset, here one statement asks for all, in every save. Only a
dataset's groups are left to core: their images are wherever the site keeps them.

A core that puts more into the dict than the versions known here is noticed, and then left to do all of it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import sqlalchemy as sa
from ckan import model
from ckan.lib import dictization
from ckan.lib.dictization import model_dictize
from sqlalchemy.dialects import postgresql

log = logging.getLogger(__name__)

#: On CKAN 2.11 extras have a table of their own, later they are a column of the dataset.
_EXTRAS: Any = getattr(model, "package_extra_table", None)
_PACKAGE, _RESOURCE, _TAG, _GROUP = (
    model.package_table,
    model.resource_table,
    model.tag_table,
    model.group_table,
)
_TAGGED, _MEMBER, _RELATION = model.package_tag_table, model.member_table, model.package_relationship_table


_MORE = (
    "The package_dictize of this CKAN gives keys that the versioning plugin does not expect: %s. They are "
    "recorded too, but each save takes a little longer than it could. Please tell the plugin's authors."
)


class _Core:
    """What core's dict has that ours has not; None until a dataset was read by this process."""

    more: set[str] | None = None


def read(session: Any, package_id: str) -> tuple[Any, dict[str, Any]]:
    """The dataset, which exists, as *session*'s transaction sees it: object and dict.

    The object is the session's own, read again. `model.Session` must be *session*.
    """
    row = session.execute(_DATASET, {"of": package_id}).one()
    dataset = _dict(row, session)
    if _Core.more is None:
        _Core.more = set(_keys(cores_own(session, row.Package))) - set(_keys(dataset))
        if _Core.more:
            log.warning(_MORE, ", ".join(sorted(_Core.more)))
    return row.Package, cores_own(session, row.Package) if _Core.more else dataset


def cores_own(session: Any, package: Any) -> dict[str, Any]:
    """What core gives for the session's object, which must be up to date."""
    return model_dictize.package_dictize(package, _context(session), include_plugin_data=True)


def _context(session: Any) -> Any:
    return {"model": model, "session": session, "user": "", "ignore_auth": True, "for_edit": True}


def _keys(dataset: dict[str, Any]) -> Iterator[str]:
    """All keys: of the dataset, and of what it has many of, like ``tags.name``."""
    for key, value in dataset.items():
        yield key
        if isinstance(value, list):
            yield from (f"{key}.{inner}" for item in value for inner in item)


def _dict(row: Any, session: Any) -> dict[str, Any]:
    package, context = row.Package, _context(session)
    dataset = dictization.table_dictize(package, context)
    if dataset["title"]:
        dataset["title"] = dataset["title"].strip()
    resources = [_resource(columns) for columns in row.resources or ()]
    dataset["resources"] = sorted(resources, key=lambda resource: resource["position"])
    dataset["num_resources"] = len(resources)
    tags = [{**tag, "display_name": tag["name"]} for tag in row.tags or ()]
    dataset["tags"] = sorted(tags, key=lambda tag: tag["name"])
    dataset["num_tags"] = len(tags)
    if _EXTRAS is None:
        dataset["extras"] = [{"key": key, "value": value} for key, value in (dataset["extras"] or {}).items()]
    else:
        dataset["extras"] = sorted(row.extras or (), key=lambda extra: extra["key"])
    dataset["groups"] = _groups(package.id, context) if row.in_groups else []
    dataset["organization"] = _typed(_GROUP, row.organization[0]) if row.organization else None
    if _EXTRAS is None and dataset["organization"]:
        del dataset["organization"]["extras"]
    for role in ("subject", "object"):
        dataset[f"relationships_as_{role}"] = [
            r for r in row.relationships or () if r[f"{role}_package_id"] == package.id
        ]
    dataset["isopen"] = package.isopen()
    dataset["type"] = package.type or "dataset"
    license = package.license
    dataset["license_title"] = license.title if license else package.license_id
    if license and license.url:
        dataset["license_url"] = license.url
        dataset["license_title"] = license.title.split("::")[-1]
    return dataset


def _resource(columns: dict[str, Any]) -> dict[str, Any]:
    resource = _typed(_RESOURCE, columns)
    resource.update(resource.pop("extras") or {})
    return resource


def _groups(package_id: str, context: Any) -> list[dict[str, Any]]:
    found = context["session"].execute(_GROUPS, {"of": package_id})
    return model_dictize.group_list_dictize(found, context, with_package_counts=False)


def _typed(table: Any, columns: dict[str, Any]) -> dict[str, Any]:
    """What core gives for the values in *columns*, which are as PostgreSQL writes them in JSON."""
    for name, convert in _CONVERTERS[table]:
        columns[name] = convert(columns[name])
    return columns


def _converter(type: Any) -> Callable[[Any], Any] | None:
    if isinstance(type, sa.DateTime):
        return _isoformat
    if isinstance(type, sa.types.TypeDecorator):  # core's type for JSON in a text
        return partial(type.process_result_value, dialect=postgresql.dialect())
    return None


def _isoformat(time: str | None) -> str | None:
    # PostgreSQL leaves out zeros at the end of a fraction; Python writes six digits, or none at all.
    return time.ljust(len("2026-05-01T12:00:00.000000"), "0") if time and "." in time else time


_CONVERTERS: dict[Any, list[tuple[str, Callable[[Any], Any]]]] = {
    table: [(c.name, convert) for c in table.c if (convert := _converter(c.type))]
    for table in (_RESOURCE, _GROUP)
}


def _rows(table: Any, condition: Any, *more: Any) -> Any:
    """The rows as one JSON array of objects, NULL for none, with *more* columns than those of *table*."""
    # Not by its type: with core's type for JSON in a text, no statement is compiled only once.
    columns = [
        sa.column(c.name, sa.Text) if isinstance(c.type, sa.types.TypeDecorator) else c for c in table.c
    ]
    rows = sa.select(*columns, *more).select_from(table).where(condition).subquery()
    return sa.select(sa.func.json_agg(rows.table_valued())).scalar_subquery()


def _dataset_query() -> Any:
    of = sa.bindparam("of")
    parts = {
        "resources": _rows(_RESOURCE, (_RESOURCE.c.package_id == of) & (_RESOURCE.c.state == "active")),
        "tags": _rows(
            _TAG,
            (_TAG.c.id == _TAGGED.c.tag_id) & (_TAGGED.c.package_id == of) & (_TAGGED.c.state == "active"),
            _TAGGED.c.state,
        ),
        "organization": _rows(
            _GROUP,
            (_GROUP.c.id == sa.select(_PACKAGE.c.owner_org).where(_PACKAGE.c.id == of).scalar_subquery())
            & (_GROUP.c.state == "active"),
        ),
        "relationships": _rows(
            _RELATION,
            sa.or_(_RELATION.c.subject_package_id == of, _RELATION.c.object_package_id == of)
            & (_RELATION.c.state == "active"),
        ),
        "in_groups": sa.exists().where(
            _MEMBER.c.table_id == of,
            _MEMBER.c.state == "active",
            _GROUP.c.id == _MEMBER.c.group_id,
            _GROUP.c.is_organization.is_(False),
        ),
    }
    if _EXTRAS is not None:
        parts["extras"] = _rows(_EXTRAS, (_EXTRAS.c.package_id == of) & (_EXTRAS.c.state == "active"))
    columns = [part.label(name) for name, part in parts.items()]
    # Read anew even if the session has it: another transaction may have committed since.
    query = sa.select(model.Package, *columns).where(_PACKAGE.c.id == of)
    return query.execution_options(populate_existing=True)


# Made once: putting them together takes longer than running them.
_DATASET = _dataset_query()
_GROUPS = (
    sa.select(_GROUP, _MEMBER.c.capacity)
    .join(_MEMBER, _GROUP.c.id == _MEMBER.c.group_id)
    .where(
        _MEMBER.c.table_id == sa.bindparam("of"),
        _MEMBER.c.state == "active",
        _GROUP.c.is_organization.is_(False),
    )
)
