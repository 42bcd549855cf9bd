"""Splitting, joining and changing passages, told so that it can be undone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transcription.review.changes import CannotUndo, Item, Passages, compare, rewind, undo
from transcription.review.passages import MachineSegment, Passage, PassageId, Reading, in_order, untouched
from transcription.review.splitting import NoRoom, merge, split
from transcription.review.words import split_words


def machine(index: int, text: str) -> MachineSegment:
    """Words of 100 ms each from index seconds on."""
    start_ms = index * 1000
    words = [
        {"word": word, "start_ms": start_ms + at * 100, "end_ms": start_ms + at * 100 + 100, "confidence": 0.5}
        for at, word in enumerate(text.split())
    ]
    return MachineSegment(index, start_ms, start_ms + 100 * len(words), text, text, words=words)


class Document:
    """What the database does with passages, in memory."""

    def __init__(self, *texts: str) -> None:
        self.machines = {index: machine(index, text) for index, text in enumerate(texts)}
        self.stored: Passages = {}
        self.changes: list[list[Item]] = []

    def all(self) -> list[Passage]:
        return list(in_order(self.machines.values(), self.stored.values()))

    def reading(self, passage: Passage) -> Reading:
        return Reading.of(passage, self.machines)

    def at(self, number: int) -> Passage:
        return self.all()[number]

    def apply(self, before: Passages, after: Passages) -> None:
        items = compare(before, after)
        if not items:
            return
        self.changes.append(items)
        for id in before:
            self.stored.pop(id, None)
        for id, passage in after.items():
            unchanged = before.get(id) == passage
            self.stored[id] = passage if unchanged else replace(passage, version=len(self.changes))

    def edit(self, number: int, text: str) -> None:
        passage = self.at(number)
        self.apply({passage.id: passage}, {passage.id: replace(passage, text=text)})

    def split(self, number: int, before: str, after: str) -> None:
        passage = self.at(number)
        siblings = [
            other
            for other in self.stored.values()
            if passage.index <= other.index <= passage.last_index and other.id != passage.id
        ]
        left, right = split(self.reading(passage), before, after, siblings=siblings)
        self.apply({passage.id: passage}, {left.id: left, right.id: right})

    def merge(self, number: int) -> None:
        left, right = self.all()[number - 1 : number + 1]
        merged = merge(left, right)
        self.apply({left.id: left, right.id: right}, {merged.id: merged})

    def told(self) -> list[tuple[str, str, int, int]]:
        return [(str(found.id), found.text, found.start_ms, found.end_ms) for found in self.all()]

    def heard(self) -> Iterator[str]:
        for passage in self.all():
            yield from (word.text for _index, word in self.reading(passage).heard)


def test_a_split_divides_what_was_heard_and_its_time() -> None:
    document = Document("one two three four")
    document.split(0, "one two", "three four")
    assert document.told() == [("0", "one two", 0, 200), ("0.1", "three four", 200, 400)]
    assert [document.reading(passage).asr_text for passage in document.all()] == ["one two", "three four"]
    assert not any(document.reading(passage).is_edited for passage in document.all())


def test_a_part_can_be_split_again_and_lies_between_its_neighbours() -> None:
    document = Document("one two three four")
    document.split(0, "one two", "three four")
    document.split(0, "one", "two")
    document.split(2, "three", "four")
    assert document.told() == [
        ("0", "one", 0, 100),
        ("0.2", "two", 100, 200),
        ("0.1", "three", 200, 300),
        ("0.3", "four", 300, 400),
    ]


def test_parts_that_are_joined_again_are_what_they_were() -> None:
    document = Document("one two three", "four")
    document.split(0, "one", "two three")
    document.merge(1)
    (whole, _other) = document.all()
    assert replace(whole, version=0) == untouched(document.machines[0])


def test_joined_segments_cover_both_and_can_be_parted_where_they_were() -> None:
    document = Document("one two", "three four", "five")
    document.merge(1)
    document.merge(1)
    assert document.told() == [("0", "one two three four five", 0, 2100)]
    assert document.reading(document.at(0)).asr_text == "one two three four five"
    document.split(0, "one two", "three four five")
    document.split(1, "three four", "five")
    assert document.told() == [("0", "one two", 0, 200), ("1", "three four", 1000, 1200), ("2", "five", 2000, 2100)]


def test_a_split_may_edit_at_the_same_time() -> None:
    document = Document("one two three four")
    document.split(0, "One too", "free for all")
    assert [document.reading(passage).asr_text for passage in document.all()] == ["one two", "three four"]
    words = document.reading(document.at(0)).words
    assert [(word.text, word.start_ms, word.is_heard) for word in words] == [("One", 0, True), ("too", 100, False)]


def test_a_split_inside_of_a_word_gives_it_to_one_side() -> None:
    document = Document("one sunlight two")
    document.split(0, "one sun", "light two")
    assert sorted(document.heard()) == sorted(["one", "sunlight", "two"])


def test_a_split_of_words_that_were_never_heard_works() -> None:
    document = Document("")
    document.edit(0, "all of it new")
    document.split(0, "all of", "it new")
    document.split(1, "it", "new")
    assert [passage.text for passage in document.all()] == ["all of", "it", "new"]


def test_there_is_an_end_to_splitting_at_one_place() -> None:
    document = Document("a b")
    document.split(0, "a", "b")

    def split_on() -> None:
        for _number in range(1200):
            document.split(0, "a", "a")

    with pytest.raises(NoRoom):
        split_on()


def test_segments_in_which_nothing_was_heard_are_kept() -> None:
    document = Document("one", "", "two")
    document.merge(1)
    document.merge(1)
    document.split(0, "one", "two")
    assert document.told() == [("0", "one", 0, 100), ("2", "two", 2000, 2100)]


def test_a_change_is_taken_back_and_done_again() -> None:
    document = Document("one two", "three")
    document.split(0, "one", "two")
    document.merge(2)
    before = document.told()
    for number in (2, 3):
        after = undo(document.stored, document.changes[number - 1], number)
        document.apply(dict(document.stored), after)
    assert document.told() == before


def test_a_change_is_not_taken_back_once_its_segments_have_changed() -> None:
    document = Document("one two")
    document.edit(0, "one too")
    document.edit(0, "one to")
    with pytest.raises(CannotUndo) as error:
        undo(document.stored, document.changes[0], 1)
    assert error.value.ids == [PassageId(0)]


def test_an_id_says_what_it_is() -> None:
    assert PassageId.parse("12.3") == PassageId(12, 3)
    assert [str(PassageId(0)), str(PassageId(12, 3))] == ["0", "12.3"]
    for text in ("", "x", "1.0", "-1", "1.", "1.1.1", "01234567890", "1\n"):
        assert PassageId.parse(text) is None


WORDS = st.sampled_from(["one", "two", "three", "four", "one,", "Two", "x"])
TEXTS = st.lists(WORDS, max_size=5).map(" ".join)


@settings(max_examples=150, deadline=None)
@given(st.data(), st.lists(TEXTS, min_size=1, max_size=4))
def test_whatever_is_done_nothing_that_was_heard_is_lost_and_all_of_it_can_be_taken_back(
    data: st.DataObject, texts: list[str]
) -> None:
    document = Document(*texts)
    first = document.told()
    heard = list(document.heard())
    for _number in range(data.draw(st.integers(1, 12))):
        passages = document.all()
        number = data.draw(st.integers(0, len(passages) - 1))
        action = data.draw(st.sampled_from(["edit", "split", "merge"]))
        if action == "edit":
            document.edit(number, data.draw(TEXTS))
        elif action == "split":
            words = split_words(passages[number].text)
            if len(words) > 1:
                at = data.draw(st.integers(1, len(words) - 1))
                document.split(number, " ".join(words[:at]), " ".join(words[at:]))
        elif number:
            document.merge(number)
        assert list(document.heard()) == heard
        assert len({passage.id for passage in document.all()}) == len(document.all())
        for passage in document.all():
            assert passage.start_ms <= passage.end_ms
            assert [word.text for word in document.reading(passage).words] == split_words(passage.text)
    document.stored = rewind(document.stored, reversed(document.changes))
    assert document.told() == first
