"""Recognises text that the model made up: loops, and its favourite sentences for noise."""

from __future__ import annotations

import re

MAX_GROUP_WORDS = 5
MAX_REPEATS = 4
# What the model says to noise and music that a detector took for speech, as whole segments.
INVENTED = frozenset(
    {
        "you",
        "thank you for watching",
        "thanks for watching",
        "thank you for watching this video",
        "please subscribe",
        "subtitles by the amara org community",
    }
)
# Somebody who says one of these sentences needs longer than this for it; "you" needs less.
INVENTED_BELOW_VOICED_MS = 1_000
ONE_WORD_BELOW_VOICED_MS = 200
# The model knows other scripts too, and writes them for what is no speech: 48 kHz audio declared as
# 16 kHz became "啊啊". English has a Latin letter or a digit in every word.
_ENGLISH = re.compile(r"[0-9A-Za-zÀ-ÖØ-öø-ÿ]")
_NOT_WORD = re.compile(r"[^\w' ]+")


def plain_words(text: str) -> list[str]:
    """Lower-case words without punctuation, for comparing."""
    return _NOT_WORD.sub(" ", text.lower()).split()


def is_looped(text: str) -> bool:
    """True if a group of one to five words comes more than four times in a row.

    Single words get twice the room: "no no no no no" is said by people.
    """
    words = plain_words(text)
    for size in range(1, MAX_GROUP_WORDS + 1):
        limit = MAX_REPEATS * 2 if size == 1 else MAX_REPEATS
        # A group that comes n times is a run of (n - 1) * size words, each equal to the one `size`
        # before it.
        run = 0
        for at in range(size, len(words)):
            run = run + 1 if words[at] == words[at - size] else 0
            if run >= limit * size:
                return True
    return False


def is_invented(text: str, voiced_ms: int) -> bool:
    """True if a whole segment is one of the model's sentences for noise, or has no English word in it."""
    if not _ENGLISH.search(text):
        return True
    words = plain_words(text)
    limit_ms = ONE_WORD_BELOW_VOICED_MS if len(words) == 1 else INVENTED_BELOW_VOICED_MS
    return " ".join(words) in INVENTED and voiced_ms < limit_ms
