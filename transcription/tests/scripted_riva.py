"""A Riva on a real gRPC port that does what a script says: the recogniser of tests, faults included."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal, Self

import grpc
import grpc.aio
from riva.client.proto import riva_asr_pb2 as messages
from riva.client.proto import riva_asr_pb2_grpc as services

from transcription.tests.scripted_engine import ScriptedEngine

WAIT_S = 10.0
Outcome = Literal["open", "ended", "aborted", "cancelled"]


@dataclass(frozen=True, slots=True)
class Script:
    """What one stream does. Times of audio are ms from the beginning of the stream.

    delay_s: before each response. abort: the status and text the stream ends with, at once or after
    abort_after_ms. early_ok_after_ms: ends OK there. hang_after_ms: goes on reading and says nothing more.
    deaf_after_ms: stops reading. mute_open: neither reads the config nor says anything. duplicate_finals: each
    is sent twice. settles: initial metadata say so once the config is read. The rest as in ScriptedEngine.
    """

    delay_s: float = 0.0
    abort: tuple[grpc.StatusCode, str] | None = None
    abort_after_ms: int | None = None
    early_ok_after_ms: int | None = None
    hang_after_ms: int | None = None
    deaf_after_ms: int | None = None
    mute_open: bool = False
    no_finals: bool = False
    duplicate_finals: bool = False
    bad_times: bool = False
    settles: bool = False
    word_times: bool = True

    @property
    def stop_at_ms(self) -> int | None:
        marks = (self.abort_after_ms, self.early_ok_after_ms, self.hang_after_ms, self.deaf_after_ms)
        return min((mark for mark in marks if mark is not None), default=None)


@dataclass(slots=True)
class StreamRecord:
    """What one stream received and gave, as it happens. finals: their texts. config: StreamingRecognitionConfig.

    A client that cancels while it is read from may show as half-closed and ended: gRPC sometimes tells of the
    end of its audio first.
    """

    metadata: dict[str, str]
    config: Any = None
    audio_bytes: int = 0
    finals: list[str] = field(default_factory=list)
    interims: int = 0
    forced_ends: int = 0
    half_closed: bool = False
    outcome: Outcome = "open"


class ScriptedRiva:
    """`async with ScriptedRiva([Script(...)]) as riva:` listens at riva.address.

    scripts: one for each stream in the order of opening; further ones follow default. refuse_over: streams
    held at once, beyond them RESOURCE_EXHAUSTED. max_concurrent_streams: beyond them gRPC lets streams wait
    without a word. models: name -> parameters; None: the question is not implemented. credentials: for TLS.
    """

    def __init__(
        self,
        scripts: Sequence[Script] = (),
        *,
        default: Script | None = None,
        refuse_over: int | None = None,
        max_concurrent_streams: int | None = None,
        models: Mapping[str, Mapping[str, str]] | None = None,
        credentials: grpc.ServerCredentials | None = None,
    ) -> None:
        self.streams: list[StreamRecord] = []
        self.refused = 0
        self.questions: list[dict[str, str]] = []
        self.models = models
        self._scripts = list(scripts)
        self._default = default or Script()
        self._refuse_over = refuse_over
        self._max_concurrent_streams = max_concurrent_streams
        self._credentials = credentials
        self._server: Any = None
        self._port = 0
        self._changed = asyncio.Event()

    @property
    def address(self) -> str:
        return f"localhost:{self._port}"

    @property
    def open_streams(self) -> int:
        return sum(record.outcome == "open" for record in self.streams)

    @property
    def finals(self) -> list[str]:
        """Texts of all finals sent, in order of streams."""
        return [text for record in self.streams for text in record.finals]

    async def start(self) -> None:
        """Listen; after stop() at the same port."""
        options = [("grpc.max_receive_message_length", 16 * 1024 * 1024)]
        if self._max_concurrent_streams is not None:
            options.append(("grpc.max_concurrent_streams", self._max_concurrent_streams))
        self._server = grpc.aio.server(options=options)
        services.add_RivaSpeechRecognitionServicer_to_server(_Servicer(self), self._server)
        place = f"localhost:{self._port}"
        if self._credentials is None:
            self._port = self._server.add_insecure_port(place)
        else:
            self._port = self._server.add_secure_port(place, self._credentials)
        await self._server.start()

    async def stop(self) -> None:
        """Break every stream off and stop listening, as a killed process does."""
        await self._server.stop(None)

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Wait until something is so that streams bring about. Raises TimeoutError after 10 s."""
        async with asyncio.timeout(WAIT_S):
            while not is_so():
                self._changed.clear()
                await self._changed.wait()

    async def all_released(self) -> None:
        """Wait until no stream is held any more."""
        await self.until(lambda: self.open_streams == 0)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()

    def admit(self, metadata: dict[str, str]) -> tuple[Script, StreamRecord] | None:
        """A place for a new stream and what it is to do; None if all are taken."""
        if self._refuse_over is not None and self.open_streams >= self._refuse_over:
            self.refused += 1
            self.notify()
            return None
        index = len(self.streams)
        record = StreamRecord(metadata)
        self.streams.append(record)
        self.notify()
        return (self._scripts[index] if index < len(self._scripts) else self._default), record

    def notify(self) -> None:
        self._changed.set()


