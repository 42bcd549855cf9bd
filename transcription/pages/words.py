"""States and ends of sessions in words for people, with the tone that the pages colour them by."""

from __future__ import annotations

from django.utils.formats import number_format
from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from transcription.models import TranscriptionSession

State = TranscriptionSession.State

MS_PER_SECOND = 1000
LEAST_SHOWN_MS = 100

TONES: dict[str, str] = {
    State.CREATED: "",
    State.LIVE: "ok",
    State.DETACHED: "warn",
    State.COMPLETED: "",
    State.INTERRUPTED: "warn",
    State.FAILED: "danger",
}

END_REASONS: dict[str, Promise] = {
    "client": _("The speaker stopped it."),
    "session_timeout": _("The longest time for one recording was reached."),
    "operator": _("An operator stopped it."),
    "revoked": _("The credentials were withdrawn."),
    "idle_timeout": _("Nothing came from the speaker for too long."),
    "client_lost": _("The connection to the speaker was lost."),
    "worker_lost": _("The server process that held it went away."),
    "draining": _("The server was being updated."),
    "recogniser_failed": _("The recogniser failed."),
    "recogniser_silent": _("The recogniser stopped answering."),
    "storage_unavailable": _("The database did not answer."),
    "at_capacity": _("All places were taken."),
    "bad_audio": _("The audio was not what was declared."),
    "bad_message": _("The client broke the protocol."),
    "too_fast": _("The client sent more than its limits allow."),
    "message_too_large": _("The client sent a message that was too large."),
    "timed_out": _("The client did not read or send in time."),
    "internal_error": _("An error of this service ended it."),
}


def end_in_words(session: TranscriptionSession) -> str:
    """Why a session ended; a reason without a sentence of its own is told by its message, then by its name."""
    sentence = END_REASONS.get(session.end_reason)
    if sentence is not None:
        return str(sentence)
    return session.end_message or session.end_reason.replace("_", " ")


def seconds_in_words(ms: int) -> str:
    """2400 as `2.4 s`; what would be 0.0 says that it is less."""
    if 0 < ms < LEAST_SHOWN_MS:
        return gettext("less than 0.1 s")
    return gettext("%(count)s s") % {"count": write_decimal(ms / MS_PER_SECOND, 1)}


def write_decimal(value: float, places: int) -> str:
    """0.5 as `0.50`, in German `0,50`."""
    # Rounded before: Django cuts off what is too much.
    return number_format(round(value, places), places)
