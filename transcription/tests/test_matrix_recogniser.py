"""Rows 1-19 of the fault matrix: what the recogniser does to a session, over real sockets and a real server process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import grpc
import pytest

from speechsite.tests.served import wait_for
from transcription.fake_riva.audio import Speech, word_numbers
from transcription.fake_riva.script import Script
from transcription.tests.chaos.client import ResilientClient
from transcription.tests.faulty_line import SPEECH, FaultyLine, Running, running_line
from transcription.tests.servers import Client

START_FLAG = "a message with the START flag must come first in a sequence"
SECRET = "nvapi-a-very-secret-key"
HALF_WAY_MS = 2500

slow = pytest.mark.long
patient = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def one_line(new_data_dir: Callable[[], Path]) -> Iterator[FaultyLine]:
    with running_line(new_data_dir()) as line:
        yield line


@pytest.fixture
def line(one_line: FaultyLine) -> Iterator[FaultyLine]:
    yield one_line
    one_line.reset()


@pytest.fixture(scope="module")
def refusing_line(new_data_dir: Callable[[], Path]) -> Iterator[FaultyLine]:
    """For rows in which streams cannot be opened: enough of them open the breaker."""
    with running_line(new_data_dir()) as line:
        yield line


@pytest.fixture
def new_line(new_data_dir: Callable[[], Path]) -> Iterator[FaultyLine]:
    """For rows after which the process remembers that its recogniser failed."""
    with running_line(new_data_dir()) as line:
        yield line


def states(client: ResilientClient) -> list[str]:
    return [event["state"] for event in client.of("recogniser_status")]


async def speak(line: FaultyLine, name: str, *scripts: Script, speech: Speech = SPEECH) -> ResilientClient:
    """A session whose streams follow scripts; it must lose nothing."""
    line.riva.scripts.extend(scripts)
    client = line.client(name, speech)
    await client.run()
    assert client.record.stopped is not None, client.events[-3:]
    return client


async def refused(line: FaultyLine, name: str) -> tuple[Client, float]:
    """A start that is refused, and after how many seconds."""
    started_at = time.monotonic()
    async with line.server.client(name) as client:
        await client.send({"type": "start_transcription", "config": {}})
        assert await client.closed() == client.error["code"]
    return client, time.monotonic() - started_at


@slow
@patient
async def test_row_01_unreachable_at_the_start_it_is_tried_for_ten_seconds_and_then_refused_at_once(
    new_line: FaultyLine,
) -> None:
    new_line.take_riva_away()
    client, elapsed_s = await refused(new_line, "row-1")
    assert (client.error["code"], client.error["retryable"]) == (4502, True)
    assert elapsed_s <= 12
    assert "reconnecting" in [event["state"] for event in client.of("recogniser_status")]
    assert client.of("transcription_started") == []
    assert (new_line.state("row-1"), new_line.stored("row-1").segments) == ("failed", ())

    again, elapsed_s = await refused(new_line, "row-1-breaker")
    assert again.error["code"] == 4503
    assert elapsed_s < 1.0


async def test_row_02_a_recogniser_that_comes_back_while_it_is_opened_is_opened(refusing_line: FaultyLine) -> None:
    refusing_line.take_riva_away()
    async with refusing_line.server.client("row-2") as client:
        await client.send({"type": "start_transcription", "config": {}})
        await client.until("recogniser_status", lambda event: event["state"] == "reconnecting")
        refusing_line.bring_riva_back()
        await client.until("transcription_started")
        assert await client.stop() == 1000


async def test_row_03_a_recogniser_that_dies_mid_stream_costs_no_word(line: FaultyLine) -> None:
    async with Running(line.client("row-3")) as client:
        for count in (1, 2):
            await client.saw("transcript", lambda event: event["is_final"], count)
            line.thread.call(line.riva_proxy.reset)
    assert states(client)[:2] == ["reconnecting", "ok"]
    assert line.violations(client) == []
    assert len(line.riva.streams) >= 3


@slow
@patient
async def test_row_04_a_recogniser_that_stays_dead_detaches_the_session_until_it_is_back(new_line: FaultyLine) -> None:
    speech = Speech(100, words_per_utterance=5)
    async with Running(new_line.client("row-4", speech, speed=1.0)) as client:
        await client.saw("transcript", lambda event: event["is_final"])
        new_line.take_riva_away()
        error = await client.saw("error")
        assert (error["code"], error["retryable"]) == (4502, True)
        assert error["safe"] > 0
        new_line.wait_for_state("row-4", "detached", 5)
        new_line.bring_riva_back()
        client.switch_off()
    assert new_line.violations(client) == []


@slow
@patient
async def test_row_05_a_recogniser_that_answers_nothing_is_replaced(line: FaultyLine) -> None:
    line.riva.scripts.append(Script(hang_after_ms=HALF_WAY_MS))
    started_at = time.monotonic()
    async with Running(line.client("row-5", Speech(40), speed=1.0)) as client:
        await client.saw("recogniser_status", lambda event: event["state"] == "reconnecting")
        elapsed_s = time.monotonic() - started_at - HALF_WAY_MS / 1000
    assert elapsed_s <= 12
    assert line.violations(client) == []


@slow
@patient
async def test_row_06_a_frozen_recogniser_costs_no_word(line: FaultyLine) -> None:
    async with Running(line.client("row-6", Speech(40), speed=1.0)) as client:
        await client.saw("transcript", lambda event: event["is_final"])
        line.thread.call(line.riva.freeze)
        await client.saw("recogniser_status", lambda event: event["state"] == "reconnecting")
        line.thread.call(line.riva.thaw)
    assert line.violations(client) == []


@slow
@patient
async def test_row_07_streams_over_the_recognisers_silent_limit_are_refused(new_data_dir: Callable[[], Path]) -> None:
    with running_line(new_data_dir(), riva_options={"max_concurrent_streams": 3}) as line:
        async with AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(line.server.client(f"row-7-{number}")) for number in range(3)]
            for client in clients:
                await client.start()
            outcomes = await asyncio.gather(*(refused(line, f"row-7-over-{number}") for number in range(3)))
            for client in clients:
                assert await client.stop() == 1000
    for client, elapsed_s in outcomes:
        assert client.error["code"] in (4502, 4503)
        assert elapsed_s <= 13


async def test_row_08_a_config_that_the_recogniser_refuses_is_4422_and_tried_once(refusing_line: FaultyLine) -> None:
    refusing_line.riva.scripts.append(
        Script(abort=(grpc.StatusCode.INVALID_ARGUMENT, "language_code: xx-XX is not served"))
    )
    before = len(refusing_line.riva.streams)
    client, elapsed_s = await refused(refusing_line, "row-8")
    assert client.error["code"] == 4422
    assert client.error["field"] == "config.language"
    assert elapsed_s < 5
    assert len(refusing_line.riva.streams) == before + 1
    assert refusing_line.state("row-8") == "failed"


async def test_row_09_a_sequence_that_the_recogniser_gave_up_is_opened_again(line: FaultyLine) -> None:
    lost = Script(abort=(grpc.StatusCode.INVALID_ARGUMENT, START_FLAG), abort_after_ms=HALF_WAY_MS)
    client = await speak(line, "row-9", lost)
    assert line.violations(client) == []


async def test_row_10_a_full_recogniser_at_the_start_is_lack_of_capacity(refusing_line: FaultyLine) -> None:
    refusing_line.riva.refuse_next = 10
    client, elapsed_s = await refused(refusing_line, "row-10")
    assert client.error["code"] == 4503
    assert client.error["retry_after_ms"] > 0
    assert elapsed_s < 5
    assert refusing_line.state("row-10") == "failed"


@slow
@patient
async def test_row_11_a_full_recogniser_mid_stream_is_asked_again_slowly(line: FaultyLine) -> None:
    async with Running(line.client("row-11", Speech(60), speed=1.0)) as client:
        await client.saw("transcript", lambda event: event["is_final"])
        line.riva.refuse_next = 3
        before = line.riva.refused
        started_at = time.monotonic()
        line.thread.call(line.riva_proxy.reset)
        await client.saw("recogniser_status", lambda event: event["state"] == "ok")
        elapsed_s = time.monotonic() - started_at
    assert line.riva.refused == before + 3
    assert elapsed_s >= 0.5 * (1 + 2 + 5)
    assert line.violations(client) == []


@slow
@patient
async def test_row_12_wrong_credentials_are_not_tried_again_and_not_told(new_data_dir: Callable[[], Path]) -> None:
    refusing = Script(abort=(grpc.StatusCode.UNAUTHENTICATED, f"the key {SECRET} is not valid"))
    with running_line(new_data_dir(), riva_options={"default": refusing}, RIVA_API_KEY=SECRET) as line:
        for number in range(3):
            client, _ = await refused(line, f"row-12-{number}")
            assert client.error["code"] in (4502, 4503)
            assert SECRET not in str(client.events)
        # A refusal that overtakes the config shows as a broken stream once, and that is tried again.
        assert len(line.riva.streams) <= 2
        first = line.server.rows("SELECT * FROM transcription_transcriptionsession WHERE public_id = 'row-12-0'")
        assert SECRET not in str(first)
        assert SECRET not in line.server.served.output


async def test_row_13_a_stream_that_ends_early_is_opened_again(line: FaultyLine) -> None:
    client = await speak(line, "row-13", Script(early_ok_after_ms=HALF_WAY_MS))
    assert line.violations(client) == []


@pytest.mark.parametrize("grace_s", [0.0, 10.0], ids=["at once", "in time"])
async def test_row_14_a_recogniser_that_goes_away_costs_no_word(line: FaultyLine, grace_s: float) -> None:
    async with Running(line.client(f"row-14-{grace_s:g}")) as client:
        await client.saw("transcript", lambda event: event["is_final"])
        line.thread.run(line.riva.go_away(grace_s))
    assert line.violations(client) == []


async def test_row_15_finals_that_come_twice_are_stored_once(line: FaultyLine) -> None:
    client = await speak(line, "row-15", Script(duplicate_finals=True))
    assert line.violations(client) == []


@slow
@patient
async def test_row_16_without_finals_long_speech_is_cut_at_its_widest_gap(line: FaultyLine) -> None:
    speech = Speech(300, words_per_utterance=300)
    line.riva.default = Script(no_finals=True)
    client = await speak(line, "row-16", speech=speech)
    stored = line.stored("row-16")
    numbers = [number for segment in stored.segments for number in word_numbers(segment.text)]
    assert numbers == list(range(1, 301))
    assert len(stored.segments) >= 2
    assert client.record.problems == []


@slow
@patient
async def test_row_17_a_recogniser_that_falls_behind_is_told_and_given_up(new_line: FaultyLine) -> None:
    new_line.riva.default = Script(speed=0.3)
    async with Running(new_line.client("row-17", Speech(150), speed=1.0)) as client:
        await client.saw("recogniser_status", lambda event: event["state"] == "lagging")
        error = await client.saw("error")
        assert (error["code"], error["retryable"]) == (4504, True)
        new_line.riva.default = Script()
        client.switch_off()
    assert new_line.violations(client) == []


async def test_row_18_impossible_times_are_set_right(line: FaultyLine) -> None:
    line.riva.default = Script(bad_times=True)
    client = await speak(line, "row-18")
    assert line.violations(client, time_tolerance_ms=None) == []


@pytest.mark.parametrize("megabytes", [10, 20], ids=["within the limit", "over it"])
async def test_row_19_a_huge_transcript_disturbs_nobody_else(line: FaultyLine, megabytes: int) -> None:
    line.riva.scripts.append(Script(padding_bytes=megabytes * 1_000_000))
    huge = asyncio.create_task(line.client(f"row-19-{megabytes}", Speech(5)).run())
    await asyncio.to_thread(wait_for, lambda: not line.riva.scripts, "its stream is open")
    bystander = await speak(line, f"row-19-{megabytes}-bystander")
    record = await huge
    assert line.violations(bystander) == []
    assert record.stopped is not None
    numbers = [n for segment in line.stored(record.session_id).segments for n in word_numbers(segment.text)]
    assert numbers == [1, 2, 3, 4, 5]
