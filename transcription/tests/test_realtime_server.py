"""NVIDIA's and OpenAI's own realtime clients, unmodified, over real sockets to a whole server with a scripted Riva."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import openai
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from speechsite.tests.served import manage
from transcription.dialects.realtime import MAX_APPEND_BYTES
from transcription.fake_riva.audio import silence, spoken, word_texts
from transcription.fake_riva.script import Script
from transcription.tests.realtime_clients import (
    COMPLETED,
    DELTA,
    append,
    as_microphone,
    nvidia_arguments,
    nvidia_transcribes,
    openai_client,
    pieces,
    transcripts,
    until,
    wav_file,
)
from transcription.tests.servers import Server, running_server

WORDS = 10
TEXT = " ".join(word_texts(WORDS))
SPOKEN = spoken(WORDS)
SPOKEN_24K = spoken(WORDS, sample_rate_hz=24000)
SETTLING = Script(settles=True)


@pytest.fixture(scope="module")
def started(new_data_dir: Callable[[], Path]) -> Iterator[tuple[Server, str]]:
    folder = new_data_dir()
    key = manage("create_api_key", "of-the-test", "--quiet", data_dir=folder, DATABASE_URL="sqlite://").stdout.strip()
    with running_server(folder, MAX_SESSIONS_PER_OWNER="0") as running:
        yield running, key


@pytest.fixture
def server(started: tuple[Server, str]) -> Server:
    return started[0]


@pytest.fixture
def key(started: tuple[Server, str]) -> str:
    return started[1]


@pytest.fixture
def address(server: Server) -> str:
    return server.served.url.removeprefix("http://")


def row_of(server: Server, session_id: str) -> dict[str, Any]:
    """The stored session, once it has ended."""
    [row] = server.rows(
        "SELECT dialect, sample_rate_hz, encoding FROM transcription_transcriptionsession WHERE public_id = ?",
        session_id,
    )
    return row | server.ended(session_id)


def stored_text(server: Server, session_id: str) -> str:
    return " ".join(segment["text"] for segment in server.segments(session_id))


# NVIDIA's


async def test_nvidias_client_transcribes_a_file_without_a_key(server: Server, address: str) -> None:
    client = await nvidia_transcribes(nvidia_arguments(address), pieces(wav_file(SPOKEN), 3200))
    assert client.final_transcript == TEXT
    session_id = client.session_config["id"]
    row = row_of(server, session_id)
    assert (row["dialect"], row["state"], row["end_reason"]) == ("realtime", "completed", "client")
    assert stored_text(server, session_id) == TEXT


async def test_nvidias_client_sends_a_long_file_as_fast_as_it_can(server: Server, address: str) -> None:
    words = 400
    audio = wav_file(spoken(words))
    client = await nvidia_transcribes(nvidia_arguments(address), pieces(audio, 3200))
    assert client.final_transcript == " ".join(word_texts(words))
    assert row_of(server, client.session_config["id"])["audio_ms"] > 80_000


@pytest.mark.parametrize("rate_hz", [8000, 44100])
async def test_a_file_says_its_rate_itself(server: Server, address: str, rate_hz: int) -> None:
    audio = wav_file(spoken(WORDS, sample_rate_hz=rate_hz), rate_hz)
    client = await nvidia_transcribes(nvidia_arguments(address), pieces(audio, 777))
    assert client.final_transcript == TEXT
    assert row_of(server, client.session_config["id"])["sample_rate_hz"] == rate_hz


async def test_nvidias_client_transcribes_a_microphone_with_a_key_and_word_times(
    address: str, key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = nvidia_arguments(address, mic=True, mint_api_key=key, word_time_offsets=True)
    client = await nvidia_transcribes(arguments, as_microphone(pieces(SPOKEN, 3200)))
    assert client.final_transcript == TEXT
    printed = capsys.readouterr().out
    lines = [line.split() for line in printed.splitlines() if line.startswith("word")]
    assert [line[0] for line in lines] == word_texts(WORDS)
    assert lines[0][1:] == ["200", "500", "0.9000", "0"]


async def test_a_chunk_ends_the_utterance_where_nvidias_client_forces_it(server: Server, address: str) -> None:
    chunks = pieces(spoken(4, words_per_utterance=10, gap_ms=300), 3200)
    forced = [index == len(chunks) // 2 for index in range(len(chunks))]
    arguments = nvidia_arguments(address, mic=True)
    client = await nvidia_transcribes(arguments, as_microphone(chunks), force_eou_chunks=forced)
    assert client.final_transcript == " ".join(word_texts(4))
    assert len(server.segments(client.session_config["id"])) == 2


async def test_nvidias_client_hears_of_a_failure_and_ends(server: Server, address: str) -> None:
    server.riva.scripts.append(Script(abort=(grpc.StatusCode.INVALID_ARGUMENT, "no such model")))
    client = await nvidia_transcribes(nvidia_arguments(address, mic=True), as_microphone(pieces(SPOKEN, 3200)))
    assert client.final_transcript == ""
    assert row_of(server, client.session_config["id"])["state"] == "failed"


async def test_nvidias_client_is_told_that_its_key_is_wrong(address: str) -> None:
    with pytest.raises(Exception, match=r"HTTP 401: .+\. The --mint-api-key value was rejected"):
        await nvidia_transcribes(nvidia_arguments(address, mint_api_key="spk_00000000_wrong"), [])


async def test_a_client_that_vanishes_leaves_what_it_said(server: Server, address: str) -> None:
    async with connect(f"ws://{address}/v1/realtime?intent=transcription") as socket:
        session_id = json.loads(await socket.recv())["session"]["id"]
        for chunk in pieces(SPOKEN_24K, 48000):
            event = {"type": "input_audio_buffer.append", "audio": base64.b64encode(chunk).decode()}
            await socket.send(json.dumps(event))
        while json.loads(await socket.recv())["type"] != COMPLETED:
            pass
        socket.transport.abort()
    row = row_of(server, session_id)
    assert (row["state"], row["end_reason"]) == ("interrupted", "client_lost")
    assert stored_text(server, session_id) == TEXT


# OpenAI's


async def test_openais_client_transcribes_with_server_vad(server: Server, address: str, key: str) -> None:
    async with openai_client(address, key).realtime.connect(extra_query={"intent": "transcription"}) as connection:
        created: Any = await connection.recv()
        assert created.type == "session.created"
        await connection.session.update(
            session={
                "type": "transcription",
                "audio": {
                    "input": {
                        "format": {"type": "audio/pcm", "rate": 24000},
                        "transcription": {"model": "gpt-4o-transcribe", "language": "en"},
                        "turn_detection": {"type": "server_vad"},
                    }
                },
            }
        )
        assert (await connection.recv()).type == "session.updated"
        await append(connection, SPOKEN_24K)
        found = await until(connection, COMPLETED, count=2)
    assert " ".join(transcripts(found)) == TEXT
    for text, item_id in [(event.transcript, event.item_id) for event in found if event.type == COMPLETED]:
        assert "".join(event.delta for event in found if event.type == DELTA and event.item_id == item_id) == text
    [first, second] = [event for event in found if event.type == "input_audio_buffer.speech_started"]
    assert (first.audio_start_ms, second.audio_start_ms) == (200, 3300)
    session_id = created.session.id
    row = row_of(server, session_id)
    assert (row["dialect"], row["state"], row["sample_rate_hz"]) == ("realtime", "completed", 24000)
    assert stored_text(server, session_id) == TEXT


async def test_openais_client_commits_by_itself(address: str, key: str) -> None:
    async with openai_client(address, key).realtime.connect(extra_query={"intent": "transcription"}) as connection:
        await connection.session.update(session={"type": "transcription", "audio": {"input": {"turn_detection": None}}})
        one, two = spoken(3, sample_rate_hz=24000, tail_ms=50), spoken(3, first=4, sample_rate_hz=24000, tail_ms=50)
        await append(connection, one)
        await connection.input_audio_buffer.commit()
        await append(connection, two)
        await connection.input_audio_buffer.commit()
        found = await until(connection, COMPLETED, count=2)
    assert transcripts(found) == [" ".join(word_texts(3)), " ".join(word_texts(3, first=4))]
    assert not [event for event in found if event.type == "input_audio_buffer.speech_started"]


async def test_what_openais_client_clears_is_not_told(address: str, key: str) -> None:
    async with openai_client(address, key).realtime.connect(extra_query={"intent": "transcription"}) as connection:
        await connection.session.update(session={"type": "transcription", "audio": {"input": {"turn_detection": None}}})
        await append(connection, spoken(3, sample_rate_hz=24000, tail_ms=50))
        await connection.input_audio_buffer.clear()
        await append(connection, spoken(3, first=4, sample_rate_hz=24000, tail_ms=50))
        await connection.input_audio_buffer.commit()
        found = await until(connection, COMPLETED)
    assert transcripts(found) == [" ".join(word_texts(3, first=4))]
    assert [event.type for event in found].count("input_audio_buffer.cleared") == 1


async def test_an_append_may_have_a_mebibyte(address: str, key: str) -> None:
    audio = spoken(50, sample_rate_hz=24000)[:MAX_APPEND_BYTES]
    async with openai_client(address, key).realtime.connect(extra_query={"intent": "transcription"}) as connection:
        await connection.session.update(session={"type": "transcription", "audio": {"input": {"turn_detection": None}}})
        await append(connection, audio, chunk_bytes=MAX_APPEND_BYTES)
        await connection.input_audio_buffer.commit()
        [text] = transcripts(await until(connection, COMPLETED))
    assert text.startswith(TEXT)


async def test_a_client_secret_opens_one_socket_with_the_settings_it_was_made_with(address: str, key: str) -> None:
    secret = await openai_client(address, key).realtime.client_secrets.create(
        session={"type": "transcription", "audio": {"input": {"turn_detection": None}}}
    )
    assert secret.session.type == "transcription"
    holder = openai_client(address, secret.value)
    async with holder.realtime.connect() as connection:
        created: Any = await connection.recv()
        assert created.session.id == secret.session.id
        assert created.session.audio.input.turn_detection is None
        await append(connection, SPOKEN_24K)
        await connection.input_audio_buffer.commit()
        assert transcripts(await until(connection, COMPLETED)) == [TEXT]
    with pytest.raises(InvalidStatus) as refused:
        async with holder.realtime.connect():
            pass
    assert json.loads(refused.value.response.body)["error"]["code"] == "token_used"


async def test_a_wrong_key_is_refused_in_the_handshake(address: str) -> None:
    client = openai_client(address, "spk_00000000_wrong")
    with pytest.raises(InvalidStatus) as caught:
        async with client.realtime.connect(extra_query={"intent": "transcription"}):
            pass
    assert caught.value.response.status_code == 401
    with pytest.raises(openai.AuthenticationError) as refused:
        await client.realtime.client_secrets.create()
    assert refused.value.body == {
        "type": "invalid_request_error", "code": "invalid_api_key", "message": "This key is not valid.",
        "param": None, "event_id": None,
    }  # fmt: skip


async def test_a_wrong_session_is_refused_where_a_secret_is_asked_for(address: str, key: str) -> None:
    with pytest.raises(openai.UnprocessableEntityError) as refused:
        await openai_client(address, key).realtime.client_secrets.create(session={"type": "realtime"})
    assert refused.value.param == "session.type"


async def test_another_intent_closes_1008(address: str) -> None:
    async with connect(f"ws://{address}/v1/realtime?intent=conversation") as socket:
        assert json.loads(await socket.recv())["error"]["code"] == "unknown_intent"
        with pytest.raises(ConnectionClosed):
            await socket.recv()
        assert socket.close_code == 1008


async def test_rubbish_is_answered_and_the_session_goes_on(address: str) -> None:
    async with connect(f"ws://{address}/v1/realtime?intent=transcription") as socket:
        await socket.recv()
        for rubbish in (b"\x00\x01", "{", "[]", '{"type": 7}', '{"type": "session.update", "session": {"a": 1}}'):
            await socket.send(rubbish)
            assert json.loads(await socket.recv())["type"] == "error"
        chunk = base64.b64encode(SPOKEN_24K[:48000]).decode()
        await socket.send(json.dumps({"type": "input_audio_buffer.append", "audio": chunk}))
        await socket.send(json.dumps({"type": "input_audio_buffer.commit"}))
        while json.loads(await socket.recv())["type"] != COMPLETED:
            pass


async def test_a_client_that_closes_has_stopped_its_session(server: Server, address: str) -> None:
    async with connect(f"ws://{address}/v1/realtime?intent=transcription") as socket:
        session_id = json.loads(await socket.recv())["session"]["id"]
        audio = spoken(3, sample_rate_hz=24000, tail_ms=0) + silence(100, sample_rate_hz=24000)
        await socket.send(json.dumps({"type": "input_audio_buffer.append", "audio": base64.b64encode(audio).decode()}))
        while json.loads(await socket.recv())["type"] != DELTA:
            pass
    row = row_of(server, session_id)
    assert (row["state"], row["end_reason"]) == ("completed", "client")
    assert stored_text(server, session_id) == " ".join(word_texts(3))


async def test_a_page_of_another_site_speaks_with_a_secret_in_a_subprotocol(address: str, key: str) -> None:
    secret = await openai_client(address, key).realtime.client_secrets.create()
    offered: Any = ["realtime", f"openai-insecure-api-key.{secret.value}"]
    url = f"ws://{address}/v1/realtime"
    async with connect(url, subprotocols=offered, origin="https://other.example") as socket:  # type: ignore[arg-type]
        assert socket.subprotocol == "realtime"
        assert json.loads(await socket.recv())["type"] == "session.created"
    async with asyncio.timeout(20):
        offered = ["realtime", "openai-insecure-api-key.spk_00000000_wrong"]
        async with connect(url, subprotocols=offered, origin="https://other.example") as socket:  # type: ignore[arg-type]
            assert json.loads(await socket.recv())["error"]["code"] == "invalid_api_key"
            with pytest.raises(ConnectionClosed):
                await socket.recv()
            assert socket.close_code == 3000
