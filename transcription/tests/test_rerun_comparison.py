"""Two transcripts of the same audio beside each other, with plain values."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from transcription.reruns.comparison import Said, compare_sides, rate


def test_segments_that_overlap_share_a_row() -> None:
    first = [Said(0, 2000, "good morning"), Said(3000, 5000, "all of you")]
    second = [Said(0, 900, "good"), Said(1000, 2100, "evening"), Said(3100, 5000, "all of you")]
    rows = compare_sides(first, second)
    assert [(row.start_ms, row.end_ms, row.first, row.second) for row in rows] == [
        (0, 2100, "good morning", "good evening"),
        (3000, 5000, "all of you", "all of you"),
    ]
    assert [(each.kind, each.text.strip()) for each in rows[0].changes] == [
        ("same", "good"), ("removed", "morning"), ("added", "evening"),
    ]  # fmt: skip
    assert [row.is_same for row in rows] == [False, True]


def test_what_only_one_heard_has_a_row_of_its_own() -> None:
    [row] = compare_sides([], [Said(0, 10, "noise")])
    assert (row.first, row.second) == ("", "noise")
    assert [each.kind for each in row.changes] == ["added"]


def test_ends_that_lie_over_a_little_keep_rows_apart() -> None:
    rows = compare_sides(
        [Said(0, 1000, "one"), Said(1000, 2000, "two")], [Said(0, 1200, "one"), Said(1200, 2000, "two")]
    )
    assert [row.first for row in rows] == ["one", "two"]


def test_both_are_rated_against_the_corrected_text() -> None:
    rates = rate([Said(0, 1, "a b c d")], [Said(0, 1, "A b, x d")], "a b x d")
    assert (rates.first, rates.second) == (0.25, 0.0)
    assert rate([Said(0, 1, "a")], [], None).first is None


said = st.lists(
    st.tuples(st.integers(0, 50_000), st.integers(0, 5000), st.sampled_from(["a", "b", "c", "d"])), max_size=30
).map(lambda items: [Said(start, start + length, text) for start, length, text in sorted(items)])


@given(said, said)
def test_every_word_of_both_stands_in_one_row(first: list[Said], second: list[Said]) -> None:
    rows = compare_sides(first, second)
    assert " ".join(row.first for row in rows if row.first).split() == [each.text for each in first]
    assert " ".join(row.second for row in rows if row.second).split() == [each.text for each in second]
