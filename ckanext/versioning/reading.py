"""A dataset as it was in a revision, shown the way `package_show` shows it now.

What was recorded is what is in the database before the show schema. The later half of core's
`package_show` (`ckan/logic/action/get.py`), which is no function of its own, is repeated here, so that
schemas and other plugins have their say.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

import ckantoolkit as tk
import sqlalchemy as sa
from ckan import logic, model, plugins
from ckan.lib import munge
from ckan.lib.plugins import lookup_package_plugin, plugin_validate
from ckan.logic.schema import default_show_package_schema

from ckanext import external_storage
from ckanext.versioning import model as tables
from ckanext.versioning import revisions, snapshot
from ckanext.versioning.errors import NotCurrent


def show(context: Any, package: Any, revision: Any, ref: str, data_dict: dict[str, Any]) -> dict[str, Any]:
    """The dict that `package_show` gave when *revision* was current, with marks.

    The caller has checked that *revision* (a row) may be seen. Marks: ``revision_ref`` = *ref* as given,
    ``is_current``, ``revision`` = ``{seq, id}``. No resource has datastore tables of that time, so
    ``datastore_active`` is False. *context* has ``package`` already, which core's views read afterwards.
    """
    if tk.asbool(data_dict.get("use_default_schema", False)):
        context["schema"] = default_show_package_schema()
    states = revisions.states(package.id, revision.seq)
    return _marked(_old(context, package, revision, states), revision, ref)


def show_resource(
    context: Any, package: Any, revision: Any, resource_id: str, ref: str
) -> dict[str, Any] | None:
    """The resource as in the answer of `show`, with the same marks; None if it was not there then.

    However many resources the dataset had, only this one is read.
    """
    states = revisions.states(package.id, revision.seq, resource_id)
    if not states:
        return None
    (resource,) = _old(context, package, revision, states)["resources"]
    return _marked(resource, revision, ref)


def _old(context: Any, package: Any, revision: Any, states: list[Any]) -> dict[str, Any]:
    """What `package_show` gave, with those of the resources whose *states* these are."""
    context["session"] = model.Session
    context.setdefault("model", model)
    dataset = _recorded(revision, states)
    for resource in dataset["resources"]:
        resource["url"] = _url(revision, resource)
    shown = _shown(context, package, dataset)
    for resource in shown["resources"]:
        resource["datastore_active"] = False
    return shown


def _marked(shown: dict[str, Any], revision: Any, ref: str) -> dict[str, Any]:
    shown["revision_ref"] = ref
    shown["is_current"] = revision.seq == revisions.head_seq(revision.package_id)
    shown["revision"] = {"seq": revision.seq, "id": revision.id}
    return shown


def editable(context: Any, package: Any, revision: Any) -> dict[str, Any]:
    """The dict that `package_show` gave for editing (``for_edit``) when *revision* (a row) was current."""
    return _shown({**context, "session": model.Session, "model": model}, package, recorded(revision))


def take_ids_used_elsewhere(package_id: str, resources: list[dict[str, Any]]) -> list[tuple[int, str]]:
    """Take the ``id`` from those *resources* whose id a resource of another dataset has by now.

    Returns their places in the list, with the ids that were taken.
    """
    ids = [resource["id"] for resource in resources]
    table = model.resource_table
    query = sa.select(table.c.id).where(table.c.id.in_(ids), table.c.package_id != package_id)
    elsewhere = set(model.Session.execute(query).scalars())
    places = [place for place, id in enumerate(ids) if id in elsewhere]
    return [(place, resources[place].pop("id")) for place in places]


def recorded(revision: Any) -> dict[str, Any]:
    """What `package_dictize` gave ``for_edit`` when *revision* (a row) was current."""
    return _recorded(revision, revisions.states(revision.package_id, revision.seq))


def _recorded(revision: Any, states: list[Any]) -> dict[str, Any]:
    b = tables.metadata_blob
    body = model.Session.execute(
        sa.select(b.c.body).where(b.c.package_id == revision.package_id, b.c.sha == revision.meta_sha)
    ).scalar_one()
    resources = [{"position": state.position, **json.loads(state.body)} for state in states]
    dataset = snapshot.rebuild(json.loads(body), resources)
    dataset.pop("plugin_data", None)
    return dataset


def _url(revision: Any, resource: dict[str, Any]) -> str:
    """Where the resource's bytes as of the revision are; *resource* has the URL as it is in the database."""
    url = resource["url"]
    if resource.get("url_type") == "upload":
        return tk.url_for(
            "versioning.download",
            id=revision.package_id,
            ref=f"r{revision.seq}",
            resource_id=resource["id"],
            filename=address_name(filename(resource)),
            qualified=True,
            locale="default",  # the same address, whatever language the page is in
        )
    return link(url)


def link(url: str) -> str:
    """Where a link leads; core, too, takes one without a scheme as a web address."""
    return f"http://{url.lstrip('/')}" if url and not urlsplit(url).scheme else url


def filename(resource: dict[str, Any]) -> str:
    """Name of an uploaded file, from the URL that is in the database."""
    return resource["url"].rsplit("/")[-1]


def address_name(name: str) -> str:
    """The end of a file's address, from its name."""
    return munge.munge_filename(name) or "download"


def _shown(context: Any, package: Any, dataset: dict[str, Any]) -> dict[str, Any]:
    controllers = list(plugins.PluginImplementations(plugins.IPackageController))
    if context.get("for_view"):
        for plugin in controllers:
            dataset = plugin.before_dataset_view(dataset)
    for plugin in controllers:
        plugin.read(package)
    for plugin in plugins.PluginImplementations(plugins.IResourceController):
        for resource in dataset["resources"]:
            plugin.before_resource_show(resource)
    form = lookup_package_plugin(dataset["type"])
    schema = context.get("schema") or form.show_package_schema()
    if schema and context.get("validate", True):
        dataset, _errors = plugin_validate(form, context, dataset, schema, "package_show")
    elif hasattr(logic, "apply_after_dataset_show_plugins"):  # CKAN 2.12 leaves the rest to the caller
        return dataset
    for plugin in controllers:
        plugin.after_dataset_show(context, dataset)
    return dataset


def for_saving(data_dict: dict[str, Any]) -> dict[str, Any]:
    """*data_dict*, of a dataset or a resource, as it may be saved: without our marks.

    Raises NotCurrent if it, or a resource in it, is what was shown of an old revision.
    """
    plain = _without_marks(data_dict)
    resources = plain.get("resources")
    if isinstance(resources, list) and any(_is_marked(resource) for resource in resources):
        plain = {**plain, "resources": [_without_marks(resource) for resource in resources]}
    return plain


_MARKS = frozenset({"revision_ref", "is_current", "revision"})


def _without_marks(shown: dict[str, Any]) -> dict[str, Any]:
    if not _is_marked(shown):
        return shown
    if not shown["is_current"]:
        raise NotCurrent(shown["revision"]["seq"])
    return {key: value for key, value in shown.items() if key not in _MARKS}


def _is_marked(shown: Any) -> bool:
    # Another plugin may have fields of such names, but hardly all three with such values.
    return (
        isinstance(shown, dict)
        and isinstance(shown.get("revision_ref"), str)
        and isinstance(shown.get("is_current"), bool)
        and isinstance(shown.get("revision"), dict)
        and isinstance(shown["revision"].get("seq"), int)
    )


def has_files() -> bool:
    """Does the site keep files? Without them the history is of metadata only."""
    return any(map(plugins.plugin_loaded, external_storage.NAMES))
