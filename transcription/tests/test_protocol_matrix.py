"""The native protocol over real sockets: every bad client gets its answer and disturbs nobody else."""

from __future__ import annotations

import asyncio
import base64
import json
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from speechsite.config import get_config
from speechsite.server import WEBSOCKET_MESSAGE_FACTOR, largest_message_bytes
from speechsite.tests.served import wait_for
from transcription.dialects.native import MAX_STRIKES
from transcription.fake_riva.audio import silence, spoken, word_texts
from transcription.tests.recordings import CONTAINERS, wav
from transcription.tests.servers import Client, Server, running_server
from transcription.tests.test_options import BAD as BAD_CONFIGS

AUDIO = spoken(5)
WORDS = " ".join(word_texts(5))
SECOND = 32000


@pytest.fixture(scope="module")
def server(new_data_dir: Callable[[], Any]) -> Iterator[Server]:
    with running_server(new_data_dir(), MAX_CONCURRENT_SESSIONS="50") as running:
        yield running


@pytest.fixture(scope="module")
def strict(new_data_dir: Callable[[], Any]) -> Iterator[Server]:
    """Short limits: three sessions, two seconds each, one second to start or to be silent."""
    settings = {
        "MAX_CONCURRENT_SESSIONS": "3",
        "START_TIMEOUT_SECONDS": "1",
        "IDLE_TIMEOUT_SECONDS": "1",
        "SESSION_TIMEOUT_MINUTES": "0.05",
    }
    with running_server(new_data_dir(), **settings) as running:
        yield running


async def refused_at_start(server: Server, session_id: str, config: dict[str, Any]) -> dict[str, Any]:
    """The error that answers a start."""
    async with server.client(session_id) as client:
        await client.send({"type": "start_transcription", "config": config})
        code = await client.closed()
        assert client.error["code"] == code
        return client.error


# The ordinary way


async def test_words_are_heard_stored_and_told(server: Server) -> None:
    async with server.client("ordinary", subprotocols=["speech.v1"]) as client:
        created = await client.receive()
        started = await client.start(title="A talk")
        await client.speak(AUDIO)
        code = await client.stop()

    assert client.socket.subprotocol == "speech.v1"
    assert (created["event"], created["session_id"]) == ("session_created", "ordinary")
    assert created["limits"]["max_sessions"] == 50
    assert started["config"]["title"] == "A talk"
    assert code == 1000
    assert client.finals == [WORDS]
    assert client.events[-1]["event"] == "transcription_stopped"
    assert client.events[-1]["received"] == client.events[-1]["safe"] == len(AUDIO)
    row = server.session("ordinary")
    assert row is not None
    assert (row["state"], row["end_reason"], row["audio_bytes"]) == ("completed", "client", len(AUDIO))
    assert [segment["text"] for segment in server.segments("ordinary")] == [WORDS]


async def test_base64_audio_gives_the_same_transcript(server: Server) -> None:
    async with server.client("base64") as client:
        await client.start()
        for start in range(0, len(AUDIO), 3201):
            await client.send({"type": "audio", "audio": base64.b64encode(AUDIO[start : start + 3201]).decode()})
        assert await client.stop() == 1000

    assert client.finals == [WORDS]


async def test_every_interim_has_the_index_of_its_final(server: Server) -> None:
    async with server.client("interims") as client:
        await client.start()
        await client.speak(spoken(15))
        await client.stop()

    transcripts = client.of("transcript")
    finals = [event["segment"] for event in transcripts if event["is_final"]]
    assert finals == [0, 1, 2]
    assert {event["segment"] for event in transcripts if not event["is_final"]} <= {0, 1, 2}
    told: set[int] = set()
    for event in transcripts:
        assert event["segment"] not in told, "an interim after its final"
        if event["is_final"]:
            told.add(event["segment"])


async def test_finalize_gives_a_final_while_the_stream_stays_open(server: Server) -> None:
    speech = spoken(2, tail_ms=100)
    async with server.client("finalize") as client:
        await client.start()
        await client.speak(speech)
        await client.send({"type": "finalize"})
        first = await client.until("transcript", lambda event: event["is_final"])
        await client.speak(spoken(2, first=3))
        assert await client.stop() == 1000

    assert first["text"] == " ".join(word_texts(2))
    assert client.finals == [" ".join(word_texts(2)), " ".join(word_texts(2, first=3))]


