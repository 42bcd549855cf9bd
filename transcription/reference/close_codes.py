"""How connections are closed, and when: what the documents and the AsyncAPI document say of it. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from transcription import errors

NORMAL_CLOSE = 1000


@dataclass(frozen=True, slots=True)
class CloseCode:
    """error: of which the connection is closed, None for 1000. reasons: the stable words. when, then: for people, the
    second what the client does next.
    """

    error: type[errors.TranscriptionError] | None
    reasons: tuple[str, ...]
    when: str
    then: str

    @property
    def code(self) -> int:
        return self.error.code if self.error else NORMAL_CLOSE


GUESSES = "too many [guesses](security.md#guessing)"

NATIVE_CLOSES = (
    CloseCode(None, (), "after a `transcription_stopped` that the client asked for", ""),
    CloseCode(
        errors.BadMessage,
        (
            "bad_json",
            "unknown_type",
            "unknown_field",
            "bad_field",
            "not_started",
            "already_started",
            "bad_session_id",
            "bad_held_from",
        ),
        "a message the protocol does not allow here",
        "no",
    ),
    CloseCode(
        errors.NotAuthenticated,
        (
            "not_authenticated",
            "wrong_key",
            "key_expired",
            "key_revoked",
            "wrong_token",
            "token_expired",
            "token_used",
            "account_closed",
            "logged_out",
        ),
        "no, wrong or expired credentials; or they were [withdrawn](security.md#when-credentials-are-withdrawn) during "
        "the session, after `transcription_stopped`",
        "no: get new ones",
    ),
    CloseCode(
        errors.NotAllowed,
        ("not_allowed", "scope_missing"),
        "a token of another session, or a key or token without the [scope](security.md#scopes)",
        "no",
    ),
    CloseCode(
        errors.NothingToResume,
        ("nothing_to_resume",),
        "the session is unknown, somebody else's, not resumable, or the token is wrong: the same answer for all",
        "no: start a new one",
    ),
    CloseCode(
        errors.TimedOutClient,
        ("start_timeout", "idle_timeout", "slow_reader"),
        "no start in time, neither audio nor keepalive, or reading too slowly",
        "yes",
    ),
    CloseCode(
        errors.SessionTaken,
        ("session_taken", "taken_over"),
        "the session id exists already; or another connection has taken this session over",
        "no: choose another; after `taken_over` go on there",
    ),
    CloseCode(
        errors.SessionOver,
        ("session_timeout", "resume_window_over"),
        "the longest duration is reached, after `transcription_stopped`; or the time in which the session could be "
        "resumed is over",
        "no: start a new one",
    ),
    CloseCode(errors.MessageTooLarge, ("message_too_large",), "a message over the limits", "no"),
    CloseCode(errors.BadAudio, ("bad_audio",), "audio that is not what was declared", "no"),
    CloseCode(
        errors.BadConfig,
        ("bad_config", "unknown_language", "unknown_model"),
        "a field of `config` is wrong or refused by the recogniser; `field` names it",
        "no",
    ),
    CloseCode(
        errors.TooFast,
        (
            "too_fast",
            "too_many_messages",
            "too_many_connections",
            "too_many_sessions",
            "rate_limit",
            "monthly_minutes",
            "too_many_wrong_credentials",
        ),
        "audio far past `limit`, too many messages, too many connections without a session from one address, more live "
        "sessions than one owner or key may have, over another [limit of the key](security.md#limits-of-a-key), or "
        f"{GUESSES}",
        "yes, after `retry_after_ms`",
    ),
    CloseCode(
        errors.StoppedByOperator,
        ("stopped_by_operator",),
        "an operator ended the session; after `transcription_stopped`, `message` has the reason given",
        "no",
    ),
    CloseCode(
        errors.InternalError,
        ("internal_error", "bad_result", "detached"),
        "a fault of the service; the log has it under `request_id`",
        "yes",
    ),
    CloseCode(
        errors.RecogniserFailed,
        (
            "recogniser_unreachable",
            "recogniser_ended",
            "recogniser_failed",
            "recogniser_busy",
            "recogniser_refused",
            "recogniser_credentials",
            "recogniser_unsuitable",
            "recogniser_not_found",
            "recogniser_deadline",
            "recogniser_sequence",
            "recogniser_goaway",
        ),
        "the recogniser could not be opened, or was lost and did not come back for 30 s",
        "as `retryable` says",
    ),
    CloseCode(
        errors.AtCapacity,
        ("at_capacity", "draining", "busy", "recogniser_busy", "recogniser_unreachable", "storage_unavailable"),
        "all places are taken, this server is being updated, the recogniser takes no more streams or is known to be "
        "away, or the database does not answer at the start",
        "yes, after `retry_after_ms`",
    ),
    CloseCode(
        errors.RecogniserSilent,
        ("recogniser_silent", "recogniser_slow", "cut_timed_out"),
        "the recogniser takes audio, speech included, but answers nothing (three streams in succession, 8 to 16 s "
        "each; 45 s where interim results are off), is over 20 s behind and slower than speech, or does not finish the "
        "last words",
        "yes",
    ),
    CloseCode(
        errors.StorageUnavailable,
        ("storage_unavailable",),
        "a final result could not be stored for 60 s",
        "yes",
    ),
)

SUBSCRIPTION_CLOSES = (
    CloseCode(None, (), "after `ended`", ""),
    CloseCode(
        errors.BadMessage,
        ("bad_field", "unknown_field", "bad_json", "unknown_type"),
        "the query or a message makes no sense; `field` names the parameter",
        "no",
    ),
    CloseCode(
        errors.NotAuthenticated,
        NATIVE_CLOSES[2].reasons,
        "no, wrong or expired credentials; or they were [withdrawn](security.md#when-credentials-are-withdrawn)",
        "no: get new ones",
    ),
    CloseCode(
        errors.NotAllowed,
        ("not_allowed", "scope_missing"),
        "the session may be seen but its text not read; or the key or token lacks the [scope](security.md#scopes) "
        "`sessions:read`",
        "no",
    ),
    CloseCode(errors.NotFound, ("not_found",), "there is no such session, or it is somebody else's", "no"),
    CloseCode(errors.TimedOutClient, ("slow_reader",), "nothing was read for 30 s; without an `error` before", "yes"),
    CloseCode(
        errors.TooFast,
        ("too_many_subscriptions", "too_many_messages", "too_many_wrong_credentials"),
        f"over the [limits](#limits), or {GUESSES}",
        "yes, after `retry_after_ms`",
    ),
    CloseCode(
        errors.InternalError,
        ("internal_error",),
        "a fault of the service; the log has it under `request_id`",
        "yes",
    ),
    CloseCode(
        errors.AtCapacity,
        ("draining", "storage_unavailable"),
        "this worker is being replaced, or the database does not answer",
        "yes, after `retry_after_ms`",
    ),
    CloseCode(
        errors.StorageUnavailable,
        ("storage_unavailable",),
        "the session could not be read for 5 s",
        "yes",
    ),
)
