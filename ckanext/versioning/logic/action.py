"""The plugin's actions, and the core actions that it chains."""

from ckanext.versioning.logic.older_names import package_show_release, resource_show_release
from ckanext.versioning.logic.reading_actions import (
    dataset_revision_list,
    dataset_revision_show,
    package_show,
    resource_show,
    revision_changes_since,
)
from ckanext.versioning.logic.release_actions import (
    dataset_release_create,
    dataset_release_delete,
    dataset_release_list,
    dataset_release_next,
    dataset_release_show,
    dataset_release_update,
)
from ckanext.versioning.logic.saving_actions import (
    dataset_revert,
    package_create,
    package_update,
    resource_create,
    resource_delete,
    resource_patch,
    resource_update,
)

__all__ = [
    "dataset_release_create",
    "dataset_release_delete",
    "dataset_release_list",
    "dataset_release_next",
    "dataset_release_show",
    "dataset_release_update",
    "dataset_revert",
    "dataset_revision_list",
    "dataset_revision_show",
    "package_create",
    "package_show",
    "package_show_release",
    "package_update",
    "resource_create",
    "resource_delete",
    "resource_patch",
    "resource_show",
    "resource_show_release",
    "resource_update",
    "revision_changes_since",
]
