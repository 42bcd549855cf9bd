"""Text that only grows, from text that is said over and over and may change. Pure."""

from __future__ import annotations

from itertools import takewhile

# The last words of an interim are guesses: there was no more to hear.
UNSURE_WORDS = 2


class Deltas:
    """Of one utterance's interims, the words to tell next.

    A word is told once two interims in a row have it and all words before it, and UNSURE_WORDS after it. What was told
    cannot be taken back: if the final has another word there, the whole text of the final says so.
    """

    def __init__(self) -> None:
        self._told = 0
        self._last: list[str] = []

    def on_interim(self, text: str) -> str:
        """The next words, "" where none is sure."""
        words = text.split()
        agreed = len(list(takewhile(lambda pair: pair[0] == pair[1], zip(words, self._last, strict=False))))
        self._last = words
        return self._tell(words, min(agreed, len(words) - UNSURE_WORDS))

    def on_final(self, text: str) -> str:
        """The rest. The next call begins the next utterance."""
        words = text.split()
        rest = self._tell(words, len(words))
        self._told, self._last = 0, []
        return rest

    def _tell(self, words: list[str], until: int) -> str:
        fresh = words[self._told : max(until, 0)]
        self._told = max(self._told, until)
        return " ".join(fresh)
