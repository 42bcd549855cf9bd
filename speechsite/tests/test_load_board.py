"""What workers tell each other about their load."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest

from speechsite.load_board import MAX_LOAD, STALE_AFTER_MS, WORD_BYTES, LoadBoard, shared_memory_fd, unlinked_file_fd

SLOTS = 4


class Clock:
    def __init__(self) -> None:
        self.ms = 1_000_000

    def __call__(self) -> int:
        return self.ms


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=[shared_memory_fd, unlinked_file_fd])
def fd(request: pytest.FixtureRequest) -> Iterator[int]:
    make_fd: Callable[[], int] = request.param
    fd = make_fd()
    os.ftruncate(fd, SLOTS * WORD_BYTES)
    yield fd
    os.close(fd)


@pytest.fixture
def board(fd: int, clock: Clock) -> LoadBoard:
    return LoadBoard(fd, now_ms=clock)


def test_it_shows_the_loads_of_the_others(board: LoadBoard) -> None:
    board.post(0, 3)
    board.post(1, 5)
    board.post(2, 0)

    assert board.loads(besides=1) == [3, 0]


def test_another_mapping_of_the_same_memory_shows_the_same(board: LoadBoard, fd: int, clock: Clock) -> None:
    board.post(0, 3)

    assert LoadBoard(fd, now_ms=clock).loads(besides=1) == [3]


def test_a_slot_that_nobody_holds_is_not_shown(board: LoadBoard) -> None:
    assert board.loads(besides=0) == []


def test_a_worker_that_ended_is_not_shown(board: LoadBoard) -> None:
    board.post(0, 3)
    board.clear(0)

    assert board.loads(besides=1) == []


def test_a_worker_that_is_silent_for_too_long_is_not_shown(board: LoadBoard, clock: Clock) -> None:
    board.post(0, 3)
    clock.ms += STALE_AFTER_MS
    assert board.loads(besides=1) == [3]

    clock.ms += 1

    assert board.loads(besides=1) == []


def test_it_can_be_asked_for_those_who_spoke_just_now(board: LoadBoard, clock: Clock) -> None:
    board.post(0, 3)
    clock.ms += 20
    board.post(1, 5)

    assert board.loads(besides=2, within_ms=10) == [5]


def test_a_worker_that_speaks_again_is_shown_again(board: LoadBoard, clock: Clock) -> None:
    board.post(0, 3)
    clock.ms += 10 * STALE_AFTER_MS
    board.post(0, 4)

    assert board.loads(besides=1) == [4]


def test_a_load_beyond_what_a_word_holds_is_the_greatest(board: LoadBoard) -> None:
    board.post(0, 2 * MAX_LOAD)

    assert board.loads(besides=1) == [MAX_LOAD]
