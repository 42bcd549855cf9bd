"""Phrase sets as pages offer them."""

from __future__ import annotations

from transcription.access import Who, usable_phrase_sets
from transcription.phrases.models import PhraseSet

# More make no list that anybody would read.
MAX_OFFERED = 200


def offered_sets(who: Who) -> list[PhraseSet]:
    """The sets that they may record with, by name, without their phrases."""
    return list(usable_phrase_sets(who).defer("phrases").order_by("name", "pk")[:MAX_OFFERED])
