"""The catalogs say what the sources say, completely, in each of their languages."""

from __future__ import annotations

import gettext
import re

import polib
import pytest

from services import translations

CORE = translations.plural_rules()
STALE = "run `make translations`, translate what it says is missing, and commit the files in i18n"


@pytest.fixture(scope="module")
def texts() -> polib.POFile:
    return translations.template()


def test_the_template_is_what_the_sources_say(texts: polib.POFile):
    committed = translations.DIRECTORY / f"{translations.DOMAIN}.pot"
    assert committed.read_text(encoding="utf-8") == str(texts), STALE


@pytest.mark.parametrize("language", translations.LANGUAGES)
def test_a_language_is_complete(texts: polib.POFile, language: str):
    file = translations.path(language)
    fresh = translations.updated(language, texts, CORE[language])
    assert file.read_text(encoding="utf-8") == str(fresh), STALE
    assert [entry.msgid for entry in fresh.untranslated_entries() + fresh.fuzzy_entries()] == []
    compiled = polib.mofile(str(translations.path(language, "mo")))
    assert compiled.metadata == fresh.metadata
    forms = {entry.msgid: (entry.msgstr, entry.msgstr_plural) for entry in fresh}
    assert {entry.msgid: (entry.msgstr, entry.msgstr_plural) for entry in compiled} == forms


@pytest.mark.parametrize("language", translations.LANGUAGES)
def test_a_translation_has_the_same_places_to_fill(language: str):
    for entry in polib.pofile(str(translations.path(language))):
        if entry.msgid_plural:
            # The form for one thing may say "one" instead of the number.
            one, *others = (places(form) for _, form in sorted(entry.msgstr_plural.items()))
            assert one <= places(entry.msgid_plural), entry.msgid
            assert {frozenset(other) for other in others} == {frozenset(places(entry.msgid_plural))}, (
                entry.msgid
            )
        else:
            assert places(entry.msgstr) == places(entry.msgid), entry.msgid
            assert edges(entry.msgstr) == edges(entry.msgid), entry.msgid


def test_no_language_of_ckan_gets_another_plural_rule():
    """Flask-Babel takes the rule of the last plugin's catalog for the whole page, else the English one."""
    for language, rule in CORE.items():
        file = gettext.find(translations.DOMAIN, str(translations.DIRECTORY), [language])
        number = gettext.c2py(
            expression(polib.mofile(file).metadata["Plural-Forms"] if file else "plural=n!=1")
        )
        expected = gettext.c2py(expression(rule))
        counts = [*range(120), 1_000_000]
        assert [number(n) for n in counts] == [expected(n) for n in counts], language


def places(text: str) -> set[str]:
    return set(re.findall(r"%\(\w+\)[sd]|\{\w*\}|</?(?:a|b|code|em|strong)\b", text))


def edges(text: str) -> tuple[bool, bool]:
    """Where other words follow it on the page, they also follow its translation."""
    return text[:1].isspace(), text[-1:].isspace()


def expression(rule: str) -> str:
    return rule.split("plural=")[1].rstrip("; ")
