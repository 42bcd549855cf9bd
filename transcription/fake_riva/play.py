"""One stream of the fake Riva following its script."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import grpc
import grpc.aio

from transcription.fake_riva.engine import ScriptedEngine
from transcription.fake_riva.record import StreamRecord
from transcription.fake_riva.script import Script

PADDING = " pad"


class Stage(Protocol):
    """What a stream needs of its server. notify: something was recorded. thawed: returns unless it is frozen."""

    @property
    def on_final(self) -> Callable[[StreamRecord, str], None]: ...

    def notify(self) -> None: ...
    async def thawed(self) -> None: ...


class Play:
    def __init__(self, stage: Stage, script: Script, record: StreamRecord, context: Any) -> None:
        self._stage = stage
        self._script = script
        self._record = record
        self._context = context
        self._first_audio_at_s: float | None = None

    async def run(self) -> None:
        script = self._script
        if script.mute_open:
            await for_ever()
        first = await self._context.read()
        if first is grpc.aio.EOF or not first.HasField("streaming_config"):
            await self._context.abort(grpc.StatusCode.INVALID_ARGUMENT, "streaming_config must come first")
        self._record.config = first.streaming_config
        self._stage.notify()
        # As Riva does: it looks at the config first. A refusal that meets the client's write would show as INTERNAL.
        if script.abort is not None and script.abort_after_ms is None:
            await self._context.abort(*script.abort)
        if script.settles:
            await self._context.send_initial_metadata((("x-audio-processed", "settled"),))
        await self._answer(
            ScriptedEngine(
                first.streaming_config,
                settles=script.settles,
                word_times=script.word_times,
                bad_times=script.bad_times,
                word_time_error_ms=script.word_time_error_ms,
                no_finals=script.no_finals,
                stop_at_ms=script.stop_at_ms,
            )
        )

    async def _answer(self, engine: ScriptedEngine) -> None:
        while (request := await self._context.read()) is not grpc.aio.EOF:
            await self._stage.thawed()
            self._record.audio_bytes += len(request.audio_content)
            self._stage.notify()
            responses = list(engine.hear(request.audio_content))
            await self._take_time(engine.position_ms)
            await self._send(responses)
            if engine.has_stopped:
                return await self._stop()
            if request.runtime_config.get("force_eou") == "true":
                self._record.forced_ends += 1
                await self._send(engine.end_utterance())
        self._record.half_closed = True
        self._stage.notify()
        if not self._script.no_finals:
            await self._send(engine.end_utterance())

    async def _take_time(self, heard_ms: int) -> None:
        """Hear no faster than the script's speed."""
        if not self._script.speed:
            return
        now_s = time.monotonic()
        if self._first_audio_at_s is None:
            self._first_audio_at_s = now_s
        done_at_s = self._first_audio_at_s + heard_ms / 1000 / self._script.speed
        await asyncio.sleep(max(0.0, done_at_s - now_s))

    async def _send(self, responses: Iterable[Any]) -> None:
        for response in responses:
            await self._stage.thawed()
            if self._script.delay_s:
                await asyncio.sleep(self._script.delay_s)
            result = response.results[0]
            hypothesis = result.alternatives[0]
            text = hypothesis.transcript.strip()
            is_speech = bool(result.is_final and text)
            if is_speech:
                hypothesis.transcript += PADDING * (self._script.padding_bytes // len(PADDING))
                # Before it is sent: what somebody has of it is never more than what is recorded.
                self._record.finals.append(text)
                self._stage.on_final(self._record, text)
            for _ in range(2 if self._script.duplicate_finals and is_speech else 1):
                await self._context.write(response)
            self._record.interims += not result.is_final
            self._stage.notify()

    async def _stop(self) -> None:
        """Do what the script has for this position of the audio."""
        script = self._script
        if script.stop_at_ms == script.abort_after_ms and script.abort is not None:
            await self._context.abort(*script.abort)
        if script.stop_at_ms == script.hang_after_ms:
            while await self._context.read() is not grpc.aio.EOF:
                pass
            await for_ever()
        if script.stop_at_ms == script.deaf_after_ms:
            await for_ever()


async def for_ever() -> None:
    """Until the call is cancelled, by its client or by the server's stop."""
    await asyncio.get_running_loop().create_future()