class _Servicer(services.RivaSpeechRecognitionServicer):
    def __init__(self, riva: ScriptedRiva) -> None:
        self._riva = riva

    async def GetRivaSpeechRecognitionConfig(self, request: Any, context: Any) -> Any:
        self._riva.questions.append(dict(context.invocation_metadata()))
        if self._riva.models is None:
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, "Method not implemented!")
        Config = messages.RivaSpeechRecognitionConfigResponse.Config
        models = (self._riva.models or {}).items()
        return messages.RivaSpeechRecognitionConfigResponse(
            model_config=[Config(model_name=name, parameters=parameters) for name, parameters in models]
        )

    async def StreamingRecognize(self, request_iterator: Any, context: Any) -> None:
        admitted = self._riva.admit(dict(context.invocation_metadata()))
        if admitted is None:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "no stream is free")
            return
        script, record = admitted
        outcome: Outcome = "aborted"
        try:
            await _Play(self._riva, script, record, context).run()
            outcome = "ended"
        except asyncio.CancelledError:
            outcome = "cancelled"
            raise
        finally:
            record.outcome = outcome
            self._riva.notify()


class _Play:
    """One stream following its script."""

    def __init__(self, riva: ScriptedRiva, script: Script, record: StreamRecord, context: Any) -> None:
        self._riva = riva
        self._script = script
        self._record = record
        self._context = context

    async def run(self) -> None:
        script = self._script
        if script.mute_open:
            await _for_ever()
        if script.abort is not None and script.abort_after_ms is None:
            await self._context.abort(*script.abort)
        first = await self._context.read()
        if first is grpc.aio.EOF or not first.HasField("streaming_config"):
            await self._context.abort(grpc.StatusCode.INVALID_ARGUMENT, "streaming_config must come first")
        self._record.config = first.streaming_config
        self._riva.notify()
        if script.settles:
            await self._context.send_initial_metadata((("x-audio-processed", "settled"),))
        await self._answer(
            ScriptedEngine(
                first.streaming_config,
                settles=script.settles,
                word_times=script.word_times,
                bad_times=script.bad_times,
                no_finals=script.no_finals,
                stop_at_ms=script.stop_at_ms,
            )
        )

    async def _answer(self, engine: ScriptedEngine) -> None:
        while (request := await self._context.read()) is not grpc.aio.EOF:
            self._record.audio_bytes += len(request.audio_content)
            self._riva.notify()
            await self._send(engine.hear(request.audio_content))
            if engine.has_stopped:
                return await self._stop()
            if request.runtime_config.get("force_eou") == "true":
                self._record.forced_ends += 1
                await self._send(engine.end_utterance())
        self._record.half_closed = True
        self._riva.notify()
        if not self._script.no_finals:
            await self._send(engine.end_utterance())

    async def _send(self, responses: Any) -> None:
        for response in responses:
            if self._script.delay_s:
                await asyncio.sleep(self._script.delay_s)
            result = response.results[0]
            text = result.alternatives[0].transcript.strip()
            copies = 2 if self._script.duplicate_finals and result.is_final and text else 1
            for _ in range(copies):
                await self._context.write(response)
            if result.is_final and text:
                self._record.finals.append(text)
            self._record.interims += not result.is_final
            self._riva.notify()

    async def _stop(self) -> None:
        """Do what the script has for this position of the audio."""
        script = self._script
        if script.stop_at_ms == script.abort_after_ms and script.abort is not None:
            await self._context.abort(*script.abort)
        if script.stop_at_ms == script.hang_after_ms:
            while await self._context.read() is not grpc.aio.EOF:
                pass
            await _for_ever()
        if script.stop_at_ms == script.deaf_after_ms:
            await _for_ever()


async def _for_ever() -> None:
    """Until the call is cancelled, by its client or by the server's stop."""
    await asyncio.get_running_loop().create_future()
