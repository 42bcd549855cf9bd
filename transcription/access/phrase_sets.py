"""Who may choose which sets of phrases."""

from __future__ import annotations

from django.db.models import Q, QuerySet

from transcription.access.people import NOTHING, Who, user_of
from transcription.phrases.models import PhraseSet


def usable_phrase_sets(who: Who) -> QuerySet[PhraseSet]:
    """Phrase sets that they may record with: their own and those of everybody."""
    user = user_of(who)
    if user is not None and not (user.is_authenticated and user.is_active):
        return PhraseSet.objects.none()
    user_id = user.pk if user is not None else who.user_id  # type: ignore[union-attr]  # no user: a principal
    own = Q(owner=user_id) if user_id is not None else NOTHING
    return PhraseSet.objects.filter(own | Q(owner=None))
