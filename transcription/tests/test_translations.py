"""The translations in locale/: compiled, complete, and with the placeholders of the English text."""

from __future__ import annotations

import json
import re

import pytest
from django.conf import settings

from speechsite.config import BASE_DIR
from transcription.tests.catalogues import DOMAINS, read_compiled, read_entries, source_path

LANGUAGES = [code for code, _ in settings.LANGUAGES if code != settings.LANGUAGE_CODE]
# Languages without a gap. One that is begun is shown with what it has, and in English for the rest.
COMPLETE = ["de", "es"]
PLACEHOLDER = re.compile(r"%\(\w+\)[.\d]*[a-z]|%[sd]|\{\w*\}")

catalogues = pytest.mark.parametrize(("language", "domain"), [(code, name) for code in LANGUAGES for name in DOMAINS])


@catalogues
def test_the_compiled_catalogue_says_what_its_source_says(language: str, domain: str) -> None:
    """Otherwise somebody changed the .po file without `make messages`."""
    path = source_path(language, domain)
    written = {
        (entry.key, form): text
        for entry in read_entries(path)
        if entry.is_translated
        for form, text in entry.translations.items()
    }
    assert read_compiled(path.with_suffix(".mo")) == written


@catalogues
def test_a_translation_has_the_placeholders_of_its_text(language: str, domain: str) -> None:
    wrong = []
    for entry in read_entries(source_path(language, domain)):
        expected = set(PLACEHOLDER.findall(entry.msgid_plural or entry.msgid))
        for form, text in entry.translations.items():
            found = set(PLACEHOLDER.findall(text))
            # "One word" needs no number.
            optional = expected if entry.msgid_plural and form == 0 else set()
            if text and not expected - optional <= found <= expected:
                wrong.append((entry.msgid, text))
    assert wrong == []


@pytest.mark.parametrize("domain", DOMAINS)
@pytest.mark.parametrize("language", COMPLETE)
def test_a_language_that_is_called_complete_has_no_gap(language: str, domain: str) -> None:
    assert [entry.msgid for entry in read_entries(source_path(language, domain)) if not entry.is_translated] == []


def test_every_text_of_the_scripts_stands_in_them_in_one_piece() -> None:
    """By that the texts of a page's modules are found."""
    sources = "\n".join(path.read_text() for path in (BASE_DIR / "static" / "js").rglob("*.js"))
    msgids = [entry.msgid for entry in read_entries(source_path(LANGUAGES[0], "djangojs"))]
    assert [msgid for msgid in msgids if json.dumps(msgid, ensure_ascii=False) not in sources] == []
