"""Segments cut into subtitle cues: short lines, shown while they are spoken or until they are read. Pure."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

MS_PER_SECOND = 1000
LINE_CHARACTERS = 42
LINES = 2
# What subtitlers hold to, for adults.
CHARACTERS_PER_SECOND = 20
LEAST_CUE_MS = 1000
# A pause this long inside a segment ends a cue: the words after it should not appear before they are said.
PAUSE_MS = 1500
MAX_CUE_MS = 7000
# Where a cue that fills a line already may end well; also the marks of Chinese, Japanese and Arabic.
BREAKS = (".", "?", "!", "…", ",", ";", ":", "。", "？", "！", "，", "、", "؟", "،")  # noqa: RUF001
# Faster than anybody reads or speaks: corrections with less room than this take some of their neighbours'.
MIN_MS_PER_CHARACTER = 30
ZERO_WIDTH_JOINER = "\u200d"


class CueLimits(NamedTuple):
    """How long lines are, how many a cue has, and how long it stays: 0 for no longer than it is spoken."""

    line_characters: int = LINE_CHARACTERS
    lines: int = LINES
    characters_per_second: int = CHARACTERS_PER_SECOND
    least_ms: int = LEAST_CUE_MS


DEFAULT_LIMITS = CueLimits()


class TimedWord(NamedTuple):
    """A word of the current text. end_ms >= start_ms."""

    text: str
    start_ms: int
    end_ms: int


class Cue(NamedTuple):
    """Lines to show from start_ms to end_ms; end_ms > start_ms, every line has text."""

    start_ms: int
    end_ms: int
    lines: tuple[str, ...]


def make_cues(
    text: str,
    start_ms: int,
    end_ms: int,
    words: Sequence[dict[str, Any]] = (),
    limits: CueLimits = DEFAULT_LIMITS,
) -> Iterator[Cue]:
    """Cut the current text of a segment into cues, each as long as its words are spoken.

    words: the machine's words with `word`, `start_ms`, `end_ms`; text may differ from them by corrections.
    """
    gathered: list[TimedWord] = []
    for word in time_words(text, start_ms, end_ms, words, limits.line_characters):
        if gathered and _ends_before(gathered, word, limits):
            yield _cue(gathered, limits)
            gathered = []
        gathered.append(word)
    if gathered:
        yield _cue(gathered, limits)


def hold_cues(cues: Iterable[Cue], limits: CueLimits = DEFAULT_LIMITS) -> Iterator[Cue]:
    """Let cues stay until they can be read, as far as the next one leaves room. Cues: in order."""
    held: Cue | None = None
    for cue in cues:
        if held is not None:
            yield held._replace(end_ms=max(held.end_ms, min(_read_ms(held, limits), cue.start_ms)))
        held = cue
    if held is not None:
        yield held._replace(end_ms=max(held.end_ms, _read_ms(held, limits)))


def _read_ms(cue: Cue, limits: CueLimits) -> int:
    """When a cue has been read, by ms of the audio."""
    characters = sum(map(len, cue.lines))
    speed = limits.characters_per_second
    reading_ms = -(-characters * MS_PER_SECOND // speed) if speed else 0
    return cue.start_ms + max(reading_ms, limits.least_ms)


def time_words(
    text: str,
    start_ms: int,
    end_ms: int,
    words: Sequence[dict[str, Any]] = (),
    line_characters: int = LINE_CHARACTERS,
) -> list[TimedWord]:
    """The words of text with times inside the segment, in order.

    Words that the machine heard keep their times; corrected ones share the time between their neighbours by
    length. Longer ones than a line are cut: not every script puts spaces between words.
    """
    current = [piece for word in text.split() for piece in _cut(word, line_characters)]
    heard = [word for word in words if _has_times(word)]
    spans: list[tuple[int, int] | None] = [None] * len(current)
    matcher = difflib.SequenceMatcher(
        None, [_plain(word["word"]) for word in heard], [_plain(word) for word in current], autojunk=False
    )
    for heard_at, current_at, size in matcher.get_matching_blocks():
        for offset in range(size):
            word = heard[heard_at + offset]
            spans[current_at + offset] = (word["start_ms"], word["end_ms"])
    return _fill(current, spans, start_ms, max(start_ms, end_ms))


def wrap(text: str, limits: CueLimits = DEFAULT_LIMITS) -> tuple[str, ...]:
    """Text on as few lines as it fits on, of lengths as near as may be. No word is longer than a line."""
    least = len(_wrap_to(text, limits.line_characters))
    if least == 1:
        return (text,)
    # The narrowest lines that are no more: found by halving, for narrower ones are never fewer.
    narrow, wide = 1, limits.line_characters
    while narrow < wide:
        middle = (narrow + wide) // 2
        if len(_wrap_to(text, middle)) <= least:
            wide = middle
        else:
            narrow = middle + 1
    return tuple(_wrap_to(text, wide))


def _wrap_to(text: str, width: int) -> list[str]:
    """Lines as full as they may be; a longer word than a line has one of its own."""
    lines: list[str] = []
    for word in text.split(" "):
        if lines and len(lines[-1]) + 1 + len(word) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def _fits(text: str, limits: CueLimits) -> bool:
    return len(text) <= limits.line_characters or len(_wrap_to(text, limits.line_characters)) <= limits.lines


def _ends_before(gathered: list[TimedWord], word: TimedWord, limits: CueLimits) -> bool:
    """Whether the gathered words make a cue that word no longer belongs to."""
    text = " ".join(item.text for item in gathered)
    if not _fits(f"{text} {word.text}", limits):
        return True
    if word.start_ms - gathered[-1].end_ms >= PAUSE_MS or word.end_ms - gathered[0].start_ms > MAX_CUE_MS:
        return True
    return len(text) >= limits.line_characters and text.endswith(BREAKS)


def _cue(words: list[TimedWord], limits: CueLimits) -> Cue:
    start_ms = words[0].start_ms
    lines = wrap(" ".join(word.text for word in words), limits)
    return Cue(start_ms, max(start_ms + 1, words[-1].end_ms), lines)


def _fill(current: list[str], spans: list[tuple[int, int] | None], start_ms: int, end_ms: int) -> list[TimedWord]:
    """Give every word a time that lies in the segment and never before the word in front of it."""
    timed: list[TimedWord] = []
    position, at = start_ms, 0
    while at < len(current):
        span = spans[at]
        if span is not None:
            start = min(max(span[0], position), end_ms)
            timed.append(TimedWord(current[at], start, min(max(span[1], start), end_ms)))
            position, at = timed[-1].end_ms, at + 1
            continue
        stop = _next_span(spans, at)
        until = max(position, _start_of(spans, stop, end_ms))
        while until - position < MIN_MS_PER_CHARACTER * sum(map(len, current[at:stop])):
            if timed:
                position, at = timed.pop().start_ms, at - 1
            elif stop < len(spans):
                stop = _next_span(spans, stop + 1)
                until = max(position, _start_of(spans, stop, end_ms))
            else:
                break
        timed.extend(_share(current[at:stop], position, until))
        position, at = until, stop
    return timed


def _next_span(spans: list[tuple[int, int] | None], at: int) -> int:
    return next((index for index in range(at, len(spans)) if spans[index] is not None), len(spans))


def _start_of(spans: list[tuple[int, int] | None], at: int, end_ms: int) -> int:
    span = spans[at] if at < len(spans) else None
    return end_ms if span is None else min(span[0], end_ms)


def _share(words: list[str], start_ms: int, end_ms: int) -> Iterator[TimedWord]:
    """Words over a stretch of time, each as long as its share of the characters."""
    total, done = sum(map(len, words)), 0
    for word in words:
        begin = start_ms + (end_ms - start_ms) * done // total
        done += len(word)
        yield TimedWord(word, begin, start_ms + (end_ms - start_ms) * done // total)


def _cut(word: str, line_characters: int) -> Iterator[str]:
    """A word in pieces of at most one line, never inside what is seen as one character."""
    while len(word) > line_characters:
        at = line_characters
        while at > 1 and _belongs_together(word[at - 1], word[at]):
            at -= 1
        yield word[:at]
        word = word[at:]
    yield word


def _belongs_together(before: str, after: str) -> bool:
    return (
        before == ZERO_WIDTH_JOINER
        or after == ZERO_WIDTH_JOINER
        or unicodedata.category(after) in ("Mn", "Mc", "Me")
        or "\U0001f3fb" <= after <= "\U0001f3ff"  # skin tones
        or ("\U0001f1e6" <= before <= "\U0001f1ff" and "\U0001f1e6" <= after <= "\U0001f1ff")  # flags
    )


def _has_times(word: dict[str, Any]) -> bool:
    return isinstance(word.get("start_ms"), int) and isinstance(word.get("end_ms"), int)


def _plain(word: str) -> str:
    """A word without case and punctuation, for telling corrections from what was heard."""
    return "".join(character for character in word.casefold() if character.isalnum()) or word
