"""From parts to one file, and to nothing: joining, retention, deletion. With a real database and the real program."""

from __future__ import annotations

import asyncio
import dataclasses
import time
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import InMemoryStorage
from django.db.models.functions import Now
from django.utils import timezone

from speechsite.config import Config
from transcription import services
from transcription.audio.containers import decode
from transcription.audio.formats import AudioFormat, Encoding
from transcription.audit.models import AuditEvent
from transcription.fake_riva.audio import spoken
from transcription.jobs.kind import Lease, Outcome
from transcription.jobs.leases import LeaseLost
from transcription.models import TranscriptionSession
from transcription.recording import store
from transcription.recording.join import JoiningKind
from transcription.recording.joining import Orders, join
from transcription.recording.models import SessionRecording
from transcription.recording.parts import PartFolder, folder_name
from transcription.retention.protecting import protect
from transcription.storage.database_threads import DatabaseThreads
from transcription.storage.reaper import ResumeBounds, expire_detached, release_lost
from transcription.tests.recording_folders import FOLDER, write_part
from transcription.tests.rows import make_session

SPEECH = spoken(4)
State = TranscriptionSession.State


@pytest.fixture
def storage(settings: Any) -> None:
    settings.STORAGES = {
        **settings.STORAGES,
        "recordings": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
    }


@pytest.fixture
def folder(tmp_path: Path) -> PartFolder:
    return PartFolder.of(config_in(tmp_path))


def config_in(data_dir: Path, **settings: Any) -> Config:
    return Config(data_dir=data_dir, **settings)


def make_recording(folder: PartFolder, *parts: tuple[int, bytes], **fields: Any) -> SessionRecording:
    """Of a session with parts of one epoch each, joined neither yet."""
    defaults: dict[str, Any] = {"audio_bytes": len(SPEECH), "options_applied": {"keep_audio": True}}
    session = make_session("one", **(defaults | {"ended_at": timezone.now()} | fields))
    store.begin(session)
    recording = SessionRecording.objects.get(session=session)
    for epoch, (start, audio) in enumerate(parts, start=1):
        write_part(folder, audio, start=start, epoch=epoch, name=recording.folder)
    return recording


def work(recording: SessionRecording, config: Config) -> Outcome:
    """One attempt of the job that joins."""
    holder = uuid.uuid4()
    SessionRecording.objects.filter(pk=recording.pk).update(lease_holder=holder, attempts=1)

    async def attempt() -> Outcome:
        threads = DatabaseThreads(size=1)
        try:
            row = await threads.run(lambda: JoiningKind(config).rows().get(pk=recording.pk))
            return await JoiningKind(config).work(row, Lease(SessionRecording, row.pk, holder, threads))
        finally:
            await threads.aclose()

    try:
        return asyncio.run(attempt())
    except LeaseLost:
        return Outcome()
    finally:
        recording.refresh_from_db()


# The program


@pytest.mark.parametrize(
    ("encoding", "rate_hz", "channels", "asked", "kind"),
    [
        ("LINEAR_PCM", 16000, 1, "flac", "flac"),
        ("LINEAR_PCM", 44100, 2, "flac", "flac"),
        ("LINEAR_PCM", 48000, 1, "wav", "wav"),
        ("MULAW", 8000, 1, "flac", "wav"),
        ("ALAW", 8000, 1, "wav", "wav"),
    ],
)
def test_every_format_is_joined_to_a_file_that_plays(
    folder: PartFolder, encoding: str, rate_hz: int, channels: int, asked: Any, kind: str
) -> None:
    audio_format = AudioFormat(Encoding(encoding), rate_hz, channels)
    audio = np.random.default_rng(1).integers(0, 256, audio_format.bytes_per_second, np.uint8).tobytes()
    write_part(folder, audio[:1001])
    write_part(folder, audio[800:], start=800, epoch=2)

    joined = join(Orders(str(folder.path), FOLDER, encoding, rate_hz, channels, asked))

    assert (joined.kind, joined.duration_ms, joined.missing) == (kind, 1000, [])
    assert joined.size_bytes == folder.joined_path(FOLDER).stat().st_size
    assert len(bytes.fromhex(joined.peaks)) == 20
    played = b"".join(decode(folder.joined_path(FOLDER)))
    assert abs(len(played) - 32000) <= 64


@pytest.mark.parametrize("kind", ["flac", "wav"])
def test_pcm_is_kept_to_the_bit_and_what_nobody_sent_is_silence(folder: PartFolder, kind: Any) -> None:
    write_part(folder, SPEECH[:10_000])
    write_part(folder, SPEECH[20_000:] + b"x", start=20_000, epoch=2)

    joined = join(Orders(str(folder.path), FOLDER, "LINEAR_PCM", 16000, 1, kind))

    assert b"".join(decode(folder.joined_path(FOLDER))) == SPEECH[:10_000] + bytes(10_000) + SPEECH[20_000:]
    assert (joined.missing, joined.reached_bytes) == ([(10_000, 20_000)], len(SPEECH) + 1)


