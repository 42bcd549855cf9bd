"""Deepgram's Python SDK, unchanged, against a whole server with a scripted recogniser."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from deepgram import DeepgramClient
from deepgram.core.api_error import ApiError
from deepgram.errors import BadRequestError
from deepgram.types import ListenV1Response
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from speechsite.tests.served import manage
from transcription.fake_riva.audio import silence, spoken, word_texts
from transcription.fake_riva.script import Script
from transcription.tests.deepgram_sdk import WAIT_S, Listening, listening, new_async_client, new_client, texts_of
from transcription.tests.recordings import CONTAINERS, wav
from transcription.tests.servers import Server, running_server

pytestmark = pytest.mark.timeout(120)

RAW: dict[str, Any] = {"model": "nova-3", "encoding": "linear16", "sample_rate": 16000}
UTTERANCES = [" ".join(word_texts(5)), " ".join(word_texts(5, first=6))]


@pytest.fixture(scope="module")
def server(new_data_dir: Callable[[], Path]) -> Iterator[Server]:
    with running_server(new_data_dir()) as running:
        yield running


@pytest.fixture(scope="module")
def key(server: Server) -> str:
    folder = server.served.data_dir
    printed = manage("create_api_key", "deepgram", "--quiet", data_dir=folder, DATABASE_URL="sqlite://").stdout.strip()
    assert printed
    return printed


@pytest.fixture
def client(server: Server, key: str) -> DeepgramClient:
    return new_client(server.served.url, key)


def request_id(stream: Listening) -> str:
    [metadata] = stream.of("Metadata")
    return str(metadata.request_id)


def test_the_sdk_hears_interims_finals_and_the_metadata(server: Server, client: DeepgramClient) -> None:
    with listening(client, **RAW, interim_results=True, vad_events=True, tag=["first", "second"]) as stream:
        stream.speak(spoken(10))
        stream.end()

    assert stream.finals == UTTERANCES
    assert stream.of("Results", is_final=False)
    assert all(result.speech_final for result in stream.of("Results", is_final=True))
    words = stream.of("Results", is_final=True)[0].channel.alternatives[0].words
    assert [(word.word, round(word.start, 2)) for word in words][:2] == [("word0001", 0.2), ("word0002", 0.6)]
    assert [round(message.timestamp, 1) for message in stream.of("SpeechStarted")] == [0.2, 3.3]
    [metadata] = stream.of("Metadata")
    assert metadata.duration == len(spoken(10)) / 32000
    row = server.ended(metadata.request_id)
    assert (row["state"], row["end_reason"], row["segment_count"]) == ("completed", "client", 2)
    [stored] = server.rows(
        "SELECT dialect, options_asked FROM transcription_transcriptionsession WHERE public_id = ?",
        metadata.request_id,
    )
    assert stored["dialect"] == "listen"
    assert json.loads(stored["options_asked"])["metadata"] == {"tag": "first, second"}


def test_finalize_keepalive_and_the_end_of_an_utterance(client: DeepgramClient) -> None:
    with listening(client, **RAW, interim_results=True, utterance_end_ms=1000) as stream:
        stream.speak(spoken(3, tail_ms=0))
        stream.socket.send_finalize()
        assert texts_of([stream.until("Results", from_finalize=True)]) == [" ".join(word_texts(3))]
        stream.socket.send_keep_alive()
        stream.speak(silence(2500))
        assert stream.until("UtteranceEnd").last_word_end == 1.3
        stream.socket.send_finalize()
        stream.until("Results", from_finalize=True, start=len(spoken(3, tail_ms=0) + silence(2500)) / 32000)
        stream.end()

    assert stream.finals == [" ".join(word_texts(3))]
    assert len(stream.of("UtteranceEnd")) == 1


async def test_the_async_sdk_transcribes_a_wav_that_says_its_own_format(server: Server, key: str) -> None:
    recording = wav(spoken(10, sample_rate_hz=8000), rate_hz=8000)
    async with new_async_client(server.served.url, key).listen.v1.connect(model="nova-3") as socket:
        for start in range(0, len(recording), 1000):
            await socket.send_media(recording[start : start + 1000])
        await socket.send_close_stream()
        async with asyncio.timeout(WAIT_S):
            messages = [message async for message in socket]

    assert texts_of(message for message in messages if message.type == "Results") == UTTERANCES
    assert messages[-1].type == "Metadata"
    assert server.ended(messages[-1].request_id)["state"] == "completed"


def test_a_recogniser_that_is_lost_costs_no_word(server: Server, client: DeepgramClient) -> None:
    server.riva.scripts.append(Script(settles=True, early_ok_after_ms=3000))
    with listening(client, **RAW) as stream:
        stream.speak(spoken(20), each_s=0.01)
        stream.end()

    assert " ".join(stream.finals) == " ".join(word_texts(20))
    assert server.ended(request_id(stream))["state"] == "completed"


def test_a_client_faster_than_its_recogniser_is_slowed_down_and_loses_nothing(client: DeepgramClient) -> None:
    with listening(client, **RAW) as stream:
        stream.speak(spoken(400), chunk_bytes=500_000)
        stream.end()

    assert " ".join(stream.finals) == " ".join(word_texts(400))


@pytest.mark.parametrize(
    ("credential", "query", "status", "err_code"),
    [
        ("wrong", "", 401, "INVALID_AUTH"),
        ("", "?encoding=linear16", 400, "Bad Request"),
        ("", "?redact=pci", 400, "Bad Request"),
    ],
)
async def test_a_refused_handshake_says_why(
    server: Server, key: str, credential: str, query: str, status: int, err_code: str
) -> None:
    with pytest.raises(InvalidStatus) as caught:
        await connect(
            server.socket_url("/v1/listen" + query), additional_headers={"Authorization": f"Token {credential or key}"}
        )

    response = caught.value.response
    assert response.status_code == status
    assert response.body is not None
    body = json.loads(response.body)
    assert body["err_code"] == err_code
    assert response.headers["dg-error"] == body["err_msg"]
    assert response.headers["dg-request-id"] == body["request_id"]


async def test_a_key_that_may_not_transcribe_is_refused_in_the_handshake(server: Server) -> None:
    made = ["create_api_key", "reader", "--quiet", "--scope", "sessions:read"]
    reader = manage(*made, data_dir=server.served.data_dir, DATABASE_URL="sqlite://").stdout.strip()
    with pytest.raises(InvalidStatus) as caught:
        await connect(server.socket_url("/v1/listen"), additional_headers={"Authorization": f"Token {reader}"})

    assert caught.value.response.status_code == 403


async def test_a_browser_offers_its_key_as_a_subprotocol_and_gets_only_the_name_back(server: Server, key: str) -> None:
    url = server.socket_url("/v1/listen?encoding=linear16&sample_rate=16000")
    async with connect(url, subprotocols=["token", key], origin="https://elsewhere.example") as socket:  # type: ignore[list-item, arg-type]
        assert socket.subprotocol == "token"
        await socket.send(spoken(5))
        await socket.send(b"")
        async with asyncio.timeout(WAIT_S):
            messages = [json.loads(message) async for message in socket]

    assert messages[-1]["type"] == "Metadata"
    assert socket.close_code == 1000


async def test_what_is_no_audio_is_told_and_closed(server: Server, key: str) -> None:
    headers = {"Authorization": f"Token {key}"}
    async with connect(server.socket_url("/v1/listen"), additional_headers=headers) as socket:
        await socket.send('{"type":"Sing"}')
        assert json.loads(await socket.recv())["variant"] == "SchemaError"
        await socket.send(CONTAINERS["MP4"])
        assert json.loads(await socket.recv())["variant"] == "DATA-0000"
        with pytest.raises(ConnectionClosed):
            await socket.recv()

    assert (socket.close_code, socket.close_reason) == (1008, "DATA-0000")


def test_a_whole_file_is_answered_with_its_transcript(server: Server, client: DeepgramClient) -> None:
    recording = wav(spoken(10))
    response = client.listen.v1.media.transcribe_file(
        request=recording, model="nova-3", smart_format=True, utterances=True, tag=["call"]
    )

    assert isinstance(response, ListenV1Response)
    [channel] = response.results.channels
    [best] = channel.alternatives or []
    assert best.transcript == " ".join(UTTERANCES)
    assert len(best.words or []) == 10
    assert [said.transcript for said in response.results.utterances or []] == UTTERANCES
    assert response.metadata.sha256 == hashlib.sha256(recording).hexdigest()
    assert response.metadata.duration == len(spoken(10)) / 32000
    row = server.ended(response.metadata.request_id)
    assert (row["state"], row["segment_count"]) == ("completed", 2)
    assert [segment["text"] for segment in server.segments(response.metadata.request_id)] == UTTERANCES


async def test_raw_audio_is_a_file_where_its_format_is_declared(server: Server, key: str) -> None:
    pcm = spoken(5)
    response = await new_async_client(server.served.url, key).listen.v1.media.transcribe_file(
        request=pcm, encoding="linear16", request_options={"additional_query_parameters": {"sample_rate": 16000}}
    )

    assert isinstance(response, ListenV1Response)
    [best] = response.results.channels[0].alternatives or []
    assert best.transcript == UTTERANCES[0]
    assert response.metadata.sha256 == hashlib.sha256(pcm).hexdigest()


@pytest.mark.parametrize(
    ("request_of", "message"),
    [
        (lambda media: media.transcribe_url(url="http://127.0.0.1/x.wav"), "send the file itself"),
        (lambda media: media.transcribe_file(request=b"no audio" * 100), "not an audio file"),
        (lambda media: media.transcribe_file(request=b""), ""),
        (lambda media: media.transcribe_file(request=wav(spoken(1)), summarize="v2"), "summarize is not supported"),
        (lambda media: media.transcribe_file(request=wav(spoken(1)), language="x!"), "language"),
    ],
    ids=["address", "no audio", "empty", "refused option", "bad option"],
)
def test_a_file_is_refused_with_a_reason(
    client: DeepgramClient, request_of: Callable[[Any], Any], message: str
) -> None:
    with pytest.raises(BadRequestError) as caught:
        request_of(client.listen.v1.media)

    assert message in caught.value.body["err_msg"]
    assert caught.value.body["err_code"] == "Bad Request"
    assert (caught.value.headers or {})["dg-request-id"] == caught.value.body["request_id"]


def test_a_file_needs_a_key(server: Server) -> None:
    with pytest.raises(ApiError) as caught:
        new_client(server.served.url, "wrong").listen.v1.media.transcribe_file(request=wav(spoken(1)))

    assert caught.value.status_code == 401
    assert caught.value.body["err_code"] == "INVALID_AUTH"


def test_no_key_and_no_query_is_in_the_log(server: Server, key: str) -> None:
    assert key not in server.served.output
    assert "encoding=linear16" not in server.served.output
