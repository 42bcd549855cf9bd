"""What `RecognitionConfig` asks of the written form."""

from __future__ import annotations

import re

_SENTENCE_END = re.compile(r"[.!?\u2026]+[\"')\]]*$")
# Marks at the edges of a word; inside they belong to it (don't, 3.5, well-known, 10:30).
_EDGE_MARKS = '.,;:!?"()[]{}-\u2013\u2014\u2018\u2019\u201c\u201d\u2026'
_EDGES = re.compile(rf"^[{re.escape(_EDGE_MARKS)}]+|[{re.escape(_EDGE_MARKS)}]+$")
_KEEPS_CAPITAL = re.compile(r"^(I|I'\w+|[A-Z0-9][A-Z0-9'&.-]*[A-Z0-9.][A-Za-z']?)$")
_PROFANITY = re.compile(
    r"\b((?:mother)?fuck\w*|(?:bull)?shit(?:s|ty|ting|ted)?|cunts?|bitch\w*|asshole\w*|bastards?|dickheads?|wankers?)\b",
    re.IGNORECASE,
)


def without_punctuation(text: str) -> str:
    """Text as without automatic punctuation: no marks, no capital at the start of a sentence.

    A capital elsewhere is a name and stays; so do "I" and abbreviations in capitals.
    """
    words, begins_sentence = [], True
    for raw in text.split():
        word = _EDGES.sub("", raw)
        if word:
            keeps = not begins_sentence or bool(_KEEPS_CAPITAL.match(word))
            words.append(word if keeps else word[0].lower() + word[1:])
        begins_sentence = bool(_SENTENCE_END.search(raw))
    return " ".join(words)


def masked(text: str) -> str:
    """Profanities as their first letter and asterisks, the way Riva writes them."""
    return _PROFANITY.sub(lambda found: found[0][0] + "*" * (len(found[0]) - 1), text)