def test_compressed_audio_is_kept_as_it_came(folder: PartFolder) -> None:
    write_part(folder, SPEECH)
    join(Orders(str(folder.path), FOLDER, "LINEAR_PCM", 16000, 1, "flac"))
    flac = folder.joined_path(FOLDER).read_bytes()
    folder.delete(FOLDER)
    write_part(folder, flac)

    joined = join(Orders(str(folder.path), FOLDER, "FLAC", 16000, 1, "wav"))

    assert folder.joined_path(FOLDER).read_bytes() == flac
    assert (joined.kind, joined.duration_ms) == ("flac", len(SPEECH) // 32)
    assert max(bytes.fromhex(joined.peaks)) > 200


def test_what_is_no_audio_at_all_is_kept_without_peaks(folder: PartFolder) -> None:
    write_part(folder, b"OggS and nothing more")

    joined = join(Orders(str(folder.path), FOLDER, "OGGOPUS", 16000, 1, "wav"))

    assert (joined.kind, joined.duration_ms, joined.peaks) == ("ogg", 0, "")


# The job


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("storage")
def test_a_session_that_ended_gets_its_file_in_the_storage(folder: PartFolder, tmp_path: Path) -> None:
    recording = make_recording(folder, (0, SPEECH[:9000]), (8000, SPEECH[8000:]))

    work(recording, config_in(tmp_path, recording_format="wav"))

    assert (recording.state, recording.reason, recording.missing) == ("complete", "", [])
    assert recording.duration_ms == len(SPEECH) // 32
    with store.recordings().open(recording.name) as file:
        assert file.read()[44:] == SPEECH
    assert folder.parts(recording.folder) == []


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("storage")
def test_what_the_client_lost_makes_no_recording_partial(folder: PartFolder, tmp_path: Path) -> None:
    recording = make_recording(folder, (0, SPEECH[:8000]), (16_000, SPEECH[16_000:]), gaps=[[8000, 16_000]])

    work(recording, config_in(tmp_path))

    assert (recording.state, recording.missing) == ("complete", [[250, 500]])


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("storage")
def test_a_recording_that_stopped_is_partial_and_says_how_far_it_goes(folder: PartFolder, tmp_path: Path) -> None:
    recording = make_recording(folder, (0, SPEECH[:8000]))
    SessionRecording.objects.filter(pk=recording.pk).update(reason="disk_full")

    # A writer may still have something to write.
    assert work(recording, config_in(tmp_path)).due_in_s is not None
    assert recording.state == "recording"
    TranscriptionSession.objects.update(ended_at=timezone.now() - timedelta(minutes=1))
    work(recording, config_in(tmp_path))

    assert (recording.state, recording.reason, recording.reached_bytes) == ("partial", "disk_full", 8000)
    assert recording.duration_ms == 250


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("storage")
def test_a_session_without_audio_has_no_recording(folder: PartFolder, tmp_path: Path) -> None:
    recording = make_recording(folder, audio_bytes=0, committed_bytes=0)

    work(recording, config_in(tmp_path))

    assert (recording.state, recording.reason) == ("failed", "empty")


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("storage")
def test_joining_again_takes_the_place_of_what_a_killed_process_left(folder: PartFolder, tmp_path: Path) -> None:
    recording = make_recording(folder, (0, SPEECH))
    name = f"{recording.created_at:%Y/%m}/{recording.folder}.wav"
    store.recordings().save(name, ContentFile(b"half"))

    work(recording, config_in(tmp_path, recording_format="wav"))

    assert recording.name == name
    assert store.recordings().size(name) == recording.size_bytes > 4


class DeletedMeanwhile(InMemoryStorage):
    """While a file is on its way its session is deleted."""

    def save(self, *arguments: Any, **options: Any) -> str:
        name = super().save(*arguments, **options)
        SessionRecording.objects.all().delete()
        return name


@pytest.mark.django_db(transaction=True)
def test_a_file_whose_session_was_deleted_meanwhile_does_not_stay(
    folder: PartFolder, tmp_path: Path, settings: Any
) -> None:
    settings.STORAGES = {**settings.STORAGES, "recordings": {"BACKEND": f"{__name__}.DeletedMeanwhile"}}
    recording = make_recording(folder, (0, SPEECH))

    with pytest.raises(SessionRecording.DoesNotExist):
        work(recording, config_in(tmp_path))

    assert list(store.recordings().listdir(f"{recording.created_at:%Y/%m}")[1]) == []


# Deletion and retention


def make_kept(folder: PartFolder, **fields: Any) -> SessionRecording:
    recording = make_recording(folder, (0, b"rest"))
    name = store.recordings().save(f"{recording.folder}.wav", ContentFile(b"audio"))
    usual = {"state": "complete", "name": name, "finished_at": Now(), "peaks": b"12", "size_bytes": 5}
    SessionRecording.objects.filter(pk=recording.pk).update(**(usual | fields))
    recording.refresh_from_db()
    return recording


@pytest.mark.django_db
@pytest.mark.usefixtures("storage")
def test_audio_goes_with_its_session(folder: PartFolder, settings: Any) -> None:
    recording = make_kept(folder)
    session = recording.session
    assert session is not None

    services.delete_session(session)

    assert not store.recordings().exists(recording.name)
    assert not SessionRecording.objects.exists()


@pytest.mark.django_db
@pytest.mark.usefixtures("storage")
def test_audio_whose_session_went_another_way_is_deleted_soon(folder: PartFolder) -> None:
    recording = make_kept(folder)
    TranscriptionSession.objects.all().delete()
    assert SessionRecording.objects.filter(session=None).exists()

    assert store.tidy(folder, 0, time.time())

    assert not store.recordings().exists(recording.name)
    assert folder.parts(recording.folder) == []
    assert not SessionRecording.objects.exists()


class Unreachable(InMemoryStorage):
    """A storage that is away."""

    def delete(self, name: str) -> None:
        raise ConnectionError(name)


@pytest.mark.django_db
@pytest.mark.usefixtures("storage")
def test_audio_that_cannot_be_deleted_is_kept_in_mind(folder: PartFolder) -> None:
    recording = make_kept(folder)

    assert not store.delete_audio(recording, folder, "retention", Unreachable())

    recording.refresh_from_db()
    assert (recording.state, recording.name != "") == ("complete", True)


@pytest.mark.django_db
@pytest.mark.usefixtures("storage")
def test_audio_older_than_the_retention_period_goes_and_the_transcript_stays(folder: PartFolder) -> None:
    old = make_kept(folder, finished_at=Now() - timedelta(days=31))
    new = make_kept(folder, finished_at=Now() - timedelta(days=29))

    assert store.tidy(folder, 0, time.time())
    assert store.recordings().exists(old.name)
    assert store.tidy(folder, 30, time.time())

    assert (store.recordings().exists(old.name), store.recordings().exists(new.name)) == (False, True)
    assert AuditEvent.objects.get(what="deleted_audio").actor == "RETAIN_AUDIO_DAYS"
    old.refresh_from_db()
    assert (old.state, old.reason, old.name, bytes(old.peaks)) == ("deleted", "retention", "", b"")
    assert old.deleted_at is not None
    assert TranscriptionSession.objects.get(recording=old).segments.count() == 1


@pytest.mark.django_db
@pytest.mark.usefixtures("storage")
def test_a_protected_session_keeps_its_audio(folder: PartFolder) -> None:
    recording = make_kept(folder, finished_at=Now() - timedelta(days=31))
    protect(TranscriptionSession.objects.get(recording=recording), "evidence")

    assert store.tidy(folder, 30, time.time())

    assert store.recordings().exists(recording.name)


@pytest.mark.django_db
@pytest.mark.usefixtures("storage")
def test_parts_without_a_recording_are_swept_after_a_while(folder: PartFolder) -> None:
    wanted = make_recording(folder, (0, SPEECH))
    write_part(folder, SPEECH, name=folder_name(10**9, timezone.now()))

    store.tidy(folder, 0, time.time())
    assert len(list(folder.folders())) == 2
    store.tidy(folder, 0, time.time() + store.FORGOTTEN_AFTER_S + 60)

    assert [name for name, _changed_s in folder.folders()] == [wanted.folder]


# Waiting for repair


@pytest.mark.django_db
def test_a_session_whose_audio_is_to_be_heard_again_is_not_given_up_yet(folder: PartFolder) -> None:
    recording = make_recording(folder, state=State.DETACHED, resume_until=Now() - timedelta(minutes=1))

    assert expire_detached() == 0
    SessionRecording.objects.filter(pk=recording.pk).update(needs_repair=False)
    assert expire_detached() == 1


@pytest.mark.django_db
def test_where_nobody_works_at_jobs_sessions_end_all_the_same(folder: PartFolder) -> None:
    make_recording(folder, state=State.DETACHED, resume_until=Now() - timedelta(hours=2))

    assert expire_detached() == 1


@pytest.mark.django_db
@pytest.mark.parametrize(("keeps", "state"), [(True, "detached"), (False, "interrupted")])
def test_a_lost_session_that_cannot_be_resumed_waits_only_for_its_own_audio(
    folder: PartFolder, keeps: bool, state: str
) -> None:
    recording = make_recording(folder, state=State.LIVE, options_applied={"keep_audio": keeps}, ended_at=None)

    assert release_lost((), ResumeBounds(600.0, 3600.0)) == 1

    session = TranscriptionSession.objects.get(recording=recording)
    assert session.state == state


def test_orders_survive_their_way_as_json() -> None:
    orders = Orders("/parts", FOLDER, "MULAW", 8000, 1, "flac")

    assert Orders(**dataclasses.asdict(orders)).audio_format == AudioFormat(Encoding.MULAW, 8000)
