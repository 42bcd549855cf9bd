"""Which words of an edited text are those that were heard, and when the others are said. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from transcription.review.words import Word, find_words, plain

# Of words compared with each other. Beyond it (three minutes in one segment, all of it different) words in the middle
# count as changed: a text made for it would otherwise take minutes.
MAX_COMPARED = 250_000


class Block(NamedTuple):
    """size equal items: from old_at on in the one, from new_at on in the other."""

    old_at: int
    new_at: int
    size: int


def matching_blocks(old: Sequence[str], new: Sequence[str]) -> list[Block]:
    """Runs of equal items in order, none of them empty."""
    shorter = min(len(old), len(new))
    head = next((at for at in range(shorter) if old[at] != new[at]), shorter)
    tail = next((at for at in range(shorter - head) if old[-1 - at] != new[-1 - at]), shorter - head)
    blocks = [Block(0, 0, head)]
    middle_old, middle_new = old[head : len(old) - tail], new[head : len(new) - tail]
    if 0 < len(middle_old) * len(middle_new) <= MAX_COMPARED:
        matcher = difflib.SequenceMatcher(None, middle_old, middle_new, autojunk=False)
        blocks += [Block(head + i, head + j, size) for i, j, size in matcher.get_matching_blocks()]
    blocks.append(Block(len(old) - tail, len(new) - tail, tail))
    return [block for block in blocks if block.size]


def time_words(text: str, start_ms: int, end_ms: int, heard: Sequence[Word]) -> list[Word]:
    """The words of text with times inside start_ms to end_ms, none before the word in front of it.

    Words that were heard keep their times and confidence; changed runs share the time between their neighbours by
    length.
    """
    found = find_words(text)
    sources: list[Word | None] = [None] * len(found)
    for block in matching_blocks([plain(word.text) for word in heard], [plain(word) for _at, word in found]):
        for offset in range(block.size):
            sources[block.new_at + offset] = heard[block.old_at + offset]
    end_ms = max(start_ms, end_ms)
    timed: list[Word] = []
    position, number = start_ms, 0
    while number < len(found):
        source = sources[number]
        at, word = found[number]
        if source is not None:
            start = min(max(source.start_ms, position), end_ms)
            position = min(max(source.end_ms, start), end_ms)
            timed.append(Word(word, at, start, position, source.confidence, True, source.speaker))
            number += 1
            continue
        stop = next((later for later in range(number, len(found)) if sources[later] is not None), len(found))
        following = sources[stop] if stop < len(found) else None
        until = max(position, min(following.start_ms, end_ms)) if following is not None else end_ms
        timed.extend(_share(found[number:stop], position, until))
        position, number = until, stop
    return timed


def machine_words(asr_text: str, start_ms: int, end_ms: int, stored: Sequence[dict[str, Any]]) -> list[Word]:
    """The words of a machine's text. stored: its words as the recogniser gave them, in its own division."""
    known: list[Word] = []
    for item in stored:
        begin, end = item.get("start_ms"), item.get("end_ms")
        if not isinstance(begin, int) or not isinstance(end, int):
            continue
        parts = find_words(str(item.get("word", "")))
        confidence = item.get("confidence") or None  # 0.0: not set
        for word in _share(parts, begin, max(begin, end)):
            known.append(Word(word.text, word.at, word.start_ms, word.end_ms, confidence, True, item.get("speaker")))
    timed = time_words(asr_text, start_ms, end_ms, known)
    # All of it was heard, whether or not the recogniser said when.
    return [Word(word.text, word.at, word.start_ms, word.end_ms, word.confidence, True, word.speaker) for word in timed]


def _share(words: Sequence[tuple[int, str]], start_ms: int, end_ms: int) -> Iterator[Word]:
    """Words over a stretch of time, each as long as its share of the characters."""
    total, done = sum(len(word) for _at, word in words), 0
    for at, word in words:
        begin = start_ms + (end_ms - start_ms) * done // total
        done += len(word)
        yield Word(word, at, begin, start_ms + (end_ms - start_ms) * done // total, None, False)