async def test_a_started_session_tells_its_credit_and_then_what_it_has(server: Server) -> None:
    async with server.client("credit") as client:
        await client.start()
        ack = await client.until("audio_ack")
        await client.speak(AUDIO)
        await client.until("audio_ack", lambda event: event["received"] == len(AUDIO))
        await client.stop()

    assert (ack["received"], ack["safe"], ack["limit"]) == (0, 0, 80 * SECOND)


async def test_a_start_takes_over_what_was_asked_for_by_http(server: Server) -> None:
    def ask() -> dict[str, Any]:
        body = json.dumps({"session_id": "by-http", "title": "From HTTP", "language": "de-DE"}).encode()
        request = urllib.request.Request(  # noqa: S310 - our own address
            server.served.url + "/api/v1/start-transcription",
            data=body,
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310
            answer: dict[str, Any] = json.loads(response.read())
            return answer

    await asyncio.to_thread(ask)
    async with server.client("by-http") as client:
        started = await client.start(language="en-US")
        await client.stop()

    assert (started["config"]["title"], started["config"]["language"]) == ("From HTTP", "en-US")


# 44-46: frames of odd sizes


async def test_row_44_one_byte_messages_are_put_together(server: Server) -> None:
    speech = spoken(1, lead_ms=10, word_ms=10, tail_ms=0)
    async with server.client("bytes") as client:
        await client.start()
        for at in range(len(speech)):
            await client.send(speech[at : at + 1])
            if at % 100 == 99:
                await client.send({"type": "keepalive"})
                await asyncio.sleep(0.12)
        assert await client.stop() == 1000

    assert client.events[-1]["received"] == len(speech)
    assert client.finals == word_texts(1)


async def test_row_44_a_flood_of_messages_is_cut_off(server: Server) -> None:
    async with server.client("flood") as client:
        await client.start()
        for _ in range(2000):
            await client.send(b"\0")
        assert await client.closed() == 4429

    assert client.error["reason"] == "too_many_messages"
    assert server.ended("flood")["state"] == "detached"


async def test_a_flood_of_control_messages_is_cut_off(server: Server) -> None:
    async with server.client("control") as client:
        await client.start()
        for _ in range(60):
            await client.send({"type": "keepalive"})
        assert await client.closed() == 4429


async def test_row_45_a_message_over_the_limit_is_too_large(server: Server) -> None:
    async with server.client("large") as client:
        await client.start()
        await client.speak(AUDIO)
        await client.send(bytes(65537))
        assert await client.closed() == 4413

    assert "65536" in client.error["message"]
    assert server.ended("large")["state"] == "detached"
    assert server.segments("large")[-1]["text"] == WORDS


async def test_row_45_a_message_over_the_servers_cap_is_1009(server: Server) -> None:
    async with server.client("huge") as client:
        await client.start()
        await client.send(bytes(WEBSOCKET_MESSAGE_FACTOR * largest_message_bytes(get_config()) + 1))
        assert await client.closed() == 1009

    assert server.ended("huge")["end_reason"] == "client_lost"


async def test_a_long_text_is_too_large(server: Server) -> None:
    error = await refused_at_start(server, "long-text", {"title": "x" * 20_000})

    assert error["code"] == 4413


@pytest.mark.parametrize("size", [1, 333, 4097, 65535])
async def test_row_46_samples_may_be_cut_anywhere(server: Server, size: int) -> None:
    speech = AUDIO if size > 1 else spoken(1, lead_ms=10, word_ms=10, tail_ms=0)[:600]
    async with server.client(f"cut-{size}") as client:
        await client.start()
        await client.speak(speech, chunk_bytes=size)
        assert await client.stop() == 1000

    assert client.events[-1]["received"] == len(speech)
    if size > 1:
        assert client.finals == [WORDS]


async def test_row_46_an_odd_byte_at_the_end_is_dropped_with_a_warning(server: Server) -> None:
    async with server.client("odd") as client:
        await client.start()
        await client.speak(AUDIO + b"\x01")
        assert await client.stop() == 1000

    assert [event["code"] for event in client.of("audio_warning")] == ["odd_bytes"]
    assert client.finals == [WORDS]


# 47-53: wrong messages and wrong order

BAD_TEXTS = {
    "base64": base64.b64encode(AUDIO[:300]).decode(),
    "broken": '{"type":',
    "deep": "[" * 10_000,
    "deep object": '{"a":' * 3000 + "1" + "}" * 3000,
    "huge integer": '{"type": "keepalive", "n": ' + "9" * 10_000 + "}",
    "NaN": '{"type": "keepalive", "n": NaN}',
    "duplicate key": '{"type": "keepalive", "type": "keepalive"}',
    "lone surrogate": '{"type": "keepalive\\ud800"}',
    "NUL": '{"type": "\\u0000"}',
    "list": "[]",
    "empty": "",
    "unknown type": '{"type": "hello"}',
    "unknown field": '{"type": "keepalive", "when": 1}',
    "wrong type": '{"type": "audio", "audio": 1}',
    "second start": '{"type": "start_transcription"}',
    "resume": '{"type": "resume_transcription", "resume_token": "x"}',
}


@pytest.mark.parametrize("name", BAD_TEXTS)
async def test_rows_47_49_50_after_the_start_a_bad_message_gets_an_error_and_the_session_goes_on(
    server: Server, name: str
) -> None:
    session_id = f"bad-{name.replace(' ', '-')}"
    async with server.client(session_id) as client:
        await client.start()
        await client.send(BAD_TEXTS[name])
        error = await client.until("error")
        await client.speak(AUDIO)
        assert await client.stop() == 1000

    assert error["code"] == 4400
    assert error["request_id"]
    assert client.finals == [WORDS]


@pytest.mark.parametrize("name", sorted(set(BAD_TEXTS) - {"second start", "resume"}))
async def test_rows_47_49_50_before_the_start_a_bad_message_ends_the_connection(server: Server, name: str) -> None:
    session_id = f"early-{name.replace(' ', '-')}"
    async with server.client(session_id) as client:
        await client.send(BAD_TEXTS[name])
        assert await client.closed() == 4400

    assert client.error["code"] == 4400
    assert server.session(session_id) is None


async def test_row_47_the_third_bad_message_ends_the_session(server: Server) -> None:
    async with server.client("strikes") as client:
        await client.start()
        await client.speak(AUDIO)
        for _ in range(MAX_STRIKES):
            await client.send("nonsense")
        assert await client.closed() == 4400

    assert len(client.of("error")) == MAX_STRIKES
    assert server.ended("strikes")["state"] == "detached"
    assert server.segments("strikes")[0]["text"] == WORDS


async def test_invalid_utf8_is_the_server_programs_to_refuse(server: Server) -> None:
    async with server.client("utf8") as client:
        await client.start()
        client.socket.protocol.send_text(b"\xff\xfe")
        client.socket.send_data()
        assert await client.closed() == 1007

    server.ended("utf8")


@pytest.mark.parametrize("message", [b"\x01\x02", {"type": "audio", "audio": "AQI="}], ids=["binary", "text"])
async def test_row_48_audio_before_the_start_ends_the_connection(server: Server, message: Any) -> None:
    async with server.client("too-early") as client:
        await client.send(message)
        assert await client.closed() == 4400

    assert client.error["reason"] == "not_started"
    assert server.session("too-early") is None


async def test_row_51_a_second_start_is_named(server: Server) -> None:
    async with server.client("twice") as client:
        await client.start()
        await client.send({"type": "start_transcription"})
        error = await client.until("error")
        await client.stop()

    assert (error["code"], error["reason"]) == (4400, "already_started")
    assert len(server.rows("SELECT 1 FROM transcription_transcriptionsession WHERE public_id = 'twice'")) == 1


async def test_row_52_a_stop_before_the_start_ends_the_connection(server: Server) -> None:
    async with server.client("stop-first") as client:
        assert await client.stop() == 4400

    assert server.session("stop-first") is None


async def test_row_53_stopping_twice_and_audio_after_the_stop_are_ignored(server: Server) -> None:
    async with server.client("stop-twice") as client:
        await client.start()
        await client.speak(AUDIO)
        await client.send({"type": "stop_transcription"})
        await client.send(AUDIO[:3200])
        await client.send({"type": "finalize"})
        assert await client.stop() == 1000

    assert len(client.of("transcription_stopped")) == 1
    assert client.events[-1]["received"] == len(AUDIO)


async def test_nonsense_after_the_stop_does_not_change_how_the_session_ends(server: Server) -> None:
    async with server.client("stop-nonsense") as client:
        await client.start()
        await client.speak(AUDIO)
        await client.send({"type": "stop_transcription"})
        for _ in range(MAX_STRIKES + 1):
            await client.send("nonsense")
        code = await client.closed()

    assert code == 1000
    assert client.events[-1]["event"] == "transcription_stopped"
    assert server.ended("stop-nonsense")["state"] == "completed"


# 54-56: nothing to hear


async def test_row_54_a_client_that_does_not_start_is_timed_out(strict: Server) -> None:
    async with strict.client("no-start") as client:
        await client.send({"type": "keepalive"})
        assert await client.closed() == 4408

    assert client.error["reason"] == "start_timeout"
    assert strict.session("no-start") is None


async def test_row_55_an_empty_session_is_completed(server: Server) -> None:
    async with server.client("empty") as client:
        await client.start()
        assert await client.stop() == 1000

    assert client.events[-1]["segments"] == 0
    row = server.session("empty")
    assert row is not None
    assert row["state"] == "completed"


async def test_row_56_empty_messages_do_not_keep_a_client(strict: Server) -> None:
    async with strict.client("empty-frames") as client:
        await client.start()

        async def send_nothing() -> None:
            while True:
                await client.send(b"")
                await asyncio.sleep(0.1)

        sending = asyncio.create_task(send_nothing())
        code = await client.closed()
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)

    assert code == 4408
    assert client.error["reason"] == "idle_timeout"


