"""How long sessions stay, in words, and what a deletion takes along."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from transcription.models import TranscriptionSession
from transcription.retention.protecting import reasons_of
from transcription.retention.terms import terms_of


def with_retention(sessions: Sequence[TranscriptionSession]) -> Iterator[tuple[TranscriptionSession, str]]:
    """Each with what keeps it or ends it, "" for what goes by the rules."""
    keys = [session.pk for session in sessions]
    protections, terms = reasons_of(keys), terms_of(keys)
    for session in sessions:
        if session.pk in protections:
            yield session, _("protected: %(reason)s") % {"reason": protections[session.pk]}
        elif session.pk in terms:
            yield session, _("deleted from %(day)s") % {"day": timezone.localtime(terms[session.pk]).date().isoformat()}
        else:
            yield session, ""


def reasons_to_stay(sessions: Sequence[TranscriptionSession]) -> list[str]:
    """A sentence for each session that cannot be deleted now."""
    protections = reasons_of(session.pk for session in sessions)
    reasons = []
    for session in sessions:
        if session.is_live:
            reasons.append(_("%(session)s is live. Stop it before you delete it.") % {"session": session})
        if session.pk in protections:
            facts = {"session": session, "reason": protections[session.pk]}
            reasons.append(_("%(session)s is protected: %(reason)s") % facts)
    return reasons


def what_goes(session: TranscriptionSession) -> str:
    """A session with the seconds of audio and the number of segments that go with it."""
    seconds, segments = session.audio_ms // 1000, session.segment_count
    told = ngettext("%(count)d segment", "%(count)d segments", segments) % {"count": segments}
    return _("%(session)s: %(seconds)d s of audio, %(segments)s") % {
        "session": session,
        "seconds": seconds,
        "segments": told,
    }
