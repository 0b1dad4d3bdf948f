"""Core actions that we chain, each of which passes on a checked copy of its input, and actions of our own."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import ckantoolkit as tk
from ckan import model
from flask import after_this_request, has_request_context

from ckanext.external_storage import (
    described_data,
    download_spec,
    errors,
    plain_upload,
    pushed_files,
    resources,
)
from ckanext.external_storage.logic import saving
from ckanext.external_storage.logic.quota_actions import external_storage_quota_show
from ckanext.external_storage.logic.upload_actions import (
    external_storage_upload_discard,
    external_storage_upload_list,
    external_storage_upload_show,
)
from ckanext.external_storage.transfer import links

__all__ = [
    "dataset_purge",
    "external_storage_add_files",
    "external_storage_quota_show",
    "external_storage_upload_discard",
    "external_storage_upload_list",
    "external_storage_upload_show",
    "get_resource_download_spec",
    "package_create",
    "package_revise",
    "package_update",
    "resource_create",
    "resource_patch",
    "resource_sample_show",
    "resource_schema_show",
    "resource_update",
]

# Every way to save a resource passes package_create or package_update exactly once: there, its fields are
# settled. But core reads the dataset under a lock before it gets there, so that files which come with a save
# are taken in one step earlier, in each action that a client can send them to.


@tk.chained_action
def package_create(original_action: Any, context: Any, data_dict: dict[str, Any]) -> Any:
    """Files of a dataset that does not exist yet were uploaded before, by the same user, or come with it."""
    owner_org = _organization_id(data_dict.get("owner_org"))
    if plain_upload.has_files(data_dict):
        tk.check_access("package_create", _copy(context), data_dict)
        plain_upload.require_clean_session(context)
        data_dict = plain_upload.replace_files(
            data_dict, lambda file: plain_upload.store(context, None, file, owner_org)
        )
    return saving.create_dataset(original_action, context, data_dict, owner_org)


@tk.chained_action
def package_update(original_action: Any, context: Any, data_dict: dict[str, Any]) -> Any:
    """Fields of stored files are written from our record (see ``resources``)."""
    package = model.Package.get(data_dict.get("id") or data_dict.get("name"))
    if package is not None:  # if it is, core says so
        data_dict = _with_files_stored("package_update", context, package.id, data_dict, {"id": package.id})
        data_dict = saving.settled(context, package.id, data_dict)
        links.note_in_use(model.Session.connection(), package.id)
    return original_action(context, data_dict)


@tk.chained_action
def package_revise(original_action: Any, context: Any, data_dict: dict[str, Any]) -> Any:
    """Files in ``update`` and ``update__…__upload`` go to the store first."""
    match: Any = data_dict.get("match")
    match = match if isinstance(match, dict) else {}
    keys = (data_dict.get("match__id"), match.get("id"), data_dict.get("match__name"), match.get("name"))
    package = model.Package.get(next((key for key in keys if isinstance(key, str) and key), None))
    if package is not None:
        data_dict = _with_files_stored("package_update", context, package.id, data_dict, {"id": package.id})
    return original_action(context, data_dict)


@tk.chained_action
def resource_create(original_action: Any, context: Any, data_dict: dict[str, Any]) -> Any:
    """A file in ``upload`` goes to the store first."""
    package = model.Package.get(data_dict.get("package_id"))
    if package is None:
        return original_action(context, data_dict)
    given = {"package_id": package.id}
    stored = _with_files_stored("resource_create", context, package.id, data_dict, given)
    return _saved(original_action, context, data_dict, stored)


@tk.chained_action
def resource_update(original_action: Any, context: Any, data_dict: dict[str, Any]) -> Any:
    """A file in ``upload`` goes to the store first."""
    return _saved(original_action, context, data_dict, _with_own_file_stored(context, data_dict))


@tk.chained_action
def resource_patch(original_action: Any, context: Any, data_dict: dict[str, Any]) -> Any:
    """A file in ``upload`` goes to the store first."""
    return _saved(original_action, context, data_dict, _with_own_file_stored(context, data_dict))


@tk.chained_action
def dataset_purge(original_action: Any, context: Any, data_dict: dict[str, Any]) -> Any:
    """The dataset's claims to bytes go in the transaction that purges it."""
    tk.check_access("dataset_purge", _copy(context), data_dict)
    package = model.Package.get(data_dict.get("id"))
    if package is not None:
        links.forget_dataset(model.Session.connection(), package.id, _now())
    return original_action(context, data_dict)


