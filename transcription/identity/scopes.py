"""What a key or token may be used for. A login may be used for everything its user may do."""

from __future__ import annotations

from enum import StrEnum


class Scope(StrEnum):
    """The words that stand in keys, tokens, commands and the admin."""

    TRANSCRIBE = "transcribe"
    SESSIONS_READ = "sessions:read"
    SESSIONS_WRITE = "sessions:write"
    WEBHOOKS = "webhooks"
    METRICS = "metrics"


ALL_SCOPES = frozenset(Scope)
DEFAULT_SCOPES = frozenset({Scope.TRANSCRIBE, Scope.SESSIONS_READ, Scope.SESSIONS_WRITE})
