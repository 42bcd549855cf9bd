"""Everything that can be asked of the service, and who may: pages, operations, sockets, commands, parts of the admin.

docs/security.md has the same table for people; a test holds both together, goes through each entry as everybody, and
fails for whatever the service offers that is not here.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

VIEWER, OPERATOR, REVIEWER, MANAGER = GROUPS = ("Viewer", "Operator", "Reviewer", "Manager")


class Deed(StrEnum):
    """What is done with sessions of others, or with what everybody has. The words are those of the document."""

    CONSOLE = "open the console"
    NUMBERS = "see the numbers of everybody"
    SEE = "see that a session exists"
    READ = "read its text and notes, live or past, and its reruns beside it"
    LISTEN = "listen to its audio, and run it again"
    STOP = "stop it"
    NOTE = "put notes on it"
    NOTES_OF_OTHERS = "change notes that others made"
    REVIEW = "review its text, and name it reviewed"
    CHANGE = "change its title and metadata, give it a reviewer"
    EXPORT = "export it, alone or with others"
    DELETE = "delete it, alone or with others"
    PROTECT = "protect it"
    UNPROTECT = "end a protection that somebody else made"
    JOB = "see its file job"
    CANCEL_JOB = "cancel its file job"
    PRIVATE = "see or change somebody's webhooks, saved views and phrase sets outside of the admin"
    WEBHOOKS_SEEN = "see webhooks and their log, in the admin"
    WEBHOOKS = "make and change webhooks of everybody, in the admin"
    KEYS = "make and revoke keys of everybody, in the admin"
    PHRASES = "look after phrase sets, in the admin"
    RULES = "retention rules, tombstones, audit log, in the admin"
    WORKERS = "see usage and workers, in the admin"
    ACCOUNTS = "users, groups and failed logins, in the admin"


WHO: Final[dict[Deed, frozenset[str]]] = {
    Deed.CONSOLE: frozenset({VIEWER, OPERATOR, MANAGER}),
    Deed.NUMBERS: frozenset({VIEWER, OPERATOR, MANAGER}),
    Deed.SEE: frozenset(GROUPS),
    Deed.READ: frozenset({OPERATOR, REVIEWER, MANAGER}),
    Deed.LISTEN: frozenset({OPERATOR, REVIEWER, MANAGER}),
    Deed.STOP: frozenset({OPERATOR, MANAGER}),
    Deed.NOTE: frozenset({OPERATOR, REVIEWER, MANAGER}),
    Deed.NOTES_OF_OTHERS: frozenset({REVIEWER, MANAGER}),
    Deed.REVIEW: frozenset({REVIEWER, MANAGER}),
    Deed.CHANGE: frozenset({MANAGER}),
    Deed.EXPORT: frozenset({REVIEWER, MANAGER}),
    Deed.DELETE: frozenset({MANAGER}),
    Deed.PROTECT: frozenset({MANAGER}),
    Deed.UNPROTECT: frozenset({MANAGER}),
    Deed.JOB: frozenset(GROUPS),
    Deed.CANCEL_JOB: frozenset({OPERATOR, MANAGER}),
    Deed.PRIVATE: frozenset(),
    Deed.WEBHOOKS_SEEN: frozenset({OPERATOR, MANAGER}),
    Deed.WEBHOOKS: frozenset({MANAGER}),
    Deed.KEYS: frozenset({MANAGER}),
    Deed.PHRASES: frozenset({MANAGER}),
    Deed.RULES: frozenset({MANAGER}),
    Deed.WORKERS: frozenset({MANAGER}),
    Deed.ACCOUNTS: frozenset(),
}

# Superusers have every permission; what has none is out of their reach too.
NOT_FOR_SUPERUSERS: Final = frozenset({Deed.PRIVATE})
# What not even the owner of a session does, without a group.
NOT_FOR_OWNERS: Final = frozenset(
    {
        Deed.CONSOLE, Deed.NUMBERS, Deed.UNPROTECT, Deed.WEBHOOKS_SEEN, Deed.WEBHOOKS, Deed.KEYS, Deed.PHRASES,
        Deed.RULES, Deed.WORKERS, Deed.ACCOUNTS,
    }
)  # fmt: skip


class For(StrEnum):
    """Who may where it is not about sessions of others."""

    EVERYBODY = "everybody, without credentials"
    ONESELF = "everybody with credentials, for themselves: a key by its scopes"
    SHELL = "whoever has a shell on the machine"


PAGES: Final[dict[str, Deed | For]] = {
    "login": For.EVERYBODY, "logout": For.EVERYBODY, "script_texts": For.EVERYBODY, "set_language": For.EVERYBODY,
    "record": For.ONESELF, "api_page": For.ONESELF, "document": For.ONESELF, "example_file": For.ONESELF,
    "health": For.ONESELF, "sessions": For.ONESELF, "saved_views": For.ONESELF, "saved_view_save": For.ONESELF,
    "saved_view_change": Deed.PRIVATE, "phrase_set": Deed.PRIVATE,
    "live": Deed.CONSOLE, "live_table": Deed.CONSOLE, "last_hour": Deed.CONSOLE, "start_test_session": Deed.CONSOLE,
    "day_numbers": Deed.NUMBERS, "day_numbers_csv": Deed.NUMBERS,
    "session": Deed.SEE, "session_timeline": Deed.SEE,
    "session_rerun": Deed.READ, "session_again": Deed.LISTEN,
    "session_export": Deed.EXPORT, "session_export_form": Deed.EXPORT,
    "session_stop": Deed.STOP, "session_delete": Deed.DELETE,
    "session_protect": Deed.PROTECT, "session_unprotect": Deed.UNPROTECT,
    # Each of what the chosen ones are for stands below.
    "sessions_do": For.ONESELF,
}  # fmt: skip

# What is done to the sessions that are chosen in the list: `sessions_do`.
BULK: Final[dict[str, Deed]] = {
    "export": Deed.EXPORT, "export_options": Deed.EXPORT, "delete": Deed.DELETE, "assign": Deed.CHANGE,
    "reviewed": Deed.REVIEW,
}  # fmt: skip

# Operations of the HTTP API, by their ids.
REST: Final[dict[str, Deed | For]] = {
    "get_health": For.EVERYBODY,
    "list_sessions": For.ONESELF, "list_jobs": For.ONESELF, "list_webhooks": For.ONESELF, "list_models": For.ONESELF,
    "read_usage": For.ONESELF, "create_webhook": For.ONESELF, "create_token": For.ONESELF, "create_job": For.ONESELF,
    "start_transcription": For.ONESELF, "export_transcripts": For.ONESELF,
    "read_session": Deed.SEE,
    "read_review": Deed.READ, "read_review_news": Deed.READ, "read_review_figures": Deed.READ, "find_text": Deed.READ,
    "list_doubtful_words": Deed.READ, "list_history": Deed.READ, "read_history_entry": Deed.READ,
    "list_notes": Deed.READ, "list_reruns": Deed.READ, "compare_rerun": Deed.READ,
    "read_audio": Deed.LISTEN, "read_peaks": Deed.LISTEN, "create_rerun": Deed.LISTEN,
    "stop_session": Deed.STOP,
    "add_note": Deed.NOTE, "change_note": Deed.NOTES_OF_OTHERS, "delete_note": Deed.NOTES_OF_OTHERS,
    "change_segment": Deed.REVIEW, "split_segment": Deed.REVIEW, "merge_segment": Deed.REVIEW,
    "rename_speaker": Deed.REVIEW, "replace_text": Deed.REVIEW, "mark_reviewed": Deed.REVIEW,
    "reopen_review": Deed.REVIEW, "undo_change": Deed.REVIEW, "restore_transcript": Deed.REVIEW,
    "hold_segment": Deed.REVIEW, "release_segment": Deed.REVIEW,
    "change_session": Deed.CHANGE, "read_transcript": Deed.EXPORT, "delete_session": Deed.DELETE,
    "protect_session": Deed.PROTECT, "unprotect_session": Deed.UNPROTECT,
    "read_job": Deed.JOB, "cancel_job": Deed.CANCEL_JOB,
    "read_webhook": Deed.PRIVATE, "change_webhook": Deed.PRIVATE, "delete_webhook": Deed.PRIVATE,
    "rotate_webhook_secret": Deed.PRIVATE, "test_webhook": Deed.PRIVATE, "list_webhook_deliveries": Deed.PRIVATE,
    "read_webhook_delivery": Deed.PRIVATE, "resend_webhook_delivery": Deed.PRIVATE,
}  # fmt: skip

# Whole files and secrets for pages, in the words of others.
OTHER_ADDRESSES: Final[dict[str, For]] = {
    "/v1/listen": For.ONESELF, "/v1/audio/transcriptions": For.ONESELF, "/api/v1/jobs": For.ONESELF,
    "/v1/realtime/transcription_sessions": For.ONESELF, "/v1/realtime/client_secrets": For.ONESELF,
}  # fmt: skip

SOCKETS: Final[dict[str, Deed | For]] = {
    "TranscriptionConsumer": For.ONESELF, "SubscriptionConsumer": Deed.READ, "ConsoleConsumer": Deed.CONSOLE,
}  # fmt: skip

# Pages of the admin, by model. They need staff status beside.
ADMIN: Final[dict[str, Deed]] = {
    "transcription.transcriptionsession": Deed.SEE, "transcription.sessionrecording": Deed.SEE,
    "transcription.transcriptsegment": Deed.REVIEW, "transcription.filejob": Deed.JOB,
    "transcription.apikey": Deed.KEYS, "transcription.phraseset": Deed.PHRASES,
    "transcription.usageday": Deed.WORKERS, "transcription.worker": Deed.WORKERS,
    "webhooks.webhookendpoint": Deed.WEBHOOKS_SEEN, "webhooks.webhookdelivery": Deed.WEBHOOKS_SEEN,
    "retention.retentionrule": Deed.RULES, "retention.tombstone": Deed.RULES, "audit.auditevent": Deed.RULES,
    "auth.user": Deed.ACCOUNTS, "auth.group": Deed.ACCOUNTS, "axes.accessattempt": Deed.ACCOUNTS,
}  # fmt: skip

COMMANDS: Final[dict[str, For]] = dict.fromkeys(
    (
        "asr_server", "create_api_key", "ensure_operator", "export_asyncapi", "export_openapi_schema",
        "export_transcripts", "fake_riva", "list_api_keys", "purge_expired", "revoke_api_key", "run_jobs", "serve",
        "sessions", "transcribe", "write_messages", "write_reference",
    ),
    For.SHELL,
)  # fmt: skip
