"""The fake Riva fails as its script says, and comes back."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import signal
import subprocess
import sys
import wave
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from riva.client.proto import riva_asr_pb2_grpc as services

from speechsite.config import BASE_DIR
from transcription.fake_riva.audio import Ear, Speech, broken_word_numbers, silence, spoken, word_numbers, word_texts
from transcription.fake_riva.script import BadScript, Script, parse_script
from transcription.fake_riva.server import ScriptedRiva
from transcription.options import TranscriptionConfig
from transcription.riva.convert import build_audio_request, build_config_request

WORDS = " ".join(word_texts(5))
AUDIO = spoken(5)
PATIENCE_S = 10.0
OPTIONS = [
    ("grpc.max_receive_message_length", 16 * 1024 * 1024),
    # Else channels of a process share connections to an address, and the wait after one that failed.
    ("grpc.use_local_subchannel_pool", 1),
]


def listen(channel: Any) -> Any:
    return services.RivaSpeechRecognitionStub(channel).StreamingRecognize()


async def say(call: Any, audio: bytes) -> None:
    await call.write(build_config_request(TranscriptionConfig()))
    await call.write(build_audio_request(audio))


async def finals(call: Any) -> list[str]:
    """Texts of the finals that have some, until the stream ends. Raises AioRpcError."""
    results = [response.results[0] async for response in call]
    texts = [result.alternatives[0].transcript.strip() for result in results if result.is_final]
    return [text for text in texts if text]


async def hear(address: str, audio: bytes = AUDIO) -> list[str]:
    async with asyncio.timeout(PATIENCE_S), grpc.aio.insecure_channel(address, options=OPTIONS) as channel:
        call = listen(channel)
        await say(call, audio)
        await call.done_writing()
        return await finals(call)


async def test_it_hears_the_words_of_the_audio_and_remembers_its_finals() -> None:
    told: list[str] = []
    async with ScriptedRiva(on_final=lambda record, text: told.append(f"{record.number} {text}")) as riva:
        assert await hear(riva.address) == [WORDS]
        assert riva.finals == [WORDS]
    assert told == [f"0 {WORDS}"]


async def test_it_comes_back_at_the_same_port() -> None:
    async with ScriptedRiva() as riva:
        address = riva.address
        await riva.stop()
        with pytest.raises(grpc.aio.AioRpcError):
            await hear(address)
        await riva.start()
        assert (riva.address, await hear(address)) == (address, [WORDS])


async def test_going_away_lets_open_streams_end_and_takes_new_ones() -> None:
    async with ScriptedRiva() as riva, grpc.aio.insecure_channel(riva.address) as channel:
        old = listen(channel)
        await say(old, AUDIO)
        await riva.until(lambda: bool(riva.streams and riva.streams[0].audio_bytes == len(AUDIO)))

        await riva.go_away(PATIENCE_S)
        # A stream that begins before the client has heard of it is refused.
        async with asyncio.timeout(PATIENCE_S):
            await channel.wait_for_state_change(grpc.ChannelConnectivity.READY)
        new = listen(channel)
        await say(new, AUDIO)
        await new.done_writing()
        await old.done_writing()

        assert await finals(new) == [WORDS]
        assert await finals(old) == [WORDS]


async def test_going_away_breaks_streams_off_that_stay() -> None:
    async with ScriptedRiva() as riva, grpc.aio.insecure_channel(riva.address) as channel:
        call = listen(channel)
        await say(call, AUDIO)
        await riva.until(lambda: bool(riva.finals))
        await riva.go_away(0.05)
        with pytest.raises(grpc.aio.AioRpcError):
            await finals(call)


async def test_frozen_it_answers_nothing_until_it_thaws() -> None:
    async with ScriptedRiva() as riva:
        riva.freeze()
        hearing = asyncio.create_task(hear(riva.address))
        done, _ = await asyncio.wait({hearing}, timeout=0.2)
        assert not done
        riva.thaw()
        assert await hearing == [WORDS]


async def test_it_refuses_as_many_streams_as_told() -> None:
    async with ScriptedRiva() as riva:
        riva.refuse_next = 2
        async with grpc.aio.insecure_channel(riva.address) as channel:
            # A write that meets the refusal would hide its status.
            codes = [await listen(channel).code() for _ in range(2)]
        assert codes == [grpc.StatusCode.RESOURCE_EXHAUSTED] * 2
        assert await hear(riva.address) == [WORDS]
        assert riva.refused == 2


async def test_it_hears_no_faster_than_its_speed() -> None:
    audio = silence(600)
    async with ScriptedRiva(default=Script(speed=2.0)) as riva:
        started_at = asyncio.get_running_loop().time()
        await hear(riva.address, audio)
        assert asyncio.get_running_loop().time() - started_at >= 0.29


async def test_its_finals_can_be_very_long() -> None:
    async with ScriptedRiva(default=Script(padding_bytes=10_000_000)) as riva:
        [text] = await hear(riva.address)
        assert len(text) > 9_999_000
        assert word_numbers(text) == [1, 2, 3, 4, 5]
        assert riva.finals == [WORDS]


def test_words_have_numbers_beyond_four_digits() -> None:
    heard = {token.number for token in Ear().hear(spoken(2, first=120_001, word_ms=20)) if token}
    assert heard == {120_001, 120_002}
    assert word_numbers("word120001 part120002 word0007, 8") == [120_001, 7]
    assert broken_word_numbers("word120001 part120002 word0007, 8") == [120_002]


def test_the_timeline_says_where_the_words_are_in_the_audio() -> None:
    speech = Speech(12, word_ms=100, words_per_utterance=3)
    audio = b"".join(speech.chunks())
    frames = Ear().hear(audio)
    for word in speech.timeline():
        inside = frames[word.start_ms // 10 : word.end_ms // 10]
        assert [token and token.number for token in inside] == [word.number] * 10
    assert sum(token is not None for token in frames) == 12 * 10


def test_a_script_is_read_from_texts() -> None:
    assert parse_script([]) == Script()
    assert parse_script(["settles=yes", "abort=UNAVAILABLE:gone: away", "abort_after_ms=500", "delay_s=0.5"]) == Script(
        settles=True, abort=(grpc.StatusCode.UNAVAILABLE, "gone: away"), abort_after_ms=500, delay_s=0.5
    )


@pytest.mark.parametrize("setting", ["", "hello=1", "settles=maybe", "hang_after_ms=soon", "abort=SLEEPY", "speed"])
def test_a_wrong_script_is_named(setting: str) -> None:
    with pytest.raises(BadScript):
        parse_script([setting])


def test_every_field_of_a_script_is_described() -> None:
    described = (BASE_DIR / "docs" / "recogniser.md").read_text(encoding="utf-8")
    for field in dataclasses.fields(Script):
        assert f"`{field.name}`" in described


# As a command


@contextmanager
def running(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`manage.py fake_riva` on a free port, and its address."""
    command = [sys.executable, str(BASE_DIR / "manage.py"), "fake_riva", "--port", "0", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process, process.stdout.readline().removeprefix("Listening on ").strip()
        finally:
            process.terminate()


async def test_as_a_command_it_runs_a_script_and_logs_its_finals(tmp_path: Path) -> None:
    log = tmp_path / "finals.jsonl"
    with running("--script", "settles=yes", "--log", str(log)) as (process, address):
        assert await hear(address) == [WORDS]
        process.send_signal(signal.SIGUSR1)
        await _again(lambda: hear(address))
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0
    entries = [json.loads(line) for line in log.read_text().splitlines()]
    assert [(entry["stream"], entry["text"]) for entry in entries] == [(0, WORDS), (1, WORDS)]


async def _again(attempt: Callable[[], Any]) -> None:
    """A signal takes effect when the process gets to it: until then connections may still meet the old listener."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                assert await attempt() == [WORDS]
                return
            except grpc.aio.AioRpcError:
                await asyncio.sleep(0.05)


def test_as_a_command_it_writes_audio_that_it_hears(tmp_path: Path) -> None:
    path = tmp_path / "words.wav"
    subprocess.run(
        [sys.executable, BASE_DIR / "manage.py", "fake_riva", "--write-wav", path, "--words", "5"],
        check=True,
        timeout=60,
    )
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 16000)
        assert file.readframes(file.getnframes()) == AUDIO