def _saved(original_action: Any, context: Any, given: dict[str, Any], stored: dict[str, Any]) -> Any:
    """Pass *stored* on; if it is refused, the form that is shown again (*given*) still has its file."""
    try:
        return original_action(context, stored)
    except tk.ValidationError:
        if stored.get("upload_id"):
            given["upload_id"] = stored["upload_id"]
        raise


def external_storage_add_files(context: Any, data_dict: dict[str, Any]) -> list[dict[str, Any]]:
    """Make resources of files that were pushed or uploaded to a dataset, all in one save.

    package_id: the dataset's id or name.
    files: at most 1,000 objects with ``path``, the file's name or path as in a repository, and ``oid``, its
    sha256, or ``upload_id``.

    The resource whose name is the path, or whose stored file is called so, gets the file; for other paths a
    resource of that name is added at the end, in the order of the list. Other resources stay as they are.

    Returns for each file, in order: ``path``, ``resource_id``, ``oid`` and ``size`` (bytes).

    Raises ValidationError, in which ``files`` says what is wrong with each; nothing is changed then.
    """
    package_id, files = data_dict.get("package_id"), data_dict.get("files")
    if not isinstance(package_id, str) or not package_id:
        raise tk.ValidationError({"package_id": [tk._("Missing value")]})
    user: Any = {"user": context.get("user")}
    try:
        tk.get_action("package_show")(_copy(user), {"id": package_id})
    except tk.NotAuthorized:
        raise tk.ObjectNotFound(tk._("Dataset not found")) from None
    tk.check_access("external_storage_add_files", _copy(context), {"package_id": package_id})
    if not isinstance(files, list) or len(files) > pushed_files.MAX_FILES:
        raise tk.ValidationError({"files": [f"Give a list of at most {pushed_files.MAX_FILES} files."]})
    problems: Any = pushed_files.problems(files)
    if any(problems):
        raise tk.ValidationError({"files": problems})
    if not files:
        return []
    # As package_patch does: from the database, and locked until it is saved.
    reading: Any = {**user, "use_cache": False, "for_update": True, "ignore_auth": True}
    dataset = tk.get_action("package_show")(reading, {"id": package_id})
    dataset["resources"], places = pushed_files.placed(dataset["resources"], files)
    try:
        saved = tk.get_action("package_update")(_copy(user), dataset)
    except tk.ValidationError as error:
        raise _by_file(error, places) from None
    found = [saved["resources"][place] for place in places]
    return [
        {"path": file["path"], "resource_id": item["id"], "oid": item["sha256"], "size": item["size"]}
        for file, item in zip(files, found, strict=True)
    ]


def _by_file(error: Any, places: list[int]) -> Any:
    """The same error, with what is wrong with a file's resource said of the file."""
    told = error.error_dict.get("resources")
    if not isinstance(told, list) or not any(told[place] for place in places if place < len(told)):
        return error
    files: Any = [
        {"oid" if key == "sha256" else key: texts for key, texts in told[place].items()}
        if place < len(told)
        else {}
        for place in places
    ]
    return tk.ValidationError({"files": files})


def _with_own_file_stored(context: Any, data_dict: dict[str, Any]) -> dict[str, Any]:
    resource = model.Resource.get(data_dict.get("id") or "")
    if resource is None or resource.package_id is None:
        return data_dict  # for core to say
    given = {"id": resource.id}
    return _with_files_stored("resource_update", context, resource.package_id, data_dict, given)


def _with_files_stored(
    auth: str, context: Any, package_id: str, data_dict: dict[str, Any], given: dict[str, Any]
) -> dict[str, Any]:
    """*data_dict* with its files brought into the dataset, if the caller may do *auth* to *given*."""
    if not plain_upload.has_files(data_dict):
        return data_dict
    tk.check_access(auth, _copy(context), given)
    plain_upload.require_clean_session(context)
    return plain_upload.replace_files(data_dict, lambda file: plain_upload.store(context, package_id, file))


