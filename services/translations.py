"""The catalogs in ``i18n``: ``python -m services.translations`` brings them up to date with the sources.

Babel finds the texts, polib keeps the files: both come with CKAN. Nothing in the files depends on when or on
which machine they were made, so a test can compare them with the sources.
"""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import ckan.i18n
import polib
from babel.messages.extract import DEFAULT_KEYWORDS, extract

from ckanext.authz_service.translated import DOMAIN
from services.checkout import ROOT

DIRECTORY = ROOT / "i18n"
#: Plugins whose texts are in the catalogs.
PLUGINS = ("authz_service", "external_storage", "versioning")
#: Languages of CKAN into which everything is translated.
LANGUAGES = ("de", "es", "fr")
WIDTH = 110

_CORE = Path(ckan.i18n.__file__).parent
_HEADER = {
    "MIME-Version": "1.0",
    "Content-Type": "text/plain; charset=utf-8",
    "Content-Transfer-Encoding": "8bit",
}
_ENGLISH_RULE = "nplurals=2; plural=(n != 1);"


def sources() -> Iterator[tuple[Path, Any]]:
    """Each file that may have texts, and what it is to Babel."""
    for plugin in PLUGINS:
        for directory, pattern, method in (
            ("ckanext", "**/*.py", "python"),
            ("templates", "**/*.html", "ckan.lib.extract:extract_ckan"),
            ("assets", "src/**/*.ts", "javascript"),
        ):
            for file in sorted((ROOT / directory / plugin).glob(pattern)):
                yield file, method


def template() -> polib.POFile:
    """All texts of the sources, with the files that they are in, but for those that CKAN translates itself.

    A plugin's translation of a text takes the place of CKAN's own on all pages. Scripts get those of CKAN's
    texts only that its own scripts have.
    """
    core = {entry.msgid for entry in polib.pofile(str(_CORE / "ckan.pot"))}
    texts = _all_texts()
    for entry in list(texts):
        if entry.msgid in core and not any(place.endswith(".js") for place, _line in entry.occurrences):
            texts.remove(entry)
    return texts


def _all_texts() -> polib.POFile:
    catalog = polib.POFile(wrapwidth=WIDTH)
    catalog.metadata = {"Project-Id-Version": "ckanext-publish", **_HEADER}
    for file, method in sources():
        with file.open("rb") as content:
            for text, comments in _texts(content, method):
                _add(catalog, text, comments, _references(file))
    return catalog


def _texts(content: BinaryIO, method: Any) -> Iterator[tuple[tuple[str, str | None], list[str]]]:
    """(text, its plural or None), and comments for translators: those that begin with ``Translators:``."""
    found = extract(
        _extractor(method), content, DEFAULT_KEYWORDS, ["Translators:"], {}, strip_comment_tags=True
    )
    for _line, text, comments, _context in found:
        yield (text, None) if isinstance(text, str) else (text[0], text[1]), comments


def _extractor(method: str) -> Any:
    if ":" not in method:
        return method
    module, _, name = method.partition(":")
    return getattr(importlib.import_module(module), name)


def _references(file: Path) -> list[str]:
    """Where translators find the text. CKAN offers to browsers what has a reference to a ``.js`` file."""
    path = file.relative_to(ROOT).as_posix()
    if file.suffix != ".ts":
        return [path]
    return [path, f"{path.partition('/src/')[0]}/js/upload_field.js"]


def _add(catalog: polib.POFile, text: tuple[str, str | None], comments: list[str], places: list[str]) -> None:
    id, plural = text
    entry = catalog.find(id)
    if entry is None:
        entry = polib.POEntry(msgid=id)
        catalog.append(entry)
    if plural is not None:
        entry.msgid_plural = plural
        entry.msgstr_plural = {0: "", 1: ""}
    comment = " ".join(comments)
    if comment and comment not in entry.comment:
        entry.comment = f"{entry.comment}\n{comment}".strip()
    for place in places:
        if (place, "") not in entry.occurrences:
            entry.occurrences.append((place, ""))
    kind = _format(id)
    if kind and kind not in entry.flags:
        entry.flags.append(kind)


def _format(text: str) -> str | None:
    if re.search(r"%\(\w+\)[sd]", text):
        return "python-format"
    return "python-brace-format" if re.search(r"\{\w*\}", text) else None


def plural_rules() -> dict[str, str]:
    """Of each language that CKAN has, as its own catalog says: a page has one rule for all texts."""
    return {
        file.parts[-3]: polib.pofile(str(file)).metadata["Plural-Forms"]
        for file in sorted(_CORE.glob("*/LC_MESSAGES/ckan.po"))
    }


def updated(language: str, texts: polib.POFile, rule: str) -> polib.POFile:
    """The language's catalog with exactly *texts*: new ones empty, those that are no more gone."""
    file = path(language)
    catalog = polib.pofile(str(file), wrapwidth=WIDTH) if file.exists() else polib.POFile(wrapwidth=WIDTH)
    catalog.metadata = {**texts.metadata, "Language": language, "Plural-Forms": rule}
    catalog.merge(texts)
    merged = polib.POFile(wrapwidth=WIDTH)
    merged.metadata = catalog.metadata
    for text in texts:
        entry = catalog.find(text.msgid)
        assert entry is not None
        forms = int(re.search(r"nplurals=(\d)", rule)[1])  # type: ignore[index]
        if text.msgid_plural:
            entry.msgstr_plural = {n: entry.msgstr_plural.get(n, "") for n in range(forms)}
        merged.append(entry)
    return merged


def rules_alone() -> dict[str, polib.POFile]:
    """Catalogs with a plural rule and nothing else, for languages into which nobody has translated anything.

    With a plugin that has no catalog of the language, Flask-Babel takes the English rule for all texts of the
    page, CKAN's own too. One of ``pl`` also serves ``pl_PL``.
    """
    catalogs = {}
    for language, rule in plural_rules().items():
        name = language.partition("_")[0]
        if name not in LANGUAGES and _parsed(rule) != _parsed(_ENGLISH_RULE):
            catalogs[name] = polib.POFile()
            catalogs[name].metadata = {**_HEADER, "Language": name, "Plural-Forms": rule}
    return catalogs


def _parsed(rule: str) -> str:
    return re.sub(r"[\s();]", "", rule)


def path(language: str, suffix: str = "po") -> Path:
    return DIRECTORY / language / "LC_MESSAGES" / f"{DOMAIN}.{suffix}"


def main() -> int:
    texts, rules = template(), plural_rules()
    texts.save(str(DIRECTORY / f"{DOMAIN}.pot"))
    missing = 0
    for language in LANGUAGES:
        path(language).parent.mkdir(parents=True, exist_ok=True)
        catalog = updated(language, texts, rules[language])
        catalog.save(str(path(language)))
        catalog.save_as_mofile(str(path(language, "mo")))
        lacking = catalog.untranslated_entries() + catalog.fuzzy_entries()
        missing += len(lacking)
        print(f"{language}: {len(catalog)} texts, {len(lacking)} without a translation")
    for language, catalog in rules_alone().items():
        path(language).parent.mkdir(parents=True, exist_ok=True)
        catalog.save_as_mofile(str(path(language, "mo")))
    return missing


if __name__ == "__main__":
    sys.exit(1 if main() else 0)
