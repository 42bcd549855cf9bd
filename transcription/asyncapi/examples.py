"""One example of each message. They are made with the models, so a model that changes takes its example along."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import Any

from pydantic import BaseModel

from transcription.dialects import listen_messages as listen
from transcription.dialects import native_messages as native
from transcription.options import TranscriptionConfig
from transcription.rest.schemas import SessionAnswer
from transcription.subscriptions import messages as subscriptions

SESSION_ID = "conversation-1"
REQUEST_ID = "5f0c2a1e9d0b4c63a1f1a7a5a3b2c1d0"
TEXT = "What is natural language processing?"
RESUME_TOKEN = "mC0qXk2vR8s"  # noqa: S105 - opens nothing
WORD = native.WordItem(word="What", start_ms=800, end_ms=1124, confidence=None, speaker=None)


@cache
def build_examples() -> dict[type[BaseModel], BaseModel]:
    """An example by its model."""
    found = [*_native_client(), *_native_server(), *_subscription(), *_listen()]
    return {type(example): example for example in found}


def _native_client() -> list[BaseModel]:
    return [
        native.StartTranscription(type="start_transcription", config={"language": "en-US", "title": "A question"}),
        native.AudioMessage(type="audio", audio="AAD//w=="),
        native.Finalize(type="finalize"),
        native.KeepAlive(type="keepalive"),
        native.ResumeTranscription(type="resume_transcription", resume_token=RESUME_TOKEN, received_segments=3),
        native.StopTranscription(type="stop_transcription"),
    ]


def _native_server() -> list[BaseModel]:
    return [
        native.SessionCreated(
            session_id=SESSION_ID,
            limits=native.Limits(
                max_audio_bytes=65536,
                max_text_bytes=16384,
                max_messages_per_second=1000,
                start_timeout_ms=10000,
                idle_timeout_ms=60000,
                session_timeout_ms=1800000,
                resume_window_ms=600000,
                max_sessions=150,
            ),
        ),
        native.TranscriptionStarted(
            session_id=SESSION_ID,
            config=TranscriptionConfig(title="A question").as_applied(),
            resume_token=RESUME_TOKEN,
            resumable=True,
        ),
        native.TranscriptionResumed(session_id=SESSION_ID, audio_offset=131200, next_segment=3),
        native.Revised(from_segment=3),
        native.Transcript(
            segment=0,
            is_final=True,
            text=TEXT,
            start_ms=800,
            end_ms=3264,
            confidence=None,
            stability=None,
            words=[WORD],
            alternatives=[native.AlternativeItem(text=TEXT, confidence=None)],
            channel=1,
            language="en-US",
            durable=True,
            tail=False,
        ),
        native.AudioAck(received=132864, safe=132864, limit=2692864),
        native.RecogniserStatusMessage(state="reconnecting", lag_ms=1200),
        native.AudioWarningMessage(code="silence"),
        native.SessionExpiring(in_ms=60000, reason="session_timeout", resume_elsewhere=False),
        native.TranscriptionStopped(reason="client", audio_ms=4152, received=132864, safe=132864, segments=1),
        native.ErrorMessage(
            code=4422,
            reason="bad_config",
            message="config.sample_rate_hertz: Input should be less than or equal to 48000",
            retryable=False,
            retry_after_ms=None,
            field="config.sample_rate_hertz",
            request_id=REQUEST_ID,
            safe=None,
        ),
    ]


def _subscription() -> list[BaseModel]:
    item: dict[str, Any] = {
        "segment": 0,
        "start_ms": 800,
        "end_ms": 3264,
        "text": TEXT,
        "asr_text": TEXT,
        "confidence": None,
        "speaker": None,
        "language": "en-US",
        "channel": 1,
        "tail": False,
        "words": None,
    }
    return [
        subscriptions.Snapshot(
            seq=0,
            session=_session("live"),
            state="live",
            activity="live",
            segment_count=1,
            from_segment=0,
            segments=[subscriptions.SegmentItem(**item)],
            interim=subscriptions.InterimItem(segment=1, text="And how"),
            progress=None,
        ),
        subscriptions.SegmentStored(seq=2, **item),
        subscriptions.InterimChanged(seq=1, segment=0, text="What is natural language?"),
        subscriptions.SegmentsRevised(seq=3, from_segment=3),
        subscriptions.StatusChanged(seq=4, state="detached", activity=None),
        subscriptions.ProgressChanged(seq=5, audio_ms=4152, level=0.113, backlog_ms=0, latency_ms=240),
        subscriptions.SessionEnded(
            seq=6, state="completed", end_reason="client", end_message="", session=_session("completed")
        ),
        subscriptions.SubscriptionError(
            code=4503,
            reason="draining",
            message="This server is being updated; please try again.",
            retryable=True,
            retry_after_ms=2000,
            field=None,
            request_id=REQUEST_ID,
        ),
    ]


def _session(state: str) -> SessionAnswer:
    """Facts of a session; what is not named is empty."""
    moment = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
    named: dict[str, Any] = {
        "session_id": SESSION_ID,
        "title": "A question",
        "state": state,
        "owner": "anna",
        "dialect": "native",
        "language": "en-US",
        "created_at": moment,
        "started_at": moment,
    }
    empty: dict[Any, Any] = {str: "", int: 0, dict[str, Any]: {}, dict[str, str]: {}, bool: False}
    fields = SessionAnswer.model_fields.items()
    return SessionAnswer.model_validate({name: named.get(name, empty.get(field.annotation)) for name, field in fields})


def _listen() -> list[BaseModel]:
    info = listen.ModelInfo(name="moonshine-tiny", version="1", arch="moonshine")
    words = [listen.WordItem(word="what", start=0.8, end=1.124, confidence=0.0, punctuated_word="What")]
    alternative = listen.AlternativeItem(transcript=TEXT, confidence=0.0, words=words)
    return [
        listen.KeepAlive(type="KeepAlive"),
        listen.Finalize(type="Finalize"),
        listen.CloseStream(type="CloseStream"),
        listen.Configure(type="Configure"),
        listen.Results(
            duration=2.464,
            start=0.8,
            is_final=True,
            speech_final=True,
            channel=listen.Channel(alternatives=[alternative]),
            metadata=listen.ResultsMetadata(request_id=SESSION_ID, model_info=info, model_uuid=SESSION_ID),
            from_finalize=False,
        ),
        listen.UtteranceEnd(last_word_end=3.264),
        listen.SpeechStarted(timestamp=0.8),
        listen.Metadata(
            request_id=SESSION_ID,
            sha256="0" * 64,
            created="2026-01-31T12:00:00Z",
            duration=4.152,
            channels=1,
            models=[SESSION_ID],
            model_info={SESSION_ID: info},
        ),
        listen.ErrorMessage(variant="DATA-0000", description="The audio cannot be decoded."),
        listen.ConfigureFailure(request_id=SESSION_ID, description="Key terms are set when the stream begins."),
    ]
