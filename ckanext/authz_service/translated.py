"""The catalog of translations that plugins of this distribution share: ``ckanext-publish`` in ``i18n``."""

from __future__ import annotations

from pathlib import Path

from ckan.lib.plugins import DefaultTranslation

DIRECTORY = Path(__file__).parent / "i18n"
DOMAIN = "ckanext-publish"


class Translated(DefaultTranslation):
    """A plugin with this class and ``implements(ITranslation)`` speaks the languages of the catalog."""

    def i18n_directory(self) -> str:
        return str(DIRECTORY)

    def i18n_domain(self) -> str:
        return DOMAIN
