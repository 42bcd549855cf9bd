"""The page on which people choose a file."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from transcription.exports import CONTENT_TYPES, ExportOptions
from transcription.exports.forms import FORMATS, ExportForm
from transcription.models import TranscriptionSession
from transcription.tests.rows import make_session, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def reviewer() -> Client:
    client = Client()
    client.force_login(make_user("view_captions", "export_transcriptionsession"))
    return client


@pytest.fixture
def talk() -> TranscriptionSession:
    session = make_session("corrected", title="Talk", public_id="talk")
    session.segments.update(asr_text="recognised", speaker="Anna")
    return session


ADDRESS = "/console/sessions/talk/export/"


def test_the_form_offers_every_format_and_option() -> None:
    assert {format for format, _label in FORMATS} == set(CONTENT_TYPES)
    assert set(ExportForm().fields) == {"format", *ExportOptions.model_fields}


def test_a_form_that_is_sent_as_it_is_asks_for_what_is_usual() -> None:
    form = ExportForm({"format": "srt"})
    assert form.is_valid()
    assert form.options() == ExportOptions()


def test_the_page_shows_the_form_and_the_query_the_file(reviewer: Client, talk: TranscriptionSession) -> None:
    page = reviewer.get(ADDRESS)
    assert page.status_code == 200
    assert "Export the transcript" in page.content.decode()
    file = reviewer.get(ADDRESS, {"format": "txt", "text": "machine", "speakers": "false", "line_characters": ""})
    assert file.getvalue() == b"recognised\n"
    assert file["Content-Disposition"] == 'attachment; filename="talk.txt"'


def test_the_address_of_a_format_takes_options_as_well(reviewer: Client, talk: TranscriptionSession) -> None:
    address = reverse("session_export", kwargs={"public_id": "talk", "format": "txt"})
    assert reviewer.get(address).getvalue() == b"Anna: corrected\n"
    assert reviewer.get(address, {"speakers": "false"}).getvalue() == b"corrected\n"


@pytest.mark.parametrize("query", [{"format": "pdf"}, {"format": "srt", "lines": "99"}, {"format": "txt", "text": "x"}])
def test_what_cannot_be_is_told_beside_its_field(
    reviewer: Client, talk: TranscriptionSession, query: dict[str, str]
) -> None:
    response = reviewer.get(ADDRESS, query)
    assert response.status_code == 400
    assert "errorlist" in response.content.decode()


def test_who_may_only_read_may_not_export(talk: TranscriptionSession) -> None:
    client = Client()
    client.force_login(make_user("view_captions"))
    assert client.get(ADDRESS).status_code == 403
    assert client.get(ADDRESS, {"format": "txt"}).status_code == 403


def test_somebody_without_permissions_finds_nothing(talk: TranscriptionSession) -> None:
    client = Client()
    client.force_login(make_user())
    assert client.get(ADDRESS).status_code == 404
