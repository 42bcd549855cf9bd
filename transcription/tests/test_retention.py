"""What rules take, what protections keep, and that nothing is left of what went but its tombstone."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core.files.base import ContentFile
from django.db import IntegrityError, connection, transaction
from django.db.models import ProtectedError
from django.utils import timezone
from model_bakery import baker

from speechsite.config import get_config
from transcription import services
from transcription.audit.actors import acting, command
from transcription.audit.models import AuditEvent
from transcription.errors import BadConfig, NotAllowed, SessionTaken
from transcription.files.models import FileJob
from transcription.models import ApiKey, TranscriptionSession, TranscriptSegment
from transcription.recording.models import SessionRecording
from transcription.recording.parts import PartFolder, folder_name
from transcription.recording.storage import recordings
from transcription.retention import tombstones
from transcription.retention.models import OwnTerm, Protection, RetentionRule, Tombstone
from transcription.retention.protecting import protect, unprotect
from transcription.retention.purging import Deadline, finish_cut_short, foresee, forget_events, purge
from transcription.retention.rules import OWN_TERMS, SETTING, expired, standing_rules
from transcription.retention.scrubbing import scrub
from transcription.retention.terms import set_term
from transcription.retention.traces import leftovers
from transcription.review.models import ReviewChange, ReviewPassage, SessionNote
from transcription.search.queries import search_segments
from transcription.tests.rows import make_session, make_user
from transcription.webhooks.models import WebhookDelivery

pytestmark = [pytest.mark.django_db, pytest.mark.databases]

MARKER = "zanzibarquagga"


def ended(days_ago: float, *texts: str, **fields: Any) -> TranscriptionSession:
    end = timezone.now() - timedelta(days=days_ago)
    return make_session(*(texts or ("one", "two")), created_at=end - timedelta(minutes=5), ended_at=end, **fields)


def rule(after_days: int = 30, **fields: Any) -> RetentionRule:
    name = f"rule {RetentionRule.objects.count()}"
    return RetentionRule.objects.create(**{"name": name, **fields, "after_days": after_days})


def taken_by(found: RetentionRule) -> set[TranscriptionSession]:
    return set(expired(found))


def test_a_rule_takes_what_ended_so_many_days_ago_and_nothing_live() -> None:
    old, _new = ended(31), ended(29)
    for state in ("live", "detached", "created"):
        make_session(state=state, created_at=timezone.now() - timedelta(days=90))
    assert taken_by(rule()) == {old}


def test_a_long_session_counts_from_its_end() -> None:
    session = ended(1)
    TranscriptionSession.objects.filter(pk=session.pk).update(created_at=timezone.now() - timedelta(days=60))
    assert taken_by(rule()) == set()


def test_rules_match_by_language_key_and_metadata() -> None:
    key, _text = ApiKey.create("phone")
    german, by_key = ended(40, language="de-DE"), ended(40, api_key=key)
    tagged, _other = ended(40, metadata={"case": "12"}), ended(40, metadata={"case": "13"})
    assert taken_by(rule(language="de-de")) == {german}
    assert taken_by(rule(api_key=key)) == {by_key}
    assert taken_by(rule(metadata_key="case", metadata_value="12")) == {tagged}


def test_the_setting_is_a_rule_of_its_own_and_disabled_ones_are_none() -> None:
    rule(enabled=False)
    config = get_config().model_copy(update={"retain_sessions_days": 7})
    assert [(found.name, found.after_days) for found in standing_rules(config)] == [(SETTING, 7)]
    assert standing_rules(get_config()) == []


def test_a_dry_run_counts_what_would_go_and_changes_nothing() -> None:
    ended(40, "a", "b", "c")
    ended(40, "d")
    (foreseen,) = foresee([rule()])
    assert (foreseen.sessions, foreseen.segments, foreseen.audio_ms) == (2, 4, 8000)
    assert TranscriptionSession.objects.count() == 2
    assert not Tombstone.objects.exists()


def test_a_purge_leaves_tombstones_that_name_the_rule_and_the_counts() -> None:
    session, _kept = ended(40, "a", "b"), ended(1)
    (done,), is_all = purge([rule(name="thirty days")], get_config())
    assert is_all
    assert (done.sessions, done.segments, done.audio_ms) == (1, 2, 4000)
    stone = Tombstone.objects.get()
    assert (stone.public_id, stone.rule, stone.deleted_by) == (session.public_id, "thirty days", "")
    assert (stone.segments, stone.audio_ms, stone.ended_at) == (2, 4000, session.ended_at)
    assert stone.finished_at is not None
    entry = AuditEvent.objects.get(what="deleted", object_id=session.public_id)
    assert (entry.actor_kind, entry.actor) == ("rule", "thirty days")


def test_a_purge_ends_at_its_deadline_and_the_next_one_goes_on() -> None:
    ended(40), ended(41)
    found = [rule()]
    _taken, is_all = purge(found, get_config(), Deadline.after(0))
    assert not is_all
    assert TranscriptionSession.objects.count() == 2
    assert purge(found, get_config())[1]
    assert not TranscriptionSession.objects.exists()


def test_what_is_protected_no_rule_takes_and_no_person_deletes() -> None:
    session = ended(40)
    protect(session, "court order 7")
    assert purge([rule()], get_config())[0][0].sessions == 0
    with pytest.raises(SessionTaken, match="court order 7") as refused:
        services.delete_session(session)
    assert refused.value.reason == "session_protected"
    with pytest.raises(ProtectedError):
        TranscriptionSession.objects.filter(pk=session.pk).delete()
    assert session.segments.count() == 2
    with pytest.raises(NotAllowed):
        unprotect(session, make_user())
    assert unprotect(session, make_user(is_superuser=True))
    services.delete_session(session)
    assert not TranscriptionSession.objects.exists()


def test_a_term_of_its_own_goes_before_rules_and_settings() -> None:
    thirty = rule(30, name="thirty")
    kept, over, waiting = (ended(40) for _number in range(3))
    young = ended(1)
    set_term([kept, waiting], 10)
    set_term([young], 10)
    OwnTerm.objects.filter(session=young).update(ends_at=timezone.now() - timedelta(days=1))
    assert taken_by(thirty) == {over}
    rules = standing_rules(get_config())
    assert [each.name for each in rules] == ["thirty", OWN_TERMS]
    assert [taken.sessions for taken in foresee(rules)] == [1, 1]
    purge(rules, get_config())
    assert set(TranscriptionSession.objects.all()) == {kept, waiting}
    assert set(Tombstone.objects.values_list("rule", flat=True)) == {"thirty", OWN_TERMS}
    set_term([kept], None)
    purge(standing_rules(get_config()), get_config())
    assert set(TranscriptionSession.objects.all()) == {waiting}


def test_protecting_is_noted_with_who_and_why() -> None:
    session = ended(1)
    with acting(command("hold")):
        protect(session, "  court\norder 7 ")
        unprotect(session, make_user(is_superuser=True))
    began, over = AuditEvent.objects.filter(what__in=("protected", "unprotected")).order_by("pk")
    assert (began.actor, began.details["reason"]) == ("hold", "court order 7")
    assert over.details == {"reason": "court order 7", "protected_by": "hold"}


@pytest.mark.parametrize("reason", ["", "  ", "x" * 301])
def test_a_protection_needs_a_reason_within_bounds(reason: str) -> None:
    with pytest.raises(BadConfig):
        protect(ended(1), reason)


def test_a_session_whose_deletion_has_begun_cannot_be_protected() -> None:
    session = ended(1)
    tombstones.begin(session)
    with pytest.raises(SessionTaken):
        protect(session, "too late")


def test_the_database_itself_keeps_a_protected_session() -> None:
    session = ended(1)
    Protection.objects.create(session=session, reason="hold")
    TranscriptSegment.objects.filter(session=session)._raw_delete("default")

    def delete() -> None:
        with transaction.atomic():
            TranscriptionSession.objects.filter(pk=session.pk)._raw_delete("default")
            connection.check_constraints()

    with pytest.raises(IntegrityError):
        delete()


def test_a_deletion_that_was_cut_short_is_seen_and_finished() -> None:
    session = ended(1, "a", "b")
    tombstones.begin(session)
    TranscriptSegment.objects.filter(session=session, index=0)._raw_delete("default")
    assert finish_cut_short() == 0, "somebody may still be at it"
    Tombstone.objects.update(began_at=timezone.now() - timedelta(minutes=5))
    assert finish_cut_short() == 1
    stone = Tombstone.objects.get()
    assert (stone.segments, stone.finished_at is not None) == (2, True)
    assert not TranscriptionSession.objects.exists()


def full_of_marks() -> TranscriptionSession:
    """A session with the marker in everything that a row about it can hold."""
    session = ended(40, f"{MARKER} one", "two", title=f"{MARKER} title", metadata={"note": MARKER}, stop_reason=MARKER)
    segment = session.segments.get(index=0)
    segment.text = f"{MARKER} corrected"
    segment.save()
    baker.make(WebhookDelivery, session=session, body=f'{{"text": "{MARKER}"}}', event_type="segment.final")
    baker.make(FileJob, session=session, state="completed", file_name=f"{MARKER}.wav", stored_name="")
    baker.make(ReviewPassage, session=session, index=1, part=0, last_index=1, heard_to=1, text=MARKER)
    baker.make(ReviewChange, session=session, number=1, by="zoe", details={"text": MARKER}, items=[{"text": MARKER}])
    baker.make(SessionNote, session=session, text=MARKER, by="zoe", holder="user:1")
    user = make_user()
    for obj in (session, segment):
        LogEntry.objects.create(
            user=user,
            content_type=ContentType.objects.get_for_model(obj),
            object_id=str(obj.pk),
            object_repr=f"{MARKER} repr",
            action_flag=CHANGE,
        )
    return session


def rows_with_the_marker() -> list[str]:
    """Tables in which the marker still stands, found by reading every text of every table."""
    found = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            quoted = connection.ops.quote_name(table)
            cursor.execute(f"SELECT * FROM {quoted}")  # noqa: S608 - of the database itself
            if any(MARKER in str(value) for row in cursor.fetchall() for value in row):
                found.append(table)
    return found


def test_nothing_of_a_session_is_left_in_any_table() -> None:
    session = full_of_marks()
    assert len(rows_with_the_marker()) >= 9
    services.delete_session(session)
    # SQLite's index notes that a row is gone and keeps its words for a while; see the next test.
    assert [table for table in rows_with_the_marker() if not table.endswith("_search_data")] == []
    assert leftovers(session.pk) == {}
    stone = Tombstone.objects.get()
    assert (stone.versions, stone.deliveries) == (1, 1)
    # What is counted is found through the models, as what is deleted is.
    assert stone.rows == {
        "transcriptsegment": session.segment_count,
        "historicaltranscriptsegment": 1,
        "webhookdelivery": 1,
        "filejob": 1,
        "reviewpassage": 1,
        "reviewchange": 1,
        "sessionnote": 1,
    }


def files_with_the_marker(*folders: Path) -> list[Path]:
    """Of the database (a file on SQLite) and of everything else that the service keeps."""
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    return [path for path in files if MARKER.encode() in path.read_bytes()]


@pytest.mark.django_db(transaction=True)
def test_nothing_is_left_in_the_database_file_and_the_folder_of_audio(data_dir: Path) -> None:
    for number in range(30):
        make_session(f"other words {number}", "and some more")
    session = full_of_marks()
    folder = folder_name(session.pk, session.created_at)
    parts = PartFolder.of(get_config())
    with parts.open_new(folder, 0, 1) as part:
        part.write(MARKER.encode())
    name = recordings().save(f"2026/01/{folder}.wav", ContentFile(MARKER.encode()))
    SessionRecording.objects.create(session=session, folder=folder, name=name, state="complete", size_bytes=15)
    assert len(files_with_the_marker(data_dir, get_config().data_dir)) >= 2
    (done,), _is_all = purge([rule()], get_config())
    assert done.sessions == 1
    assert scrub(float("inf"))
    assert rows_with_the_marker() == []
    assert files_with_the_marker(data_dir, get_config().data_dir) == []
    stone = Tombstone.objects.get()
    assert (stone.audio_files, stone.audio_file_bytes) == (1, 15)
    assert stone.scrubbed_at is not None
    assert set(search_segments(TranscriptSegment.objects.all(), "other words", limit=100)) == set(
        TranscriptSegment.objects.filter(index=0)
    )


def test_audio_that_the_storage_keeps_leaves_the_tombstone_open() -> None:
    session = ended(40)
    folder = folder_name(session.pk, session.created_at)
    recording = SessionRecording.objects.create(session=session, folder=folder, name="../outside", state="complete")
    services.delete_session(session)
    stone = Tombstone.objects.get()
    assert stone.finished_at is None
    assert tombstones.what_is_left(stone) == {"recording": 1}
    recording.delete()
    assert tombstones.finish(stone)


def test_a_rule_for_audio_alone_leaves_the_transcript() -> None:
    session, without_audio = ended(40), ended(40)
    folder = folder_name(session.pk, session.created_at)
    SessionRecording.objects.create(session=session, folder=folder, state="complete", size_bytes=99)
    (done,), _is_all = purge([rule(takes="audio")], get_config())
    assert (done.sessions, done.audio_only) == (1, True)
    session.refresh_from_db()
    assert (session.recording.state, session.recording.reason) == ("deleted", "retention")
    assert session.segments.count() == without_audio.segments.count() == 2
    assert AuditEvent.objects.get(what="deleted_audio").details == {"bytes": 99, "audio_s": 4}


def test_old_entries_of_the_audit_log_are_forgotten() -> None:
    AuditEvent.objects.all().delete()
    for days in (10, 400):
        baker.make(AuditEvent, at=timezone.now() - timedelta(days=days), what="edited", actor_kind="user")
    assert forget_events(0)
    assert AuditEvent.objects.count() == 2
    assert forget_events(365)
    assert AuditEvent.objects.count() == 1