# 59-62: limits


async def test_over_capacity_the_next_is_refused_and_the_others_are_not_disturbed(strict: Server) -> None:
    async with strict.client("cap-1") as one, strict.client("cap-2") as two, strict.client("cap-3") as three:
        for client in (one, two, three):
            await client.start()
        error = await refused_at_start(strict, "cap-4", {})
        for client in (one, two, three):
            await client.speak(AUDIO)
            assert await client.stop() == 1000

    assert (error["code"], error["retryable"]) == (4503, True)
    assert error["retry_after_ms"] > 0
    assert strict.session("cap-4") is None
    assert [client.finals for client in (one, two, three)] == [[WORDS]] * 3
    async with strict.client("cap-5") as client:
        await client.start()
        assert await client.stop() == 1000


async def test_row_61_the_maximum_length_completes_a_session_after_a_warning(strict: Server) -> None:
    async with strict.client("too-long") as client:
        await client.start()
        await client.speak(AUDIO)

        async def keep_alive() -> None:
            while True:
                await client.send(silence(100))
                await asyncio.sleep(0.2)

        sending = asyncio.create_task(keep_alive())
        code = await client.closed()
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)

    assert code == 4410
    [warning] = client.of("session_expiring")
    assert warning["reason"] == "session_timeout"
    assert 0 < warning["in_ms"] <= 1500
    [stopped] = client.of("transcription_stopped")
    assert stopped["reason"] == "session_timeout"
    assert client.events.index(stopped) == len(client.events) - 2
    assert client.finals == [WORDS]
    row = strict.ended("too-long")
    assert (row["state"], row["end_reason"]) == ("completed", "session_timeout")


