"""Who speaks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from transcription.identity.scopes import DEFAULT_SCOPES, Scope


@dataclass(frozen=True, slots=True)
class Principal:
    """Whom credentials stand for.

    kind: a person's login, a key, a token, or nobody on this very machine (development profile only).
    user_id: the person; for a key its owner, if it has one. session_id: the one session a token may open.
    has_expired: the token is too old for that; the session may still be taken up again with it.
    label: for people: the user's or key's name, or "local". scopes: what a key or token may be used for; ask
    access.require_scope. rate_limit: requests a minute, 0 for any number. login: the key of a login's session, a
    secret, by which the login is found again; see keys.find_withdrawn.
    """

    kind: Literal["user", "key", "token", "local"]
    user_id: int | None = None
    key_id: int | None = None
    session_id: str | None = None
    label: str = ""
    has_expired: bool = False
    scopes: frozenset[Scope] = DEFAULT_SCOPES
    rate_limit: int = 0
    login: str = field(default="", repr=False, compare=False)

    def has_scope(self, scope: Scope) -> bool:
        """Whether these credentials may be used for that; a login and this machine itself may for everything."""
        return self.kind in ("user", "local") or scope in self.scopes

    def owns(self, *, owner_id: int | None, api_key_id: int | None) -> bool:
        """Whether a session with these belongs to this principal: a person's by any key or login, or its key's."""
        if self.user_id is not None:
            return owner_id == self.user_id
        if self.key_id is not None:
            return owner_id is None and api_key_id == self.key_id
        return owner_id is None and api_key_id is None


LOCAL = Principal(kind="local", label="local")
