"""A checker that cannot fail proves nothing: with a rule of the design switched off, it must find what goes wrong.

The rule is switched off in what runs, and nothing else is changed; see test_chaos_fence.py for the fence.
"""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from transcription.fake_riva.audio import Speech
from transcription.storage.steps import Ending, SessionHandle
from transcription.tests.chaos.simulation import Loss, Simulation
from transcription.tests.memory_store import MemoryStore

SPEECH = Speech(60, words_per_utterance=5)
END_MS = sum(len(chunk) for chunk in SPEECH.chunks()) // 32
# Word times may be this wrong; the pad is there for it.
WORD_TIME_ERROR_MS = 200
SEEDS = range(5)


def losses(seed: int, *who: str) -> list[Loss]:
    """Twelve losses at random moments."""
    chance = random.Random(seed)  # noqa: S311 - where tests cut, not a secret
    moments = sorted(chance.randrange(500, END_MS) for _ in range(12))
    return [Loss(at_ms, "client" if chance.choice(who) == "client" else "recogniser") for at_ms in moments]


class StoreThatKeepsTails(MemoryStore):
    """The tail rule switched off: what a flush gave counts as settled text, and nobody takes it back."""

    async def finish(self, handle: SessionHandle, ending: Ending) -> None:
        row = self.sessions[handle.public_id]
        row.segments.extend(replace(tail, tail=False) for tail in ending.tails)
        await super().finish(handle, replace(ending, tails=()))


@pytest.mark.parametrize("seed", SEEDS)
async def test_with_every_rule_on_nothing_is_wrong(seed: int) -> None:
    simulation = Simulation(SPEECH, word_time_error_ms=WORD_TIME_ERROR_MS)
    verdict = await simulation.run(losses(seed, "recogniser", "client"))
    assert (verdict.words, verdict.violations) == (60, [])


@pytest.mark.parametrize("seed", SEEDS)
async def test_without_the_watermarks_pad_words_are_cut(seed: int) -> None:
    simulation = Simulation(SPEECH, pad_ms=0, word_time_error_ms=WORD_TIME_ERROR_MS)
    verdict = await simulation.run(losses(seed, "recogniser"))
    assert verdict.rules_broken & {"broken", "twice", "lost"}


async def test_with_exact_word_times_the_pad_would_not_be_missed() -> None:
    """It is the error of word times that the pad is for, and what the test above shows."""
    verdict = await Simulation(SPEECH, pad_ms=0).run(losses(1, "recogniser"))
    assert verdict.violations == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_without_the_tail_rule_words_are_stored_twice(seed: int) -> None:
    simulation = Simulation(SPEECH, store=StoreThatKeepsTails())
    verdict = await simulation.run(losses(seed, "client"))
    assert verdict.rules_broken & {"broken", "twice"}