async def test_row_62_a_silent_client_is_warned_and_ended(strict: Server) -> None:
    async with strict.client("idle") as client:
        await client.start()
        await client.speak(AUDIO)
        assert await client.closed() == 4408

    assert [event["reason"] for event in client.of("session_expiring")] == ["idle_timeout"]
    assert strict.ended("idle")["state"] == "detached"


async def test_keepalives_prevent_the_idle_timeout(strict: Server) -> None:
    async with strict.client("muted") as client:
        await client.start()
        for _ in range(8):
            await asyncio.sleep(0.25)
            await client.send({"type": "keepalive"})
        assert await client.stop() == 1000

    assert [event["reason"] for event in client.of("session_expiring")] in ([], ["session_timeout"])


# 63, 64, 71: who and what


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://127.0.0.1:1", "http://localhost.evil.example"]
)
async def test_row_63_a_wrong_origin_is_refused_in_the_handshake(server: Server, origin: str) -> None:
    with pytest.raises(InvalidStatus) as caught:
        await server.client("origin", origin=origin).__aenter__()

    assert caught.value.response.status_code == 403


async def test_the_sites_own_origin_is_let_in(server: Server) -> None:
    async with server.client("own-origin", origin=server.served.url) as client:
        await client.start()
        assert await client.stop() == 1000


