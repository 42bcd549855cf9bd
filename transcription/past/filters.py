"""The filter bar of the list of past sessions."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from transcription.access import Who, listed_sessions, owned_by, visible_sessions
from transcription.console.numbers import ended_within
from transcription.identity.key_models import ApiKey
from transcription.models import TranscriptionSession
from transcription.past.models import ReviewAssignment
from transcription.recording.models import SessionRecording
from transcription.review.models import Review
from transcription.search.error_index import has_errors, has_losses
from transcription.search.metadata_index import has_pair
from transcription.search.session_list import Listing, lasted, stored_languages

State = TranscriptionSession.State

MAX_SEARCH_CHARACTERS = 200
MAX_PAIR_CHARACTERS = 401
HOUR = "hour"
FIRST_YEAR, LAST_YEAR = 1970, 2999
# Every name that a session's dialect may have, in words.
SOURCES = [
    ("native", _("Browser or speech.v1")),
    ("realtime", _("Realtime API")),
    ("listen", _("Listen API")),
    ("upload", _("Uploaded file")),
]


class SessionFilterForm(forms.Form):
    """Everything in it is in the query string, so that a filtered list can be linked to and saved."""

    q = forms.CharField(label=_("Search"), required=False, max_length=MAX_SEARCH_CHARACTERS)
    state = forms.ChoiceField(label=_("State"), required=False, choices=[("", _("Any state")), *State.choices])
    period = forms.ChoiceField(
        label=_("Started"),
        required=False,
        choices=[
            ("", _("Any time")),
            (HOUR, _("Ended in the last hour")),
            ("today", _("Today")),
            ("7", _("Last 7 days")),
            ("30", _("Last 30 days")),
        ],
    )
    since = forms.DateField(label=_("From"), required=False, widget=forms.DateInput({"type": "date"}, "%Y-%m-%d"))
    until = forms.DateField(label=_("To"), required=False, widget=forms.DateInput({"type": "date"}, "%Y-%m-%d"))
    language = forms.CharField(label=_("Language"), required=False, max_length=35)
    length = forms.TypedChoiceField(
        label=_("Length"),
        required=False,
        coerce=int,
        empty_value=None,
        choices=[
            ("", _("Any length")),
            ("10", _("10 s or more")),
            ("60", _("1 min or more")),
            ("600", _("10 min or more")),
            ("1800", _("30 min or more")),
        ],
    )
    source = forms.ChoiceField(label=_("Source"), required=False, choices=[("", _("Any source")), *SOURCES])
    key = forms.CharField(label=_("Key"), required=False, max_length=150)
    pair = forms.CharField(
        label=_("Metadata"),
        required=False,
        max_length=MAX_PAIR_CHARACTERS,
        widget=forms.TextInput({"placeholder": _("key:value")}),
    )
    review = forms.ChoiceField(
        label=_("Review"),
        required=False,
        choices=[
            ("", _("Any")),
            ("reviewed", _("Reviewed")),
            ("started", _("Edited, not reviewed")),
            ("open", _("Not reviewed")),
        ],
    )
    audio = forms.ChoiceField(
        label=_("Audio"),
        required=False,
        choices=[("", _("With or without")), ("yes", _("Audio kept")), ("no", _("No audio"))],
    )
    errors_only = forms.BooleanField(label=_("With errors"), required=False)
    lost = forms.BooleanField(label=_("Audio lost"), required=False)
    assigned = forms.ChoiceField(
        label=_("Reviewer"),
        required=False,
        choices=[("", _("Anybody")), ("me", _("Assigned to me")), ("none", _("Nobody assigned"))],
    )
    mine = forms.BooleanField(label=_("Only mine"), required=False)

    MORE = (
        "since", "until", "language", "length", "source", "key", "pair", "review", "assigned", "audio", "errors_only",
        "lost",
    )  # fmt: skip

    def clean_pair(self) -> tuple[str, str] | None:
        text: str = self.cleaned_data["pair"]
        if not text:
            return None
        key, colon, value = text.partition(":")
        if not colon or not key.strip():
            raise ValidationError(_("Write it as key:value, for example customer:c-17."))
        return key.strip(), value.strip()

    def clean_since(self) -> date | None:
        return _in_use(self.cleaned_data["since"])

    def clean_until(self) -> date | None:
        return _in_use(self.cleaned_data["until"])

    def clean(self) -> dict[str, Any]:
        asked = super().clean() or self.cleaned_data
        if asked.get("since") and asked.get("until") and asked["since"] > asked["until"]:
            self.add_error("until", _("This day lies before the first one."))
        return asked

    def filter(self, who: Who, user_id: int | None) -> Listing:
        """What is asked for, of the sessions that `who` may see; fields that are wrong filter nothing."""
        self.is_valid()
        asked = self.cleaned_data
        text = asked.get("q", "")
        # Searching texts that may not be read would tell their words.
        sessions = visible_sessions(who) if text.strip() else listed_sessions(who)
        conditions = _started(asked) & _kind(asked) & _work(asked, user_id)
        if asked.get("mine") and user_id is not None:
            conditions &= owned_by(user_id)
        return Listing(sessions.filter(conditions), text)

    @property
    def is_filtering(self) -> bool:
        return any(self.cleaned_data.get(name) for name in self.fields)

    @property
    def has_more_open(self) -> bool:
        """Whether a filter of the folded part is in use, or wrong."""
        return any(self.cleaned_data.get(name) or name in self.errors for name in self.MORE)

    def more_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in self.MORE if name not in ("errors_only", "lost")]


def _in_use(day: date | None) -> date | None:
    """Days at the ends of the calendar have no midnight in every time zone."""
    if day is not None and not FIRST_YEAR <= day.year <= LAST_YEAR:
        raise ValidationError(_("Choose a year from 1970 to 2999."))
    return day


def has_audio() -> Exists:
    kept = SessionRecording.objects.filter(
        session=OuterRef("pk"), state__in=(SessionRecording.State.COMPLETE, SessionRecording.State.PARTIAL)
    )
    return Exists(kept)


def _kind(asked: dict[str, Any]) -> Q:
    """By what a session is."""
    conditions = Q()
    if asked.get("state"):
        conditions &= Q(state=asked["state"])
    if asked.get("language"):
        conditions &= Q(language__in=stored_languages(asked["language"]))
    if asked.get("length"):
        conditions &= lasted(asked["length"] * 1000)
    if asked.get("source"):
        conditions &= Q(dialect=asked["source"])
    if asked.get("key"):
        # Looked up before: a condition over both tables could use neither index.
        conditions &= Q(api_key__in=list(ApiKey.objects.filter(name__iexact=asked["key"]).values_list("pk", flat=True)))
    if asked.get("pair"):
        conditions &= has_pair(*asked["pair"])
    return conditions


def _work(asked: dict[str, Any], user_id: int | None) -> Q:
    """By what became of it."""
    conditions = Q()
    if asked.get("audio"):
        conditions &= Q(has_audio()) if asked["audio"] == "yes" else ~Q(has_audio())
    if asked.get("lost"):
        conditions &= has_losses()
    elif asked.get("errors_only"):
        conditions &= has_errors()
    if asked.get("review"):
        conditions &= is_at_review(asked["review"])
    if asked.get("assigned") == "me":
        conditions &= Q(pk__in=ReviewAssignment.objects.filter(reviewer=user_id).values("session"))
    elif asked.get("assigned") == "none":
        conditions &= ~Q(Exists(ReviewAssignment.objects.filter(session=OuterRef("pk"))))
    return conditions


def is_at_review(state: str) -> Q:
    """Sessions that are `reviewed`, `started` or `open`; any other word is as good as the last."""
    reviews = Review.objects.filter(session=OuterRef("pk"))
    is_reviewed = Q(Exists(reviews.filter(reviewed_at__isnull=False)))
    if state == "started":
        return Q(Exists(reviews.filter(reviewed_at=None, version__gt=0)))
    return is_reviewed if state == "reviewed" else ~is_reviewed


def _started(asked: dict[str, Any]) -> Q:
    since, until = asked.get("since"), asked.get("until")
    today = timezone.localdate()
    started = Q()
    if asked.get("period") == HOUR:
        started = ended_within(timezone.now(), timedelta(hours=1))
    elif asked.get("period") == "today":
        since = today
    elif asked.get("period"):
        since = today - timedelta(days=int(asked["period"]) - 1)
    if since:
        started &= Q(created_at__gte=_midnight(since))
    if until:
        started &= Q(created_at__lt=_midnight(until + timedelta(days=1)))
    return started


def _midnight(day: Any) -> datetime:
    return timezone.make_aware(datetime.combine(day, time.min))
