"""Real speech through the embedded recogniser, cut off three times in the middle of sentences: the same words."""

from __future__ import annotations

import asyncio
import difflib
import os
import random
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from speechsite.tests.served import Served, wait_for
from transcription.tests.chaos.client import ResilientClient
from transcription.tests.chaos.microphone import BYTES_PER_SECOND, Microphone
from transcription.tests.speech_clips import load_clip, load_clips
from transcription.tests.word_error_rate import plain

RECOGNISER_MODULE = "transcription.asr_server"
LONG_CLIP = "long-librispeech-3331"
PAUSE = bytes(BYTES_PER_SECOND * 7 // 10)
# One speaker without a break, and several with pauses.
AUDIO = {
    "one-speaker": load_clip(LONG_CLIP).pcm,
    "several": PAUSE.join(clip.pcm for clip in load_clips() if clip.name != LONG_CLIP),
}
SEEDS = (1, 2)
SPEED = 1.5


@pytest.fixture(scope="module")
def served(new_data_dir: Callable[[], Path]) -> Iterator[Served]:
    with Served(new_data_dir(), "--workers", "2", RIVA_SERVER="", DATABASE_URL="sqlite://", REDIS_URL="") as running:
        wait_for(running.is_ready, "ready")
        yield running


def new_client(served: Served, clip: str, session_id: str) -> ResilientClient:
    url = served.url.replace("http", "ws", 1) + f"/api/v1/transcribe/{session_id}"
    return ResilientClient(url, session_id, Microphone(AUDIO[clip], speed=SPEED))


def worker_of(served: Served, session_id: str) -> int:
    with closing(sqlite3.connect(served.data_dir / "speechsite.sqlite3", timeout=20)) as database:
        found = database.execute(
            "SELECT w.pid FROM transcription_transcriptionsession s JOIN transcription_worker w ON w.id = s.worker_id "
            "WHERE s.public_id = ?",
            (session_id,),
        ).fetchone()
    return int(found[0])


async def cut_three_times(served: Served, client: ResilientClient, clip: str, chance: random.Random) -> list[str]:
    """The client, its worker and the recogniser, in random order at random moments. Returns when each came."""
    duration_s = len(AUDIO[clip]) / BYTES_PER_SECOND
    moments_s = sorted(chance.uniform(0.1, 0.9) * duration_s / SPEED for _ in range(3))
    who = chance.sample(["client", "worker", "recogniser"], 3)
    await client.started.wait()
    loop = asyncio.get_running_loop()
    started_at_s = loop.time()
    for one, at_s in zip(who, moments_s, strict=True):
        await asyncio.sleep(max(0.0, started_at_s + at_s - loop.time()))
        match one:
            case "client":
                client.cut()
            case "worker":
                os.kill(worker_of(served, client.record.session_id), signal.SIGKILL)
            case "recogniser":
                [pid] = served.children(RECOGNISER_MODULE)
                os.kill(pid, signal.SIGKILL)
    return [f"{one} at {at_s * SPEED:.1f} s" for one, at_s in zip(who, moments_s, strict=True)]


def changes(undisturbed: str, cut: str) -> list[str]:
    """The words that differ, each with what it became."""
    before, after = plain(undisturbed).split(), plain(cut).split()
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
    return [
        f"{' '.join(before[i1:i2]) or '-'} -> {' '.join(after[j1:j2]) or '-'}"
        for tag, i1, i2, j1, j2 in matcher.get_opcodes()
        if tag != "equal"
    ]


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize("clip", AUDIO)
async def test_speech_that_is_cut_off_three_times_gives_the_same_words(served: Served, clip: str) -> None:
    whole = new_client(served, clip, f"{clip}-whole")
    await whole.run()
    assert whole.record.stopped is not None
    assert len(plain(whole.text).split()) > 20
    for seed in SEEDS:
        client = new_client(served, clip, f"{clip}-cut-{seed}")
        running = asyncio.create_task(client.run())
        cuts = await cut_three_times(served, client, clip, random.Random(seed))  # noqa: S311 - when, not a secret
        await running
        assert client.record.stopped is not None, client.events[-2:]
        assert client.record.problems == []
        changed = changes(whole.text, client.text)
        print(f"{clip}, cut: {', '.join(cuts)}; {len(plain(whole.text).split())} words, changed: {changed or 'none'}")
        assert changed == []
        wait_for(served.is_ready, "ready")
