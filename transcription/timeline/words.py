"""The log of a session in sentences, with its start and end, which are on the session itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from transcription.models import TranscriptionSession
from transcription.pages.words import END_REASONS, TONES, end_in_words, seconds_in_words
from transcription.timeline.models import SessionEvent

MS_PER_MINUTE = 60_000

Kind = SessionEvent.Kind


@dataclass(frozen=True, slots=True)
class Entry:
    """tone: as the pages colour it, "" for what is in order. audio_ms: audio received by then, where that is known."""

    at: datetime
    text: str
    tone: str = ""
    audio_ms: int | None = None


WARNINGS: dict[str, Promise] = {
    "silence": gettext_lazy("Nothing but silence came."),
    "clipping": gettext_lazy("The audio is too loud and distorted."),
    "too_fast": gettext_lazy("The client sends audio faster than it may."),
    "rate_mismatch": gettext_lazy("The audio does not seem to have the sample rate that was declared."),
    "odd_bytes": gettext_lazy("Half a sample was sent; the audio may be shifted."),
    "wav_header_skipped": gettext_lazy("A WAV header before the audio was skipped."),
    "recording_stopped": gettext_lazy("The audio is kept no longer."),
}
REOPENINGS: dict[str, Promise] = {
    "rotation": gettext_lazy("The recogniser's stream was renewed at a pause."),
    "cut": gettext_lazy("The recogniser's stream was renewed without a pause."),
}


def timeline_of(session: TranscriptionSession, events: Sequence[SessionEvent]) -> list[Entry]:
    """Everything in order, oldest first."""
    entries = [Entry(event.at, *_words(event), event.audio_ms) for event in events]
    entries.insert(0, Entry(session.started_at or session.created_at, _("Started.")))
    if session.ended_at is not None:
        end = Entry(session.ended_at, _ended(session), TONES.get(session.state, ""), session.audio_ms)
        entries.append(end)
    return sorted(entries, key=lambda entry: entry.at)


def _ended(session: TranscriptionSession) -> str:
    return f"{session.get_state_display()}. {end_in_words(session)}".strip()


def _words(event: SessionEvent) -> tuple[str, str]:
    find = WORDS.get(event.kind)
    return find(event.detail) if find is not None else (event.get_kind_display(), "")


def _opened(detail: dict[str, Any]) -> tuple[str, str]:
    named = ", ".join(filter(None, (detail.get("recogniser"), detail.get("model"))))
    return (_("The recogniser listens: %(name)s.") % {"name": named} if named else _("The recogniser listens.")), ""


def _reopening(detail: dict[str, Any]) -> tuple[str, str]:
    reason = str(detail.get("reason", ""))
    planned = REOPENINGS.get(reason)
    if planned is not None:
        return str(planned), ""
    sentence = END_REASONS.get(reason)
    why = str(sentence) if sentence is not None else reason.replace("_", " ")
    return _("The recogniser was lost (%(why)s); a new one hears the audio again.") % {"why": why.rstrip(".")}, "warn"


def _reopened(detail: dict[str, Any]) -> tuple[str, str]:
    text = _("The recogniser listens again after %(time)s.") % {"time": seconds_in_words(_ms(detail, "away_ms"))}
    return text, ""


def _lagging(detail: dict[str, Any]) -> tuple[str, str]:
    return _("Captions run %(time)s behind.") % {"time": seconds_in_words(_ms(detail, "lag_ms"))}, "warn"


def _warned(detail: dict[str, Any]) -> tuple[str, str]:
    code = str(detail.get("code", ""))
    return str(WARNINGS.get(code, code.replace("_", " "))), "" if code == "wav_header_skipped" else "warn"


def _expiring(detail: dict[str, Any]) -> tuple[str, str]:
    left_ms = _ms(detail, "in_ms")
    minutes = left_ms // MS_PER_MINUTE
    left = _("%(count)s min") % {"count": minutes} if minutes else seconds_in_words(left_ms)
    match detail.get("reason"):
        case "session_timeout":
            return _("The client was warned: %(time)s until the longest time.") % {"time": left}, "warn"
        case "idle_timeout":
            return _("The client was warned: nothing comes, and it ends in %(time)s.") % {"time": left}, "warn"
    return _("The client was asked to go on elsewhere: this server is being updated."), "info"


def _detached(detail: dict[str, Any]) -> tuple[str, str]:
    sentence = END_REASONS.get(str(detail.get("reason", "")))
    why = str(sentence) if sentence is not None else str(detail.get("reason", "")).replace("_", " ")
    return _("%(why)s It may come back.") % {"why": why}, "warn"


def _resumed(detail: dict[str, Any]) -> tuple[str, str]:
    away, gap_ms = seconds_in_words(_ms(detail, "away_ms")), _ms(detail, "gap_ms")
    if gap_ms:
        gap = seconds_in_words(gap_ms)
        return _("The client came back after %(away)s; %(gap)s of audio is lost.") % {
            "away": away,
            "gap": gap,
        }, "danger"
    return _("The client came back after %(away)s; nothing is lost.") % {"away": away}, ""


def _stop_requested(detail: dict[str, Any]) -> tuple[str, str]:
    by, reason = str(detail.get("by", "")), str(detail.get("reason", ""))
    text = _("%(name)s asked for the stop.") % {"name": by} if by else _("A stop was asked for.")
    return (f"{text} “{reason}”" if reason else text), "info"


def _ms(detail: dict[str, Any], name: str) -> int:
    value = detail.get(name)
    return value if isinstance(value, int) else 0


def _said(text: Promise, tone: str = "") -> Callable[[dict[str, Any]], tuple[str, str]]:
    return lambda detail: (str(text), tone)


WORDS: dict[str, Callable[[dict[str, Any]], tuple[str, str]]] = {
    Kind.OPENED: _opened,
    Kind.REOPENING: _reopening,
    Kind.REOPENED: _reopened,
    Kind.PAUSED: _said(gettext_lazy("No audio comes; the recogniser was let go until it does.")),
    Kind.CONTINUED: _said(gettext_lazy("Audio comes again.")),
    Kind.LAGGING: _lagging,
    Kind.WARNED: _warned,
    Kind.EXPIRING: _expiring,
    Kind.DETACHED: _detached,
    Kind.RESUMED: _resumed,
    Kind.STOP_REQUESTED: _stop_requested,
    Kind.CUT_SHORT: _said(gettext_lazy("More happened than is listed here."), "info"),
}
