"""Who may write a session: the holder of its epoch, while it is live. Plain functions for a database thread."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from django.utils.translation import gettext as _

from transcription.errors import InternalError, SessionOver, StoppedByOperator, TranscriptionError
from transcription.metrics import FENCED_TOTAL
from transcription.models import TranscriptionSession
from transcription.storage.steps import Fenced, SessionHandle

FIELDS = ("epoch", "state", "end_reason", "stop_reason")

State = TranscriptionSession.State


def fenced() -> Fenced:
    FENCED_TOTAL.inc()
    return Fenced(_("Another connection has taken over this session."))


def stopped_by_operator(reason: str) -> StoppedByOperator:
    if reason:
        return StoppedByOperator(_("An operator stopped the session: %(reason)s") % {"reason": reason})
    return StoppedByOperator(_("An operator stopped the session."))


def window_over() -> SessionOver:
    return SessionOver(_("The time in which the session could be resumed is over."), reason="resume_window_over")


def lost(handles: Collection[SessionHandle]) -> dict[SessionHandle, TranscriptionError]:
    """Those of the handles that give no right to write any more, and why."""
    rows = {
        row.pop("pk"): row
        for row in TranscriptionSession.objects.filter(pk__in={handle.pk for handle in handles}).values("pk", *FIELDS)
    }
    reasons = {handle: _judge(rows.get(handle.pk), handle.epoch) for handle in handles}
    return {handle: error for handle, error in reasons.items() if error is not None}


def why_not_held(pk: int, epoch: int) -> TranscriptionError | None:
    """What to tell a holder that may not write any more; None if it may.

    Fenced: another connection has the session, or it is gone. InternalError, which is retryable: nobody else has
    it. This process was silent for so long that its sessions were detached, and their clients may resume them.
    """
    return _judge(TranscriptionSession.objects.filter(pk=pk).values(*FIELDS).first(), epoch)


def _judge(row: Mapping[str, Any] | None, epoch: int) -> TranscriptionError | None:
    if row is None or row["epoch"] != epoch:
        return fenced()
    match row["state"], row["end_reason"]:
        case State.LIVE, _reason:
            return None
        case State.DETACHED, _reason:
            return InternalError(
                _("This server did not answer for too long. The session can be resumed."), reason="detached"
            )
        case State.COMPLETED, "operator":
            return stopped_by_operator(row["stop_reason"])
    return fenced()