@pytest.mark.parametrize(
    "options",
    [
        {"additional_headers": {"Authorization": "Bearer spk_wrong"}},
        {"subprotocols": ["speech.v1", "speech.token.wrong"]},
    ],
    ids=["key", "token"],
)
async def test_wrong_credentials_are_told_in_an_error(server: Server, options: dict[str, Any]) -> None:
    async with server.client("wrong-key", **options) as client:
        assert await client.closed() == 4401

    assert client.error["code"] == 4401
    assert "wrong" not in client.error["message"].split()
    assert client.socket.subprotocol == ("speech.v1" if "subprotocols" in options else None)
    assert server.session("wrong-key") is None


async def test_a_resume_finds_nothing(server: Server) -> None:
    async with server.client("resume") as client:
        await client.send({"type": "resume_transcription", "resume_token": "x"})
        assert await client.closed() == 4404

    assert (client.error["reason"], client.error["retryable"]) == ("nothing_to_resume", False)


async def test_an_id_that_exists_is_taken(server: Server) -> None:
    async with server.client("taken") as client:
        await client.start()
        error = await refused_at_start(server, "taken", {})
        await client.speak(AUDIO)
        assert await client.stop() == 1000

    assert error["code"] == 4409
    assert client.finals == [WORDS]
    assert (await refused_at_start(server, "taken", {}))["code"] == 4409


@pytest.mark.parametrize(("config", "field"), BAD_CONFIGS, ids=[f"{f}-{n}" for n, (_, f) in enumerate(BAD_CONFIGS)])
async def test_row_71_a_wrong_field_of_the_options_is_named(server: Server, config: dict[str, Any], field: str) -> None:
    error = await refused_at_start(server, "bad-config", config)

    if error["code"] == 4400:  # what no JSON text may hold is refused before
        assert error["reason"] == "bad_json"
    else:
        assert (error["code"], error["field"]) == (4422, f"config.{field}")
    assert server.session("bad-config") is None


# 70, 72: audio that is something else


async def test_row_72_a_wav_header_is_skipped_with_a_warning(server: Server) -> None:
    recording = wav(AUDIO)
    async with server.client("wav") as client:
        await client.start()
        await client.speak(recording[:60], chunk_bytes=7)
        await client.speak(recording[60:])
        assert await client.stop() == 1000

    assert [event["code"] for event in client.of("audio_warning")] == ["wav_header_skipped"]
    assert client.finals == [WORDS]
    assert client.events[-1]["received"] == len(recording)


async def test_a_wav_of_another_rate_is_refused_naming_both(server: Server) -> None:
    async with server.client("wav-48") as client:
        await client.start()
        await client.send(wav(AUDIO, rate_hz=48000)[:3200])
        assert await client.closed() == 4415

    assert "48000 Hz" in client.error["message"]
    assert "16000 Hz" in client.error["message"]


@pytest.mark.parametrize("name", CONTAINERS)
async def test_row_72_a_container_sent_as_raw_audio_is_refused(server: Server, name: str) -> None:
    async with server.client(f"container-{name.replace(' ', '-')}") as client:
        await client.start()
        await client.send(CONTAINERS[name])
        assert await client.closed() == 4415

    assert name.split()[0] in client.error["message"]


