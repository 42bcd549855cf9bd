"""The scripts' texts in another language: an address that changes with them, and what browsers may keep."""

from __future__ import annotations

import gzip
import json

import pytest
from django.test import Client

from speechsite.script_texts import script_texts, script_texts_address

PREFIX = "globalThis.speechsiteTexts = "


def test_english_needs_no_texts_and_a_language_that_is_not_ours_has_none() -> None:
    assert script_texts_address("en") is None
    assert script_texts_address("tlh") is None
    assert Client().get("/i18n/tlh/all.0123456789ab.js").status_code == 404


def test_german_texts_are_a_script_that_may_be_kept_for_good() -> None:
    address = script_texts_address("de")
    assert address is not None
    answer = Client().get(address)
    assert answer.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert "immutable" in answer.headers["Cache-Control"]
    text = answer.content.decode()
    texts = json.loads(text.removeprefix(PREFIX).rstrip(";\n"))
    assert texts["plural"] == "(n != 1)"
    assert texts["catalog"]["%(count)s word"] == ["%(count)s Wort", "%(count)s Wörter"]
    assert set(map(type, texts["catalog"].values())) <= {str, list}


def test_a_browser_that_has_the_texts_is_told_so() -> None:
    address = script_texts_address("de")
    assert address is not None
    tag = Client().get(address).headers["ETag"]
    assert Client(headers={"If-None-Match": tag}).get(address).status_code == 304


def test_texts_are_sent_compressed() -> None:
    address = script_texts_address("de")
    assert address is not None
    answer = Client(headers={"Accept-Encoding": "gzip"}).get(address)
    assert gzip.decompress(answer.content).decode().startswith(PREFIX)


def test_another_release_s_address_gives_the_texts_that_are_here_but_not_for_good() -> None:
    answer = Client().get("/i18n/de/all.0123456789ab.js")
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-cache"


@pytest.mark.django_db
@pytest.mark.parametrize(("asked", "language"), [("de-AT, en;q=0.5", "de"), ("es", "es"), ("fr", "en"), ("", "en")])
def test_a_page_has_the_language_that_the_browser_asks_for(asked: str, language: str) -> None:
    answer = Client(headers={"Accept-Language": asked}).get("/login/")
    assert f'<html lang="{language}"' in answer.content.decode()
    assert answer.headers["Content-Language"] == language


@pytest.mark.django_db
def test_a_language_that_was_chosen_lasts_and_leads_back_to_the_page() -> None:
    client = Client(headers={"Accept-Language": "en"})
    answer = client.post("/i18n/setlang/", {"language": "de", "next": "/api/?x=1"})
    assert (answer.status_code, answer.headers["Location"]) == (302, "/api/?x=1")
    assert answer.cookies["django_language"]["max-age"] == 365 * 24 * 3600
    assert '<html lang="de"' in client.get("/login/").content.decode()


@pytest.mark.django_db
def test_a_choice_of_language_leads_nowhere_else() -> None:
    answer = Client().post("/i18n/setlang/", {"language": "de", "next": "https://evil.example/"})
    assert answer.headers["Location"] == "/"


@pytest.mark.django_db
def test_every_page_offers_the_languages_by_their_own_names() -> None:
    html = Client(headers={"Accept-Language": "de"}).get("/login/").content.decode()
    for name in ("English", "Deutsch", "Español"):
        assert f">{name}</button>" in html


@pytest.mark.django_db
def test_errors_of_the_api_are_told_in_the_language_that_is_asked_for_and_their_codes_stay() -> None:
    english, german = (
        Client(headers={"Accept-Language": language}).get("/api/v1/nothing").json() for language in ("", "de")
    )
    assert english["message"] == "There is nothing at this address."
    assert german["message"] == "Unter dieser Adresse gibt es nichts."
    assert (english["code"], english["reason"]) == (german["code"], german["reason"])


def test_the_recording_page_gets_what_its_modules_say_and_no_more() -> None:
    part, whole = script_texts("de", "record"), script_texts("de")
    assert part is not None
    assert whole is not None
    of_part, of_whole = (
        json.loads(texts.script.removeprefix(PREFIX).rstrip(";\n"))["catalog"] for texts in (part, whole)
    )
    assert of_part.items() <= of_whole.items()
    # Of record-words.js, of format.js, which that imports, and of header.js.
    assert {"Nothing was saved.", "%(count)s minute left", "Riva ready"} <= of_part.keys()
    assert "Replace all" not in of_part
