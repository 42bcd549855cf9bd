"""A Riva on a real gRPC port that does what a script says: the recogniser of tests, faults included."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import grpc
import grpc.aio
from riva.client.proto import riva_asr_pb2 as messages
from riva.client.proto import riva_asr_pb2_grpc as services

from transcription.fake_riva.play import Play
from transcription.fake_riva.record import Outcome, StreamRecord
from transcription.fake_riva.script import Script

WAIT_S = 10.0
DEFAULT_HOST = "localhost"
MAX_MESSAGE_BYTES = 16 * 1024 * 1024


class ScriptedRiva:
    """`async with ScriptedRiva([Script(...)]) as riva:` listens at riva.address.

    scripts: one for each stream in the order of opening; further ones follow default. Both may be changed while it
    runs. refuse_over: streams held at once, beyond them RESOURCE_EXHAUSTED. refuse_next: so many of
    the next streams are refused with it. max_concurrent_streams: beyond them gRPC lets streams wait without a
    word. models: name -> parameters; None: the question is not implemented. credentials: for TLS.
    on_final: called with every final sent.
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
        host: str = DEFAULT_HOST,
        port: int = 0,
        on_final: Callable[[StreamRecord, str], None] = lambda record, text: None,
    ) -> None:
        self.streams: list[StreamRecord] = []
        self.refused = 0
        self.refuse_next = 0
        self.questions: list[dict[str, str]] = []
        self.models = models
        self.default = default or Script()
        self.on_final = on_final
        self.port = port
        self._host = host
        self.scripts = deque(scripts)
        self._refuse_over = refuse_over
        self._max_concurrent_streams = max_concurrent_streams
        self._credentials = credentials
        self._server: Any = None
        self._changed = asyncio.Event()
        self._thawed = asyncio.Event()
        self._thawed.set()
        self._leaving: set[asyncio.Task[None]] = set()

    @property
    def address(self) -> str:
        return f"{self._host}:{self.port}"

    @property
    def open_streams(self) -> int:
        return sum(record.outcome == "open" for record in self.streams)

    @property
    def finals(self) -> list[str]:
        """Texts of all finals sent, in order of streams."""
        return [text for record in self.streams for text in record.finals]

    async def start(self) -> None:
        """Listen; after stop() at the same port. Raises RuntimeError if the port is taken."""
        options = [("grpc.max_receive_message_length", MAX_MESSAGE_BYTES)]
        if self._max_concurrent_streams is not None:
            options.append(("grpc.max_concurrent_streams", self._max_concurrent_streams))
        self._server = grpc.aio.server(options=options)
        services.add_RivaSpeechRecognitionServicer_to_server(_Servicer(self), self._server)
        if self._credentials is None:
            self.port = self._server.add_insecure_port(self.address)
        else:
            self.port = self._server.add_secure_port(self.address, self._credentials)
        await self._server.start()

    async def stop(self) -> None:
        """Break every stream off and stop listening, as a killed process does."""
        await self._server.stop(None)
        await asyncio.gather(*self._leaving)

    async def go_away(self, grace_s: float) -> None:
        """Tell every connection GOAWAY and listen anew at the same port; open streams have grace_s to end."""
        leaving = asyncio.create_task(self._server.stop(grace_s))
        self._leaving.add(leaving)
        leaving.add_done_callback(self._leaving.discard)
        await asyncio.sleep(0)  # the old server gives its port up first
        await self.start()

    def freeze(self) -> None:
        """Read and say nothing any more, as a stopped process; connections stay."""
        self._thawed.clear()

    def thaw(self) -> None:
        self._thawed.set()

    async def thawed(self) -> None:
        await self._thawed.wait()

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
        is_full = self._refuse_over is not None and self.open_streams >= self._refuse_over
        if is_full or self.refuse_next:
            self.refuse_next -= not is_full
            self.refused += 1
            self.notify()
            return None
        record = StreamRecord(len(self.streams), metadata)
        self.streams.append(record)
        self.notify()
        return (self.scripts.popleft() if self.scripts else self.default), record

    def notify(self) -> None:
        self._changed.set()


class _Servicer(services.RivaSpeechRecognitionServicer):
    def __init__(self, riva: ScriptedRiva) -> None:
        self._riva = riva

    async def GetRivaSpeechRecognitionConfig(self, request: Any, context: Any) -> Any:
        await self._riva.thawed()
        self._riva.questions.append(dict(context.invocation_metadata()))
        if self._riva.models is None:
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, "Method not implemented!")
        Config = messages.RivaSpeechRecognitionConfigResponse.Config
        models = (self._riva.models or {}).items()
        return messages.RivaSpeechRecognitionConfigResponse(
            model_config=[Config(model_name=name, parameters=parameters) for name, parameters in models]
        )

    async def StreamingRecognize(self, request_iterator: Any, context: Any) -> None:
        await self._riva.thawed()
        admitted = self._riva.admit(dict(context.invocation_metadata()))
        if admitted is None:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "no stream is free")
            return
        script, record = admitted
        outcome: Outcome = "aborted"
        try:
            await Play(self._riva, script, record, context).run()
            outcome = "ended"
        except asyncio.CancelledError:
            outcome = "cancelled"
            raise
        finally:
            record.outcome = outcome
            self._riva.notify()
