"""What is kept: transcription sessions, their segments, who may speak, and which processes are alive."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

from transcription.audio.formats import AudioFormat, Encoding
from transcription.identity.key_models import ApiKey, SocketToken, UsageDay
from transcription.search import error_index

__all__ = ["ApiKey", "SocketToken", "TranscriptSegment", "TranscriptionSession", "UsageDay", "Worker"]

LONG_SESSION_MS = 600_000


class Worker(models.Model):
    """One server process. Alive while its heartbeat, by the database's clock, is recent."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    host = models.CharField(_("host"), max_length=255)
    pid = models.PositiveIntegerField(_("process id"))
    started_at = models.DateTimeField(_("started"))
    heartbeat_at = models.DateTimeField(_("last heartbeat"), db_index=True)

    class Meta:
        verbose_name = _("worker")
        verbose_name_plural = _("workers")

    def __str__(self) -> str:
        return f"{self.host}/{self.pid}"


class TranscriptionSession(models.Model):
    """One recording from start to stop.

    `epoch` rises when another connection takes the session; `next_seq` is the index of the next segment;
    audio before `committed_bytes` is settled in the database for good. All three move only in store.py.

    Positions are bytes of audio without the `header_bytes` of a WAV header that was skipped. Where a connection
    broke, `tail` segments from `next_seq` on cover the audio before `flushed_bytes`; a connection that takes the
    session up again withdraws them. `gaps` are [start, end) pairs of audio that its client no longer had.
    `metered_ms` of the audio is counted as usage of its key or owner already, null for none yet (see usage.py).
    `counted` is what is in the numbers of its day, `counted_at` null while that is not all (see daily/counting.py).
    `holder` is new with each start and take-over, so that one whose reply was lost finds itself when repeated.
    """

    class State(models.TextChoices):
        CREATED = "created", _("Created")
        LIVE = "live", _("Live")
        DETACHED = "detached", _("Detached")
        COMPLETED = "completed", _("Completed")
        INTERRUPTED = "interrupted", _("Interrupted")
        FAILED = "failed", _("Failed")

    public_id = models.CharField(_("id"), max_length=64, unique=True)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        verbose_name=_("owner"),
        null=True,
        blank=True,
        related_name="transcription_sessions",
        db_index=False,  # session_owner_newest begins with it
    )
    api_key = models.ForeignKey(
        ApiKey,
        models.SET_NULL,
        verbose_name=_("API key"),
        null=True,
        blank=True,
        related_name="transcription_sessions",
        db_index=False,  # session_key_newest begins with it
    )
    client_address = models.GenericIPAddressField(_("client address"), null=True, blank=True)
    user_agent = models.CharField(_("client program"), max_length=400, blank=True)
    dialect = models.CharField(_("dialect"), max_length=20, default="native")
    title = models.CharField(_("title"), max_length=200, blank=True)
    metadata = models.JSONField(_("metadata"), default=dict, blank=True)

    language = models.CharField(_("language"), max_length=35)
    encoding = models.CharField(
        _("encoding"),
        max_length=12,
        choices=[(e.value, e.value) for e in Encoding],
        default=Encoding.LINEAR_PCM.value,
    )
    sample_rate_hz = models.PositiveIntegerField(_("sample rate (Hz)"), default=16000)
    channels = models.PositiveSmallIntegerField(_("channels"), default=1)
    options_asked = models.JSONField(_("options as asked"), default=dict, blank=True)
    options_applied = models.JSONField(_("options as applied"), default=dict, blank=True)
    recogniser = models.CharField(_("recogniser"), max_length=255, blank=True)
    model = models.CharField(_("model"), max_length=255, blank=True)

    state = models.CharField(_("state"), max_length=12, choices=State.choices, default=State.CREATED)
    worker = models.ForeignKey(
        Worker,
        models.SET_NULL,
        verbose_name=_("worker"),
        null=True,
        blank=True,
        related_name="transcription_sessions",
    )
    epoch = models.PositiveIntegerField(_("epoch"), default=0)
    next_seq = models.PositiveIntegerField(_("next segment"), default=0)
    committed_bytes = models.PositiveBigIntegerField(_("settled audio (bytes)"), default=0)
    header_bytes = models.PositiveIntegerField(_("skipped WAV header (bytes)"), default=0)
    flushed_bytes = models.PositiveBigIntegerField(_("audio answered by the last flush (bytes)"), default=0)
    gaps = models.JSONField(_("gaps (bytes)"), default=list, blank=True)
    resume_token_digest = models.CharField(max_length=64, blank=True, editable=False)
    holder = models.UUIDField(null=True, blank=True, editable=False)
    rerun_of = models.ForeignKey(
        "self",
        models.SET_NULL,
        verbose_name=_("rerun of"),
        null=True,
        blank=True,
        related_name="rerun_sessions",
        db_index=False,  # session_reruns
    )
    stop_requested_at = models.DateTimeField(_("stop requested"), null=True, blank=True)
    stop_requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        verbose_name=_("stopped by"),
        null=True,
        blank=True,
        related_name="+",
    )
    stop_reason = models.CharField(_("reason of the stop"), max_length=300, blank=True)

    created_at = models.DateTimeField(_("created"), default=timezone.now)
    started_at = models.DateTimeField(_("started"), null=True, blank=True)
    detached_at = models.DateTimeField(_("connection lost"), null=True, blank=True)
    resume_until = models.DateTimeField(_("may be resumed until"), null=True, blank=True)
    ended_at = models.DateTimeField(_("ended"), null=True, blank=True)
    end_reason = models.CharField(_("end reason"), max_length=40, blank=True)
    end_message = models.CharField(_("end message"), max_length=500, blank=True)

    audio_bytes = models.PositiveBigIntegerField(_("audio received (bytes)"), default=0)
    audio_ms = models.PositiveBigIntegerField(_("audio received (ms)"), default=0)
    metered_ms = models.PositiveBigIntegerField(null=True, editable=False)
    segment_count = models.PositiveIntegerField(_("segments"), default=0)
    word_count = models.PositiveIntegerField(_("words"), default=0)
    first_interim_ms = models.PositiveIntegerField(_("first interim after (ms)"), null=True, blank=True)
    final_lag_p50_ms = models.PositiveIntegerField(_("final lag, median (ms)"), null=True, blank=True)
    final_lag_p95_ms = models.PositiveIntegerField(_("final lag, 95th percentile (ms)"), null=True, blank=True)
    counted = models.JSONField(null=True, editable=False)
    counted_at = models.DateTimeField(null=True, editable=False)
    count_token = models.UUIDField(null=True, editable=False)

    class Meta:
        verbose_name = _("transcription session")
        verbose_name_plural = _("transcription sessions")
        ordering: ClassVar = ["-created_at", "-id"]
        permissions: ClassVar = [
            ("view_live", _("Can watch the list of live sessions")),
            ("view_captions", _("Can read captions and transcripts of everyone")),
            ("stop_transcriptionsession", _("Can stop live sessions")),
            ("export_transcriptionsession", _("Can export transcripts")),
            ("listen_transcriptionsession", _("Can listen to the audio of everyone")),
        ]
        # No column of them moves with a commit: PostgreSQL then updates the row in place and touches no index.
        indexes: ClassVar = [
            # The list, a page at a time, and the figures of today.
            models.Index(fields=["-created_at", "-id"], name="session_newest"),
            # The list by state. Live and detached sessions are few, so it also serves admission and the reaper.
            models.Index(fields=["state", "-created_at", "-id"], name="session_state_newest"),
            # The list by language, and which languages there are.
            models.Index(fields=["language", "-created_at", "-id"], name="session_language_newest"),
            # The list by dialect.
            models.Index(fields=["dialect", "-created_at", "-id"], name="session_dialect_newest"),
            # The list of long ones, of which there are few among many.
            models.Index(
                fields=["-created_at", "-id"], name="session_long_newest", condition=Q(audio_ms__gte=LONG_SESSION_MS)
            ),
            # What somebody without wider permissions sees: their own, and those made with their keys.
            models.Index(fields=["owner", "-created_at"], name="session_owner_newest"),
            models.Index(fields=["api_key", "-created_at"], name="session_key_newest"),
            # The list of those that went wrong: of all that is looked for, the rarest.
            models.Index(fields=["-created_at", "-id"], name=error_index.NAME, condition=error_index.has_errors()),
            # What else heard the same recording.
            models.Index(fields=["rerun_of"], name="session_reruns", condition=Q(rerun_of__isnull=False)),
            # What the numbers of days are still to be told.
            models.Index(
                fields=["id"],
                name="session_uncounted",
                condition=Q(ended_at__isnull=False) & Q(counted_at__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return self.title or self.public_id

    @property
    def audio_format(self) -> AudioFormat:
        return AudioFormat(Encoding(self.encoding), self.sample_rate_hz, self.channels)

    @property
    def committed_ms(self) -> int:
        """Audio before this time is settled in the database for good."""
        return self.audio_format.bytes_to_ms(self.committed_bytes)

    @property
    def is_live(self) -> bool:
        return self.state == self.State.LIVE

    @property
    def has_ended(self) -> bool:
        return self.state in (self.State.COMPLETED, self.State.INTERRUPTED, self.State.FAILED)


class TranscriptSegment(models.Model):
    """A stored final result. `asr_text` and `words` are the machine's and never change; people correct `text`."""

    session = models.ForeignKey(
        TranscriptionSession,
        models.CASCADE,
        verbose_name=_("session"),
        related_name="segments",
        db_index=False,  # segment_index_once_per_session begins with it
    )
    index = models.PositiveIntegerField(_("segment"))
    epoch = models.PositiveIntegerField(_("epoch"), default=0)
    start_ms = models.PositiveBigIntegerField(_("start (ms)"))
    end_ms = models.PositiveBigIntegerField(_("end (ms)"))
    asr_text = models.TextField(_("machine text"))
    text = models.TextField(_("text"))
    words = models.JSONField(_("words"), default=list, blank=True)
    alternatives = models.JSONField(_("alternatives"), default=list, blank=True)
    confidence = models.FloatField(_("confidence"), null=True, blank=True)
    speaker = models.CharField(_("speaker"), max_length=64, blank=True)
    language = models.CharField(_("language"), max_length=35, blank=True)
    channel = models.PositiveSmallIntegerField(_("channel"), null=True, blank=True)
    tail = models.BooleanField(_("tail"), default=False, help_text=_("Flushed when the connection broke."))
    promoted = models.BooleanField(
        _("promoted"),
        default=False,
        help_text=_("The last interim result of a stream that ended without a final one."),
    )
    reviewed = models.BooleanField(_("reviewed"), default=False)
    created_at = models.DateTimeField(_("stored"), default=timezone.now)

    # What never changes and is large is not copied with every correction.
    history = HistoricalRecords(excluded_fields=["words", "alternatives"])

    class Meta:
        verbose_name = _("transcript segment")
        verbose_name_plural = _("transcript segments")
        ordering: ClassVar = ["session", "index"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["session", "index"], name="segment_index_once_per_session"),
        ]
        indexes: ClassVar = [
            # What the admin's filters look for among millions. A new segment is none of these, and not in it.
            models.Index(
                fields=["session", "index"],
                name="segment_flagged",
                condition=Q(reviewed=True) | Q(tail=True) | Q(promoted=True),
            ),
            # Apart: PostgreSQL takes texts that differ for frequent, and would not use the other.
            models.Index(fields=["session", "index"], name="segment_edited", condition=~Q(text=F("asr_text"))),
        ]

    def __str__(self) -> str:
        return f"{self.index}: {self.text[:60]}"

    @property
    def is_edited(self) -> bool:
        return self.text != self.asr_text


class IdempotentRequest(models.Model):
    """A request that carried an Idempotency-Key, and what was answered; asked again, nothing is done twice.

    status is null while it is worked at. holder: of the attempt that works at it, so that one which was taken for
    dead meanwhile writes nothing.
    """

    principal = models.CharField(_("principal"), max_length=120)
    key = models.CharField(_("key"), max_length=200)
    fingerprint = models.CharField(max_length=64)
    holder = models.UUIDField(default=uuid.uuid4)
    status = models.PositiveSmallIntegerField(_("status"), null=True)
    answer = models.TextField(_("answer"), blank=True)
    started_at = models.DateTimeField(_("started"), db_index=True)

    class Meta:
        verbose_name = _("idempotent request")
        verbose_name_plural = _("idempotent requests")
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["principal", "key"], name="idempotency_key_once_per_principal"),
        ]

    def __str__(self) -> str:
        return self.key


# Django finds the models of an application through this module.
from transcription.daily.models import DailyNumbers as DailyNumbers  # noqa: E402
from transcription.files.models import FileJob as FileJob  # noqa: E402
from transcription.past.models import ReviewAssignment as ReviewAssignment  # noqa: E402
from transcription.past.models import SavedView as SavedView  # noqa: E402
from transcription.phrases.models import PhraseSet as PhraseSet  # noqa: E402
from transcription.recording.models import SessionRecording as SessionRecording  # noqa: E402
from transcription.timeline.models import SessionEvent as SessionEvent  # noqa: E402
