"""Phrase sets: kept in the admin, offered to whoever records."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import IntegrityError
from django.test import Client

from transcription import access
from transcription.audit.models import AuditEvent
from transcription.identity.principals import Principal
from transcription.models import ApiKey, PhraseSet
from transcription.phrases.text import MAX_FILE_BYTES
from transcription.tests.rows import make_user, principal_of, principal_of_key

pytestmark = [pytest.mark.django_db, pytest.mark.databases]

SETS = "/admin/transcription/phraseset/"
IMPORT = f"{SETS}import/"


def make_set(name: str = "Products", phrases: str = "Kubernetes\nZürich", **fields: Any) -> PhraseSet:
    return PhraseSet.objects.create(name=name, phrases=phrases, **fields)


@pytest.fixture
def boss() -> Client:
    client = Client()
    client.force_login(make_user(is_staff=True, is_superuser=True))
    return client


def page(client: Client, address: str, **query: str) -> str:
    response = client.get(address, query)
    assert response.status_code == 200, response.status_code
    return response.content.decode()


def send_file(client: Client, content: bytes, name: str = "names.txt", **fields: str) -> Any:
    data = {"file": SimpleUploadedFile(name, content), "how": "replace", **fields}
    return client.post(IMPORT, data)


def test_names_are_unique_for_each_owner_and_for_everybody() -> None:
    zoe = make_user()
    make_set()
    make_set(owner=zoe)
    make_set(owner=make_user())
    with pytest.raises(ValidationError, match="for everybody already"):
        PhraseSet(name="Products", phrases="a").full_clean()
    with pytest.raises(ValidationError, match="owner has a phrase set of this name"):
        PhraseSet(name="Products", phrases="a", owner=zoe).full_clean()
    with pytest.raises(IntegrityError):
        make_set()


@pytest.mark.parametrize(
    ("fields", "field"),
    [({"phrases": "x" * 201}, "phrases"), ({"language": "de DE"}, "language"), ({"boost": 101.0}, "boost")],
)
def test_a_set_that_no_session_would_take_is_refused(fields: dict[str, Any], field: str) -> None:
    phrase_set = PhraseSet(**{"name": "Products", "phrases": "a", **fields})
    with pytest.raises(ValidationError) as refused:
        phrase_set.full_clean()
    assert set(refused.value.message_dict) == {field}


def test_people_may_record_with_their_own_sets_and_with_those_of_everybody() -> None:
    zoe, other = make_user(), make_user()
    mine, ours, theirs = make_set("mine", owner=zoe), make_set("ours"), make_set("theirs", owner=other)
    key, _text = ApiKey.create("app", zoe)
    for who in (zoe, principal_of(zoe), principal_of_key(key)):
        assert set(access.usable_phrase_sets(who)) == {mine, ours}
    assert set(access.usable_phrase_sets(Principal(kind="local"))) == {ours}
    closed = make_user()
    closed.is_active = False
    assert not access.usable_phrase_sets(closed).exists()
    assert theirs in access.usable_phrase_sets(other)


def test_the_recording_page_offers_them_and_reads_the_phrases_of_one() -> None:
    zoe = make_user()
    mine, theirs = make_set("Mine", owner=zoe, boost=7.5), make_set("Theirs", owner=make_user())
    client = Client()
    client.force_login(zoe)
    html = page(client, "/")
    assert f'value="{mine.pk}"' in html
    assert "Theirs" not in html
    assert client.get(f"/phrases/{mine.pk}/").json() == {"phrases": ["Kubernetes", "Zürich"], "boost": 7.5}
    assert client.get(f"/phrases/{theirs.pk}/").status_code == 404
    assert client.get(f"/phrases/{2**70}/").status_code == 404
    assert Client().get(f"/phrases/{mine.pk}/").status_code == 302


def test_a_set_is_made_listed_filtered_and_searched_in_the_admin(boss: Client) -> None:
    make_set("Streets", "Königsallee", language="de-DE")
    sent = boss.post(
        f"{SETS}add/", {"name": "Products", "language": "en-US", "boost": "20", "phrases": "Kubernetes\r\n"}
    )
    assert sent.status_code == 302
    html = page(boss, SETS)
    assert "Kubernetes" in html
    assert "everybody&#x27;s" in html
    assert "Streets" in page(boss, SETS, q="königs")
    assert "Products" not in page(boss, SETS, q="Königs")
    assert "Streets" not in page(boss, SETS, language="en-US")
    assert "Products" in page(boss, SETS, language="en-US")
    assert AuditEvent.objects.get(what="made", object_type="phraseset").object_id == "Products"


def test_a_mistake_in_the_form_names_the_line(boss: Client) -> None:
    data = {"name": "Products", "boost": "20", "phrases": "a\r\n" + "x" * 201}
    html = boss.post(f"{SETS}add/", data).content.decode()
    assert "Line 2 has 201 characters" in html
    assert not PhraseSet.objects.exists()


def test_one_set_is_exported_as_text_and_several_as_a_zip(boss: Client) -> None:
    first, second = make_set(), make_set("Straßen & Plätze", "Allee")
    one = boss.post(SETS, {"action": "export_files", "_selected_action": [first.pk]})
    assert one["Content-Type"] == "text/plain; charset=utf-8"
    assert one["Content-Disposition"] == 'attachment; filename="products.txt"'
    assert one.content.decode() == "Kubernetes\nZürich\n"
    both = boss.post(SETS, {"action": "export_files", "_selected_action": [first.pk, second.pk]})
    with zipfile.ZipFile(io.BytesIO(both.content)) as archive:
        assert sorted(archive.namelist()) == sorted([f"products-{first.pk}.txt", f"straen-platze-{second.pk}.txt"])


def test_a_text_file_becomes_a_set_under_its_name(boss: Client) -> None:
    assert "Import a text file" in page(boss, SETS)
    assert (
        send_file(boss, "\ufeffZürich\r\nBern\r\n\r\nBern".encode(), "Cities.txt", language="de-CH").status_code == 302
    )
    made = PhraseSet.objects.get()
    assert (made.name, made.language, made.phrase_list, made.phrase_count) == ("Cities", "de-CH", ["Zürich", "Bern"], 2)
    assert "Cities has 2 phrases now." in page(boss, SETS)


def test_a_text_file_replaces_the_phrases_of_a_set_or_is_added(boss: Client) -> None:
    found = make_set()
    chosen = boss.post(SETS, {"action": "import_file", "_selected_action": [found.pk]})
    assert f'<option value="{found.pk}" selected>' in page(boss, chosen["Location"])
    send_file(boss, b"Bern\nKubernetes", into=str(found.pk), how="add")
    found.refresh_from_db()
    assert found.phrase_list == ["Kubernetes", "Zürich", "Bern"]
    send_file(boss, b"Bern", into=str(found.pk))
    found.refresh_from_db()
    assert found.phrase_list == ["Bern"]
    assert AuditEvent.objects.filter(what="edited", object_type="phraseset").count() == 2


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("gut\nZürich".encode("latin-1"), "Line 2 is not UTF-8"),
        (b"a\n" + b"x" * 201, "Line 2 has 201 characters"),
        (b"", "There is no phrase in it."),
        (b"x" * (MAX_FILE_BYTES + 10), "bytes; it may have"),
    ],
)
def test_a_file_with_a_mistake_changes_nothing_and_says_where_it_is(boss: Client, content: bytes, problem: str) -> None:
    found = make_set()
    answer = send_file(boss, content, into=str(found.pk))
    assert problem in answer.content.decode()
    found.refresh_from_db()
    assert found.phrase_list == ["Kubernetes", "Zürich"]


def test_adding_past_the_limit_or_under_a_name_that_is_taken_is_refused(boss: Client) -> None:
    full = make_set(phrases="\n".join(map(str, range(500))))
    assert "one phrase too many" in send_file(boss, b"new", into=str(full.pk), how="add").content.decode()
    assert "for everybody already" in send_file(boss, b"new", "Products.txt").content.decode()


def test_who_may_only_look_can_export_and_not_import() -> None:
    client = Client()
    client.force_login(make_user("view_phraseset", is_staff=True))
    found = make_set()
    html = page(client, SETS)
    assert "export_files" in html
    assert "import" not in html
    assert client.get(IMPORT).status_code == 403
    assert send_file(client, b"x", into=str(found.pk)).status_code == 403
