"""A short round of `make fuzz`: generated requests and mutated messages, the same each time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from transcription.tests.fuzz.requests import throw_requests
from transcription.tests.fuzz.sockets import socket_routes, throw_messages
from transcription.tests.fuzz.stage import Stage, running_stage

SEED = 20261126
CONVERSATIONS = 100
# Each half of the phases.
REQUESTS_S = 20

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def stage(new_data_dir: Callable[[], Path]) -> Iterator[Stage]:
    with running_stage(new_data_dir()) as stage:
        yield stage


def test_every_socket_route_is_thrown_at() -> None:
    routes = socket_routes()
    assert "/api/v1/transcribe/{id}" in routes
    assert not [route for route in routes if set(route) & set("()<>^$?[]*\\")]


async def test_no_message_makes_the_service_stumble_and_nobody_else_notices(stage: Stage) -> None:
    report = await throw_messages(stage, seed=SEED, conversations=CONVERSATIONS)
    assert report.failures == []
    assert report.conversations == CONVERSATIONS
    assert stage.bugs() == []
    stage.server.all_released()


@pytest.mark.parametrize("phases", ["examples,coverage", "fuzzing,stateful"])
def test_every_request_is_answered_as_the_document_says(stage: Stage, phases: str) -> None:
    outcome = throw_requests(stage, seed=SEED, max_examples=5, max_time_s=REQUESTS_S, phases=phases)
    assert outcome.passed, outcome.output
    # How many there are in that time says something about the machine.
    assert outcome.cases
