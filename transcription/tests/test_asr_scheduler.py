"""Finals before interims, the earliest deadline first, and cancelled work never runs."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from transcription.asr_server.engine import Engine
from transcription.asr_server.errors import EngineError, TooManyStreams
from transcription.asr_server.scheduler import Scheduler, Urgency


class QuietEngine:
    """An Engine without a model."""

    def __init__(self) -> None:
        self.is_closed = False

    def transcribe(self, samples: NDArray[np.float32]) -> str:
        return f"{len(samples)} samples"

    def close(self) -> None:
        self.is_closed = True


class Gate:
    """Work that holds its thread until it is let go."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.released = threading.Event()

    def __call__(self, engine: Engine) -> str:
        self.entered.set()
        self.released.wait(10)
        return "let go"


def noting(order: list[str], name: str) -> Callable[[Engine], None]:
    return lambda _: order.append(name)


async def test_finals_run_before_interims_and_by_deadline() -> None:
    scheduler, gate, order = Scheduler([QuietEngine()], 20), Gate(), list[str]()
    try:
        first = scheduler.submit(Urgency.FINAL, 0, gate)
        await asyncio.to_thread(gate.entered.wait, 10)
        later = [
            scheduler.submit(Urgency.INTERIM, 1, noting(order, "interim 1")),
            scheduler.submit(Urgency.FINAL, 9, noting(order, "final 9")),
            scheduler.submit(Urgency.INTERIM, 0, noting(order, "interim 0")),
            scheduler.submit(Urgency.FINAL, 3, noting(order, "final 3")),
        ]
        gate.released.set()
        assert await first == "let go"
        await asyncio.gather(*later)
    finally:
        scheduler.close()
    assert order == ["final 3", "final 9", "interim 0", "interim 1"]


async def test_a_likely_final_runs_before_interims_and_among_finals_once_promoted() -> None:
    scheduler, gate, order = Scheduler([QuietEngine()], 20), Gate(), list[str]()
    try:
        first = scheduler.submit(Urgency.FINAL, 0, gate)
        await asyncio.to_thread(gate.entered.wait, 10)
        interim = scheduler.submit(Urgency.INTERIM, 0, noting(order, "interim"))
        likely = scheduler.submit(Urgency.LIKELY_FINAL, 0, noting(order, "likely"))
        promoted = scheduler.submit(Urgency.LIKELY_FINAL, 9, noting(order, "promoted"))
        final = scheduler.submit(Urgency.FINAL, 5, noting(order, "final"))
        scheduler.promote(promoted, 3)
        scheduler.promote(first, 3)  # runs already: nothing to do
        gate.released.set()
        await asyncio.gather(first, interim, likely, promoted, final)
    finally:
        scheduler.close()
    assert order == ["promoted", "final", "likely", "interim"]


async def test_a_thread_too_many_for_the_cores_leaves_finals_alone() -> None:
    scheduler, gate = Scheduler([QuietEngine(), QuietEngine()], 20, cores=1), Gate()
    try:
        running = scheduler.submit(Urgency.FINAL, 0, gate)
        await asyncio.to_thread(gate.entered.wait, 10)
        waiting = scheduler.submit(Urgency.FINAL, 0, lambda _: "second final")
        assert await scheduler.submit(Urgency.INTERIM, 0, lambda _: "interim") == "interim"
        assert not waiting.done()
        gate.released.set()
        assert (await running, await waiting) == ("let go", "second final")
    finally:
        gate.released.set()
        scheduler.close()


async def test_interims_leave_one_thread_to_finals() -> None:
    scheduler, gate = Scheduler([QuietEngine(), QuietEngine()], 20, cores=2), Gate()
    try:
        running = scheduler.submit(Urgency.INTERIM, 0, gate)
        await asyncio.to_thread(gate.entered.wait, 10)
        waiting = scheduler.submit(Urgency.INTERIM, 0, lambda _: "second interim")
        assert await scheduler.submit(Urgency.FINAL, 0, lambda _: "final") == "final"
        assert not waiting.done()
        gate.released.set()
        assert (await running, await waiting) == ("let go", "second interim")
    finally:
        gate.released.set()
        scheduler.close()


async def test_cancelled_work_leaves_the_queue_and_never_runs() -> None:
    scheduler, gate, order = Scheduler([QuietEngine()], 20), Gate(), list[str]()
    try:
        running = scheduler.submit(Urgency.FINAL, 0, gate)
        await asyncio.to_thread(gate.entered.wait, 10)
        cancelled = scheduler.submit(Urgency.FINAL, 0, noting(order, "cancelled"))
        cancelled.cancel()
        await asyncio.wait([cancelled])
        await asyncio.sleep(0)
        assert scheduler.queued == 0
        gate.released.set()
        await running
        await scheduler.submit(Urgency.FINAL, 0, noting(order, "next"))
    finally:
        scheduler.close()
    assert order == ["next"]


async def test_a_full_queue_refuses() -> None:
    scheduler, gate = Scheduler([QuietEngine()], 2), Gate()
    try:
        scheduler.submit(Urgency.FINAL, 0, gate)
        await asyncio.to_thread(gate.entered.wait, 10)
        scheduler.submit(Urgency.FINAL, 0, lambda _: None)
        scheduler.submit(Urgency.INTERIM, 0, lambda _: None)
        with pytest.raises(TooManyStreams):
            scheduler.submit(Urgency.FINAL, 0, lambda _: None)
    finally:
        gate.released.set()
        scheduler.close()


async def test_an_error_of_the_engine_reaches_who_asked_and_the_thread_lives_on() -> None:
    def fail(_: Engine) -> str:
        raise EngineError("no")

    def crash(_: Engine) -> str:
        raise ZeroDivisionError

    scheduler = Scheduler([QuietEngine()], 20)
    try:
        for work in (fail, crash):
            with pytest.raises(EngineError):
                await scheduler.submit(Urgency.FINAL, 0, work)
        assert await scheduler.submit(Urgency.FINAL, 0, lambda e: e.transcribe(np.zeros(3, np.float32))) == "3 samples"
    finally:
        scheduler.close()


async def test_closing_drops_what_waits_and_closes_the_engines() -> None:
    engine, gate = QuietEngine(), Gate()
    scheduler = Scheduler([engine], 20)
    scheduler.submit(Urgency.FINAL, 0, gate)
    await asyncio.to_thread(gate.entered.wait, 10)
    waiting = scheduler.submit(Urgency.FINAL, 0, lambda _: None)
    closing = asyncio.create_task(asyncio.to_thread(scheduler.close))
    await asyncio.wait([waiting])
    assert waiting.cancelled()
    gate.released.set()
    await closing
    assert engine.is_closed
