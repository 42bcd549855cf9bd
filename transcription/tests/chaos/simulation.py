"""A session without sockets: the real watermark, the fake Riva's engine and a store, losses where a test wants them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

from transcription.audio.formats import AudioFormat
from transcription.engine.recognition import Capabilities, Result
from transcription.engine.watermark import WATERMARK_PAD_MS, Watermark
from transcription.fake_riva.audio import Speech, word_numbers
from transcription.fake_riva.engine import ScriptedEngine
from transcription.identity.principals import LOCAL
from transcription.options import TranscriptionConfig
from transcription.results import FinalResult, InterimResult, Progress
from transcription.riva.convert import ResultConverter, build_config_request
from transcription.storage.steps import Ending, NewSegment, Resume, Step
from transcription.tests.chaos.checker import Verdict, check
from transcription.tests.chaos.records import ClientRecord, StoredSegment, StoredSession
from transcription.tests.memory_store import MemorySession, MemoryStore
from transcription.tests.sessions import new_session

RIVA = Capabilities(settles=False, word_times=True)
FORMAT = AudioFormat()
CHUNK_BYTES = 3200
TOKEN_DIGEST = hashlib.sha256(b"token").hexdigest()


@dataclass(frozen=True, slots=True)
class Loss:
    """What is lost once so much of the audio has been sent, and has to be got over."""

    at_ms: int
    who: Literal["recogniser", "client"]


class Stream:
    """The engine behind the converter, from a position of the session on."""

    def __init__(self, start_bytes: int, word_time_error_ms: int) -> None:
        config = TranscriptionConfig().as_applied()
        self._converter = ResultConverter(config, base_ms=FORMAT.bytes_to_ms(start_bytes))
        streaming = build_config_request(config).streaming_config
        self._engine = ScriptedEngine(streaming, word_time_error_ms=word_time_error_ms)
        self._sent_bytes = 0

    def hear(self, chunk: bytes) -> Iterator[Result]:
        self._sent_bytes += len(chunk)
        yield from self._convert(self._engine.hear(chunk))

    def end(self) -> Iterator[Result]:
        yield from self._convert(self._engine.end_utterance())

    def _convert(self, responses: Iterable[Any]) -> Iterator[Result]:
        for response in responses:
            yield from self._converter.convert(response, sent_ms=FORMAT.bytes_to_ms(self._sent_bytes))


class Simulation:
    """One session of `speech`. pad_ms: the watermark's. store: what it is kept in."""

    def __init__(
        self,
        speech: Speech,
        *,
        store: MemoryStore | None = None,
        pad_ms: int = WATERMARK_PAD_MS,
        word_time_error_ms: int = 0,
    ) -> None:
        self._audio = b"".join(speech.chunks())
        self._store = store or MemoryStore()
        self._pad_ms = pad_ms
        self._word_time_error_ms = word_time_error_ms
        self._client = ClientRecord(
            "my-id",
            words=tuple(speech.timeline()),
            sent_bytes=len(self._audio),
            stopped={"reason": "client"},
        )
        self._watermark = Watermark(pad_ms=pad_ms)
        self._stream = Stream(0, word_time_error_ms)
        self._position = 0
        self._heard: set[int] = set()

    async def run(self, losses: Iterable[Loss]) -> Verdict:
        """Speak it all and check what is stored."""
        self._handle = await self._store.create(replace(new_session("my-id"), resume_token_digest=TOKEN_DIGEST))
        self._next_seq = 0
        for loss in losses:
            await self._speak_until(FORMAT.ms_to_bytes(loss.at_ms))
            if loss.who == "client":
                await self._resume()
            else:
                self._watermark.restart()
            self._listen_from(FORMAT.ms_to_bytes(self._watermark.settled_ms))
        await self._speak_until(len(self._audio))
        await self._take(self._stream.end())
        rest = self._watermark.on_flushed(FORMAT.bytes_to_ms(len(self._audio)), None)
        await self._commit([rest] if rest else [])
        await self._store.finish(self._handle, Ending("completed", "client"))
        row = self._store.sessions["my-id"]
        tolerance_ms = 30 + self._word_time_error_ms
        return check([self._client], {"my-id": stored_in(row)}, self._heard, time_tolerance_ms=tolerance_ms)

    async def _speak_until(self, position: int) -> None:
        while self._position < position:
            chunk = self._audio[self._position : min(position, self._position + CHUNK_BYTES)]
            self._position += len(chunk)
            await self._take(self._stream.hear(chunk))

    async def _take(self, results: Iterator[Result]) -> None:
        for result in results:
            match result:
                case InterimResult():
                    self._watermark.on_interim(result)
                case Progress():
                    self._watermark.on_progress(result, RIVA)
                case FinalResult():
                    self._heard |= set(word_numbers(result.text))
                    sent_ms = FORMAT.bytes_to_ms(self._position)
                    stored = self._watermark.on_final(result, RIVA, sent_ms=sent_ms)
                    await self._commit([stored] if stored else [])

    async def _commit(self, finals: list[FinalResult]) -> None:
        segments = tuple(_segment(self._next_seq + n, final) for n, final in enumerate(finals))
        settled = min(FORMAT.ms_to_bytes(self._watermark.settled_ms), self._position)
        handle = self._handle
        await self._store.commit(Step(handle.pk, handle.epoch, self._next_seq, segments, settled))
        self._next_seq += len(segments)

    async def _resume(self) -> None:
        """The client is gone: what the recogniser still has is a tail. Then it is back."""
        finals = [result for result in self._stream.end() if isinstance(result, FinalResult)]
        for final in finals:
            self._heard |= set(word_numbers(final.text))
        tails = tuple(replace(_segment(self._next_seq + n, final), tail=True) for n, final in enumerate(finals))
        ending = Ending("detached", "client_lost", tails=tails, flushed_bytes=self._position, resume_within_s=600.0)
        await self._store.finish(self._handle, ending)
        taken = await self._store.take(Resume("my-id", LOCAL, TOKEN_DIGEST, None, None, None, "tests", 1800.0))
        self._handle, self._next_seq = taken.handle, taken.handle.next_seq
        self._client.resumed_at.append(self._next_seq)
        self._watermark = Watermark(FORMAT.bytes_to_ms(taken.handle.committed_bytes), pad_ms=self._pad_ms)

    def _listen_from(self, position: int) -> None:
        self._position = position
        self._stream = Stream(position, self._word_time_error_ms)


def _segment(index: int, final: FinalResult) -> NewSegment:
    words = [{"word": word.word, "start_ms": word.start_ms, "end_ms": word.end_ms} for word in final.words]
    return NewSegment(index, final.start_ms, final.end_ms, final.text, words)


def stored_in(row: MemorySession) -> StoredSession:
    segments = tuple(
        StoredSegment(
            segment.index,
            row.epoch,
            segment.start_ms,
            segment.end_ms,
            segment.text,
            tuple((word["word"], word["start_ms"], word["end_ms"]) for word in segment.words),
            segment.tail,
        )
        for segment in [*row.segments, *row.tails]
    )
    return StoredSession(row.public_id, row.state, row.epoch, len(row.segments), row.committed_bytes, segments)
