"""Audio on its way to the disk: in order, bounded, and never in the way of what is heard."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from transcription.audio.formats import AudioFormat
from transcription.events import Ack, AudioWarning, Final
from transcription.recording.parts import PartFolder, folder_name
from transcription.recording.plan import missing
from transcription.recording.resuming import kept_to
from transcription.recording.tape import Budget, Problem, Tape
from transcription.recording.writer import TapeWriter
from transcription.storage.steps import SessionHandle
from transcription.tests.live_session import SECOND, SPEECH, LiveSession, final
from transcription.tests.memory_store import MemoryStore
from transcription.tests.recording_folders import FullDisk, write_part
from transcription.tests.virtual_time import in_virtual_time

HANDLE = SessionHandle(7, "my-id", 2, 0, 0, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
FOLDER = folder_name(HANDLE.pk, HANDLE.created_at)


class Written:
    """A writer whose rounds the test calls, and what it told."""

    def __init__(self, folder: PartFolder, *, budget: Budget | None = None) -> None:
        self.stopped: list[tuple[int, Problem]] = []
        self.folder = folder
        self.writer = TapeWriter(
            folder, on_stopped=lambda pk, problem: self.stopped.append((pk, problem)), write_every_s=0, budget=budget
        )

    def tape(self, *, start: int = 0) -> Tape:
        tape = self.writer.new_tape(AudioFormat(), start=start)
        tape.begin(HANDLE)
        return tape

    @property
    def all_content(self) -> bytes:
        """Of the only session there is."""
        [(name, _changed_s)] = self.folder.folders()
        return self.content(name)

    def content(self, name: str = FOLDER) -> bytes:
        return b"".join(part.path.read_bytes() for part in self.folder.parts(name))


def test_audio_is_written_in_order_and_says_where_it_belongs(tmp_path: Path) -> None:
    written = Written(PartFolder(tmp_path))
    tape = written.tape(start=100)
    tape.add(100, b"abc")
    tape.add(103, b"def")
    assert tape.written_to == 100
    written.writer.write_all()
    tape.add(106, b"ghi")
    tape.close()
    written.writer.write_all()

    [part] = written.folder.parts(FOLDER)
    assert (part.start, part.end, part.epoch) == (100, 109, 2)
    assert (written.content(), tape.written_to) == (b"abcdefghi", 109)
    assert part.path.stat().st_mode & 0o777 == 0o600


def test_nothing_is_written_before_the_session_has_its_row(tmp_path: Path) -> None:
    written = Written(PartFolder(tmp_path))
    tape = written.writer.new_tape(AudioFormat())
    tape.add(0, b"abc")
    written.writer.write_all()
    assert list(tmp_path.iterdir()) == []

    tape.begin(HANDLE)
    written.writer.write_all()
    assert written.content() == b"abc"


def test_the_thread_writes_what_is_left_when_it_ends(tmp_path: Path) -> None:
    writer = TapeWriter(PartFolder(tmp_path), on_stopped=lambda _pk, _problem: None, write_every_s=3600)
    tape = writer.new_tape(AudioFormat())
    tape.begin(HANDLE)
    tape.add(0, b"abc")
    writer.close()

    assert tape.written_to == 3
    assert PartFolder(tmp_path).size_bytes(FOLDER) == 3


def test_a_disk_without_room_ends_the_recording_and_tells_it_once(tmp_path: Path) -> None:
    written = Written(PartFolder(tmp_path, min_free_bytes=10, free_bytes=lambda _path: 9))
    tape = written.tape()
    tape.add(0, b"abc")
    written.writer.write_all()
    written.writer.write_all()

    assert (tape.problem, written.stopped) == ("disk_full", [(7, "disk_full")])
    assert written.content() == b""


def test_a_disk_that_is_too_slow_ends_the_recording_at_a_bound(tmp_path: Path) -> None:
    written = Written(PartFolder(tmp_path), budget=Budget(max_bytes=1000))
    first, second = written.tape(), written.tape()
    first.add(0, bytes(900))
    second.add(0, bytes(200))
    assert (first.problem, second.problem) == (None, "disk_slow")
    first.add(900, bytes(50))
    assert first.problem is None

    written.writer.write_all()
    assert first.written_to == 950
    assert written.stopped == [(7, "disk_slow")]


def test_one_session_may_wait_for_its_disk_for_so_long(tmp_path: Path) -> None:
    written = Written(PartFolder(tmp_path))
    tape = written.tape()
    for second in range(181):
        tape.add(second * SECOND, bytes(SECOND))

    assert tape.problem == "disk_slow"
    assert tape.take() == b""


@in_virtual_time
async def test_everything_that_is_fed_is_kept_though_it_is_let_go_of_between_two_ticks(tmp_path: Path) -> None:
    written = Written(PartFolder(tmp_path))
    tape = written.writer.new_tape(AudioFormat())
    async with LiveSession(tape=tape, keep_audio=True) as session:
        stream = await session.opened()
        await session.speak(1)
        stream.say(final("one"))
        await session.until(Final)
        await session.speak(2)
        session.stop()
        stream.end_ok()
        await session.ended()
    written.writer.write_all()

    assert written.all_content == SPEECH[: SECOND // 4] * 12


@in_virtual_time
async def test_audio_is_told_safe_only_once_it_is_kept(tmp_path: Path) -> None:
    written = Written(PartFolder(tmp_path))
    tape = written.writer.new_tape(AudioFormat())
    async with LiveSession(tape=tape, keep_audio=True) as session:
        stream = await session.opened()
        await session.speak(3)
        stream.say(final("one"))
        await session.until(Final)
        settled = session.row.committed_bytes
        assert (session.of(Ack)[-1].safe, settled > 0) == (0, True)
        written.writer.write_all()
        await session.speak(1)
        session.stop()
        stream.end_ok()
    assert settled in [ack.safe for ack in session.of(Ack)]


@in_virtual_time
async def test_row_28_a_full_disk_ends_the_recording_and_nothing_else(tmp_path: Path) -> None:
    disk = FullDisk(tmp_path)
    disk.room_bytes = SECOND + 1
    written = Written(disk)
    tape = written.writer.new_tape(AudioFormat())
    async with LiveSession(tape=tape, keep_audio=True) as session:
        stream = await session.opened()
        await session.speak(1)
        written.writer.write_all()
        await session.speak(1)
        written.writer.write_all()
        await session.speak(1)
        stream.say(final("all of it", end_ms=3000))
        await session.until(Final)
        session.stop()
        stream.end_ok()
        ending = await session.ended()
    written.writer.write_all()

    assert [warning.code for warning in session.of(AudioWarning)].count("recording_stopped") == 1
    assert (ending.state, session.texts) == ("completed", ["all of it"])
    assert written.stopped == [(session.row.pk, "disk_full")]
    # What was kept until then can be heard.
    assert len(written.all_content) == SECOND + 1


@in_virtual_time
async def test_a_session_without_a_tape_says_what_is_settled() -> None:
    async with LiveSession(store=MemoryStore()) as session:
        stream = await session.opened()
        await session.speak(3)
        stream.say(final("one"))
        await session.until(Final)
        assert session.of(Ack)[-1].safe == session.row.committed_bytes > 0
        session.stop()
        stream.end_ok()


def test_a_client_sends_again_what_was_settled_and_not_written(tmp_path: Path) -> None:
    folder, pcm = PartFolder(tmp_path), AudioFormat()
    part = write_part(folder, bytes(1000))

    assert kept_to([part], 1500, 0, pcm) == 1000
    assert kept_to([part], 800, 0, pcm) == 800
    assert kept_to([part], 1500, 1201, pcm) == 1202
    assert kept_to([part], 1500, 9000, pcm) == 1500
    # What is missing further back was lost long ago.
    later = write_part(folder, bytes(500), start=1100, epoch=2)
    assert missing([part, later], 1500) == [(1000, 1100)]
    assert kept_to([part, later], 1500, 0, pcm) == 1500
