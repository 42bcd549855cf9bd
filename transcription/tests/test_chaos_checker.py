"""The checker finds what is wrong, and nothing in what is right."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from transcription.fake_riva.audio import Speech, SpokenWord, word_text
from transcription.tests.chaos.checker import check, check_resources, merged
from transcription.tests.chaos.records import ClientRecord, Resources, SeenFinal, StoredSegment, StoredSession
from transcription.tests.chaos.soak import Sample, unexplained_growth

WORDS = tuple(Speech(9, words_per_utterance=3).timeline())
HEARD = {word.number for word in WORDS}
END_BYTES = 32 * 10_000


def segment(index: int, words: tuple[SpokenWord, ...], **other: Any) -> StoredSegment:
    timed = tuple((word_text(word.number), word.start_ms, word.end_ms) for word in words)
    text = " ".join(word[0] for word in timed)
    return replace(StoredSegment(index, 1, words[0].start_ms, words[-1].end_ms, text, timed), **other)


SEGMENTS = tuple(segment(index, WORDS[3 * index : 3 * index + 3]) for index in range(3))


def client(**other: Any) -> ClientRecord:
    finals = {one.index: SeenFinal(one.text, one.start_ms, one.end_ms) for one in SEGMENTS}
    right = ClientRecord("my-id", words=WORDS, finals=finals, sent_bytes=END_BYTES, stopped={"reason": "client"})
    return replace(right, **other)


def session(*segments: StoredSegment, **other: Any) -> StoredSession:
    right = StoredSession("my-id", "completed", 1, len(segments) or 3, END_BYTES, segments or SEGMENTS)
    return replace(right, **other)


def broken(client: ClientRecord, session: StoredSession, heard: set[int] | None = HEARD) -> set[str]:
    return check([client], {session.session_id: session}, heard).rules_broken


def test_what_is_right_has_nothing_wrong() -> None:
    verdict = check([client()], {"my-id": session()}, HEARD)
    assert (verdict.sessions, verdict.words, verdict.violations) == (1, 9, [])


def test_a_session_that_is_not_stored_is_missing() -> None:
    assert check([client()], {}).rules_broken == {"I6"}


def test_a_lost_word_is_found() -> None:
    shorter = segment(1, WORDS[3:5])
    found = check([client(finals={})], {"my-id": session(SEGMENTS[0], shorter, SEGMENTS[2])}, HEARD)
    assert [str(violation) for violation in found.violations] == [
        "lost     my-id: word 6 at 3300 ms although the recogniser had it final"
    ]


def test_a_word_that_is_stored_twice_is_found() -> None:
    longer = segment(1, WORDS[2:6])
    assert broken(client(finals={}), session(SEGMENTS[0], longer, SEGMENTS[2])) == {"twice"}


def test_words_in_the_wrong_order_are_found() -> None:
    swapped = segment(1, (WORDS[4], WORDS[3], WORDS[5]))
    assert "order" in broken(client(finals={}), session(SEGMENTS[0], swapped, SEGMENTS[2]))


def test_half_a_word_is_found() -> None:
    half = replace(SEGMENTS[1], text=SEGMENTS[1].text + " part0007")
    assert broken(client(finals={}), session(SEGMENTS[0], half, SEGMENTS[2])) == {"broken"}


def test_words_of_somebody_else_are_found() -> None:
    other = replace(SEGMENTS[1], text=SEGMENTS[1].text + " word0777")
    assert broken(client(finals={}), session(SEGMENTS[0], other, SEGMENTS[2])) == {"invented", "order"}


def test_words_that_were_never_final_are_found_unless_they_were_promoted() -> None:
    last = {word.number for word in WORDS[6:]}
    assert broken(client(), session(), HEARD - last) == {"invented"}
    promoted = replace(SEGMENTS[2], promoted=True)
    assert broken(client(), session(*SEGMENTS[:2], promoted), HEARD - last) == set()


def test_times_that_are_shifted_are_found() -> None:
    late = replace(SEGMENTS[1], words=tuple((text, start + 50, end + 50) for text, start, end in SEGMENTS[1].words))
    assert broken(client(), session(SEGMENTS[0], late, SEGMENTS[2])) == {"time"}
    assert not check([client()], {"my-id": session(SEGMENTS[0], late, SEGMENTS[2])}, time_tolerance_ms=None).violations


def test_only_the_last_word_of_an_unfinished_result_may_end_early() -> None:
    def cut(segment: StoredSegment, at: int) -> StoredSegment:
        words = list(segment.words)
        words[at] = (words[at][0], words[at][1], words[at][1] + 10)
        return replace(segment, words=tuple(words))

    def stored(segment: StoredSegment) -> StoredSession:
        return session(*SEGMENTS[:2], segment)

    last = SEGMENTS[2]
    assert broken(client(), stored(cut(replace(last, promoted=True), -1))) == set()
    assert broken(client(), stored(cut(replace(last, promoted=True), 0))) == {"time"}
    assert broken(client(), stored(cut(last, -1))) == {"time"}


@pytest.mark.parametrize(
    "segments",
    [
        (SEGMENTS[0], replace(SEGMENTS[1], index=2), replace(SEGMENTS[2], index=3)),
        (SEGMENTS[0], replace(SEGMENTS[1], start_ms=SEGMENTS[0].start_ms - 81), SEGMENTS[2]),
        (SEGMENTS[0], replace(SEGMENTS[1], end_ms=SEGMENTS[1].start_ms - 1), SEGMENTS[2]),
    ],
    ids=["hole", "backwards", "end before start"],
)
def test_segments_out_of_line_are_found(segments: tuple[StoredSegment, ...]) -> None:
    assert broken(client(finals={}), session(*segments)) == {"I1"}


def test_a_tail_does_not_count_as_settled() -> None:
    tail = replace(SEGMENTS[2], tail=True)
    assert broken(client(), session(*SEGMENTS[:2], tail)) == {"I1"}
    assert broken(client(), session(*SEGMENTS[:2], tail, next_seq=2)) == set()


def test_bytes_that_are_not_accounted_for_are_found() -> None:
    assert broken(client(), session(committed_bytes=END_BYTES - 2)) == {"I2"}
    assert broken(client(stopped=None), session(committed_bytes=END_BYTES + 2)) == {"I2"}


def test_a_gap_must_be_stored_as_it_was_made() -> None:
    gap = (32 * WORDS[3].start_ms, 32 * WORDS[5].end_ms)
    without = (SEGMENTS[0], replace(SEGMENTS[2], index=1))
    lossy = client(discarded=[gap], finals={})
    assert broken(lossy, session(*without, gaps=(gap,))) == set()
    assert broken(lossy, session(*without)) == {"lost"}
    assert broken(client(finals={}), session(*without, gaps=(gap,))) == {"lost", "I2"}


def test_a_gap_may_begin_later_than_the_client_knew() -> None:
    """Audio was settled, and the acknowledgement did not reach it any more."""
    made, stored = (32 * 1000, 32 * 2000), (32 * 1500, 32 * 2000)
    assert broken(client(discarded=[made]), session(gaps=(stored,))) == set()
    assert broken(client(discarded=[stored]), session(gaps=(made,))) == {"I2"}
    assert broken(client(discarded=[made]), session(gaps=((32 * 1000, 32 * 1900),))) == {"I2"}


def test_audio_that_was_settled_unheard_between_two_gaps_is_none() -> None:
    """The first resume was lost with its audio, which was settled before the client came back without it."""
    first, second = (32 * 1000, 32 * 1400), (32 * 1400, 32 * 2000)
    unheard = (32 * 1700, 32 * 2000)

    assert broken(client(discarded=[first, second]), session(gaps=(first, unheard))) == set()
    assert broken(client(discarded=[first, second]), session(gaps=((32 * 1000, 32 * 1200), unheard))) == {"I2"}


def test_a_word_at_the_edge_of_a_gap_may_be_heard_in_part() -> None:
    edge = 32 * (WORDS[3].start_ms + 100)
    gap = (edge, 32 * WORDS[5].end_ms)
    half = replace(SEGMENTS[1], text="part0004", words=())
    assert broken(client(discarded=[gap], finals={}), session(SEGMENTS[0], half, SEGMENTS[2], gaps=(gap,))) == set()


def test_of_a_session_that_was_left_only_what_was_settled_or_flushed_must_be_there() -> None:
    left = client(stopped=None, finals={})
    settled = 32 * (WORDS[2].end_ms + 400)
    assert broken(left, session(SEGMENTS[0], committed_bytes=settled)) == set()
    flushed = 32 * WORDS[5].end_ms
    assert broken(left, session(SEGMENTS[0], committed_bytes=settled, flushed_bytes=flushed)) == {"lost"}


def test_segments_of_an_earlier_holder_are_found() -> None:
    after = replace(SEGMENTS[1], epoch=2)
    assert broken(client(), session(SEGMENTS[0], after, SEGMENTS[2])) == {"I3"}
    late = tuple(replace(one, epoch=2) for one in SEGMENTS[1:])
    assert broken(client(resumed_at=[1]), session(SEGMENTS[0], *late)) == set()
    assert broken(client(resumed_at=[1]), session(*SEGMENTS)) == {"I3"}


def test_a_live_session_without_a_worker_is_found() -> None:
    assert broken(client(), session(is_orphan=True)) == {"I4"}


def test_what_a_client_was_told_must_be_stored_so() -> None:
    told = {0: SeenFinal("something else", 0, 1000)}
    assert broken(client(finals=told), session()) == {"I6"}
    assert broken(client(finals={7: SeenFinal("more", 0, 1000)}), session()) == {"I6"}


def test_what_the_protocol_does_not_allow_is_passed_on() -> None:
    assert broken(client(problems=["safe went back"]), session()) == {"protocol"}


def test_what_is_left_behind_is_found() -> None:
    before = Resources({"tasks": 10, "streams": 0}, rss_bytes=100_000_000)
    assert check_resources(before, Resources({"tasks": 9, "streams": 0}, rss_bytes=104_000_000)) == []
    left = check_resources(before, Resources({"tasks": 11, "streams": 1}, rss_bytes=106_000_000))
    assert [violation.detail for violation in left] == [
        "streams: 0 before, 1 after",
        "tasks: 10 before, 11 after",
        "memory grew by 6.0%",
    ]


def test_spans_that_touch_are_joined() -> None:
    assert merged([(5, 9), (0, 2), (2, 5), (20, 20), (12, 14)]) == [(0, 9), (12, 14)]


def test_growth_is_judged_without_what_page_caches_may_take() -> None:
    samples = [Sample(minute * 60.0, 100_000_000 + minute * 100_000) for minute in range(61)]
    assert unexplained_growth(samples, 0) == pytest.approx(0.06)
    assert unexplained_growth(samples, 4_000_000) == pytest.approx(0.02)
    assert unexplained_growth(samples, 8_000_000) == 0.0
    assert unexplained_growth(samples[:1], 0) == 0.0