async def test_row_70_a_wrong_sample_rate_is_noticed(server: Server) -> None:
    """Audio of 48 kHz that is called 16 kHz, at the pace of a microphone."""
    async with server.client("wrong-rate") as client:
        await client.start()

        async def record() -> None:
            while True:
                await client.send(bytes(SECOND * 3 // 20))
                await asyncio.sleep(0.05)

        recording = asyncio.create_task(record())
        warning = await client.until("audio_warning")
        recording.cancel()
        await asyncio.gather(recording, return_exceptions=True)
        await client.stop()

    assert warning["code"] == "rate_mismatch"


# 73: tricks


@pytest.mark.parametrize("session_id", ["a%20b", "a.b", "x" * 65, "%00", "%C3%A4", "a%0A", "%ff", "'--"])
async def test_row_73_a_bad_session_id_is_told(server: Server, session_id: str) -> None:
    async with server.client(session_id) as client:
        code = await client.closed()

    assert code == 4400
    assert client.error["field"] == "session_id"


@pytest.mark.parametrize("path", ["/api/v1/transcribe/a/b", "/api/v1/transcribe", "/api/v1/transcribe/..%2F..%2Fetc"])
async def test_an_address_that_is_none_is_refused_in_the_handshake(server: Server, path: str) -> None:
    with pytest.raises(InvalidStatus):
        await Client(server.socket_url(path)).__aenter__()


# Operators and lost clients


async def test_an_operators_flag_on_the_row_stops_a_session(server: Server) -> None:
    async with server.client("operator") as client:
        await client.start()
        await client.speak(AUDIO)
        server.rows(
            "UPDATE transcription_transcriptionsession "
            "SET stop_requested_at = '2026-01-01 00:00:00', stop_reason = 'Quiet please' WHERE public_id = 'operator'"
        )
        code = await client.closed()

    assert code == 4490
    assert "Quiet please" in client.error["message"]
    assert client.events[-2]["event"] == "transcription_stopped"
    assert client.events[-2]["reason"] == "operator"
    assert client.finals == [WORDS]
    row = server.ended("operator")
    assert (row["state"], row["end_reason"]) == ("completed", "operator")


async def test_a_client_that_vanishes_leaves_its_words_and_no_stream(server: Server) -> None:
    before = len(server.riva.streams)
    client = await server.client("vanished").__aenter__()
    await client.start()
    await client.speak(spoken(3, tail_ms=0))
    wait_for(lambda: server.riva.streams[before].audio_bytes == len(spoken(3, tail_ms=0)), "all audio is there")

    client.socket.transport.abort()
    await client.socket.wait_closed()

    row = server.ended("vanished")
    assert (row["state"], row["end_reason"]) == ("detached", "client_lost")
    assert [(segment["text"], segment["tail"]) for segment in server.segments("vanished")] == [
        (" ".join(word_texts(3)), 1)
    ]
    wait_for(lambda: server.riva.streams[before].outcome != "open", "the stream is released")


async def test_a_bystander_is_not_disturbed_by_any_of_them(server: Server) -> None:
    """While one speaks at its own pace the worst of the others come and go."""

    async def misbehave(number: int) -> int:
        async with server.client(f"worst-{number}") as client:
            if number % 4:
                await client.start()
            try:
                match number % 4:
                    case 0:
                        await client.send("{" * 9000)
                    case 1:
                        for _ in range(3000):
                            await client.send(b"\0")
                    case 2:
                        await client.send(bytes(100_000))
                    case 3:
                        await client.send(CONTAINERS["WebM"])
            except ConnectionClosed:
                pass
            return await client.closed()

    speech = spoken(10)
    async with server.client("bystander") as client:
        await client.start()
        worst = asyncio.gather(*(misbehave(number) for number in range(12)))
        for start in range(0, len(speech), 3200):
            await client.send(speech[start : start + 3200])
            await asyncio.sleep(0.02)
        codes = await worst
        assert await client.stop() == 1000

    assert codes == [4400, 4429, 4413, 4415] * 3
    assert " ".join(client.finals) == " ".join(word_texts(10))
