"""Facts of a session, as its list and its page show them."""

from __future__ import annotations

from django.contrib import admin
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from transcription.admin.display import (
    console_link,
    format_duration,
    moment,
    short_name,
    state_badge,
    with_second_line,
)
from transcription.admin.session_retention import with_retention
from transcription.models import SessionRecording, TranscriptionSession
from transcription.pages.words import write_decimal
from transcription.past.rows import errors_of


class SessionColumns:
    @admin.display(description=gettext_lazy("session, language"), ordering="title")
    def name_and_language(self, session: TranscriptionSession) -> str:
        return with_second_line(short_name(session), session.language)

    @admin.display(description=gettext_lazy("state, errors"), ordering="state")
    def state_and_errors(self, session: TranscriptionSession) -> str:
        return with_second_line(state_badge(session), " ".join(errors_of(session)))

    @admin.display(description=gettext_lazy("state"), ordering="state")
    def state_label(self, session: TranscriptionSession) -> str:
        return state_badge(session)

    @admin.display(description=gettext_lazy("who"), ordering="owner__username")
    def who(self, session: TranscriptionSession) -> str | None:
        names = [str(named) for named in (session.owner, session.api_key and session.api_key.name) if named]
        return with_second_line(*names) if names else None

    @admin.display(description=gettext_lazy("recording"))
    def recording_link(self, session: TranscriptionSession) -> str:
        recording = SessionRecording.objects.filter(session=session).defer("peaks").first()
        if recording is None:
            return _("Audio was not kept.")
        address = reverse("admin:transcription_sessionrecording_change", args=[recording.pk])
        facts = f"{recording.get_state_display()}, {format_duration(recording.duration_ms)}"
        return format_html('<a href="{}">{}</a>', address, facts)

    @admin.display(description=gettext_lazy("retention"))
    def retention(self, session: TranscriptionSession) -> str:
        ((_session, kept),) = with_retention([session])
        return kept[:1].upper() + kept[1:] if kept else _("As the rules and settings say")

    @admin.display(description=gettext_lazy("started"), ordering="started_at")
    def started(self, session: TranscriptionSession) -> str | None:
        return moment(session.started_at)

    @admin.display(description=gettext_lazy("length"), ordering="audio_ms")
    def length(self, session: TranscriptionSession) -> str:
        return format_duration(session.audio_ms if session.has_ended else session.committed_ms)

    @admin.display(description=gettext_lazy("confidence"))
    def mean_confidence(self, session: TranscriptionSession) -> str | None:
        mean = getattr(session, "mean_of_confidence", None)
        return None if mean is None else write_decimal(mean, 2)

    @admin.display(description=gettext_lazy("console"))
    def console(self, session: TranscriptionSession) -> str:
        return console_link(session)

    @admin.display(description=gettext_lazy("console"))
    def open(self, session: TranscriptionSession) -> str:
        return console_link(session, _("Open"))

    @admin.display(description=gettext_lazy("stop requested"))
    def stop_request(self, session: TranscriptionSession) -> str:
        if session.stop_requested_at is None:
            return "-"
        return _("%(when)s by %(who)s: %(reason)s") % {
            "when": session.stop_requested_at.isoformat(timespec="seconds"),
            "who": session.stop_requested_by or "-",
            "reason": session.stop_reason or "-",
        }

    @admin.display(description=gettext_lazy("final lag, median / 95 % (ms)"))
    def final_lag(self, session: TranscriptionSession) -> str:
        if session.final_lag_p50_ms is None:
            return "-"
        return f"{session.final_lag_p50_ms} / {session.final_lag_p95_ms}"

    @admin.display(description=gettext_lazy("audio format"))
    def audio_format_label(self, session: TranscriptionSession) -> str:
        return f"{session.encoding}, {session.sample_rate_hz} Hz, {session.channels} channel(s)"