def _organization_id(given: Any) -> str | None:
    """Of an organisation's id or name; core says so if there is none."""
    group = model.Group.get(given) if isinstance(given, str) and given else None
    return group.id if group else None


def _copy(context: Any) -> Any:
    """Checking access leaves objects in the context that the action itself must not find there."""
    return dict(context)


def _now() -> datetime:
    return datetime.now(timezone.utc)


@tk.side_effect_free
def get_resource_download_spec(context: Any, data_dict: dict[str, Any]) -> dict[str, Any]:
    """Where and how to fetch the file of a resource with one GET that needs no login: ``href``, the
    ``header`` to send with it exactly as it is (an object), and ``expires_in`` (seconds). ``{}`` for a
    resource without a stored file. If the site's files are at an LFS server of its own, ``verified`` says
    whether CKAN knows that the bytes are those of the resource's ``sha256``.

    It opens this one file to whoever has it until it expires: hand it to nobody but the program that fetches.

    :param id: id of the resource
    :param resource: in place of ``id``: an object of which only the ``id`` is looked at
    :param inline: ask the store to say that browsers may show the file (``false``); only for the types of
        ``ckanext.external_storage.inline_types``, and only where another server than CKAN sends it

    404 for a resource that is missing or not for the caller. ``activity_id``, of older versions, is refused:
    older files have addresses of their own (versioning).
    """
    if data_dict.get("activity_id"):
        message = tk._("Files of older versions are not asked for by activity. See the dataset's versions.")
        raise tk.ValidationError({"activity_id": [message]})
    resource = _described("get_resource_download_spec", context, data_dict)
    row = model.Resource.get(resource["id"])
    name = resources.filename({"url": row.url if row else ""})
    _keep_from_caches()
    try:
        inline = tk.asbool(data_dict.get("inline") or False)
        return download_spec.specification(model.Session.connection(), resource, name, inline)
    except ValueError:
        raise tk.ValidationError({"inline": [tk._("Must be true or false.")]}) from None
    except errors.StorageError as error:
        raise tk.ObjectNotFound(str(error)) from error


@tk.side_effect_free
def resource_schema_show(context: Any, data_dict: dict[str, Any]) -> Any:
    """What the resource says of its data's structure in its field ``schema``: the JSON that it holds, also
    where it was stored as the text of a Python literal; the text itself if it is neither; ``{}`` if there is
    none.

    :param id: id of the resource
    :param resource: in place of ``id``: an object of which only the ``id`` is looked at
    """
    return described_data.parsed(_described("resource_schema_show", context, data_dict).get("schema"))


@tk.side_effect_free
def resource_sample_show(context: Any, data_dict: dict[str, Any]) -> Any:
    """What the resource shows of its data in its field ``sample``, read as ``resource_schema_show`` does.

    :param id: id of the resource
    :param resource: in place of ``id``: an object of which only the ``id`` is looked at
    """
    return described_data.parsed(_described("resource_sample_show", context, data_dict).get("sample"))


def _described(action: str, context: Any, data_dict: dict[str, Any]) -> dict[str, Any]:
    """The resource that is asked about, as the caller may see it. What else they say of it is ignored."""
    given = data_dict.get("resource")
    id = data_dict.get("id") or (given.get("id") if isinstance(given, dict) else None)
    if not isinstance(id, str) or not id:
        raise tk.ValidationError({"id": [tk._("Missing value")]})
    try:
        shown = tk.get_action("resource_show")(_copy(context), {"id": id})
        tk.check_access(action, _copy(context), {"id": id})
    except tk.NotAuthorized:  # as if there were none
        raise tk.ObjectNotFound(tk._("Resource was not found.")) from None
    return shown


def _keep_from_caches() -> None:
    """The answer to the current request, if there is one, is for the caller only."""
    if has_request_context():
        tk.request.environ["__no_cache__"] = True
        after_this_request(_not_stored)


def _not_stored(response: Any) -> Any:
    response.headers["Cache-Control"] = "private, no-store"
    return response
