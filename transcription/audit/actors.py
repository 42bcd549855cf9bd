"""Who acts at this moment: in a request, on a socket, in a command, by a rule."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import User
from django.http import HttpRequest

from transcription.audit.models import AuditEvent
from transcription.identity.principals import Principal

Kind = AuditEvent.ActorKind


@dataclass(frozen=True, slots=True)
class Actor:
    """label: a name for people, kept as it is now. address: of the client, as text. request_id: as in the log."""

    kind: AuditEvent.ActorKind
    label: str = ""
    user_id: int | None = None
    key_id: int | None = None
    address: str | None = None
    request_id: str = ""

    @property
    def identity(self) -> str:
        """The same for the same person or program, wherever they come from."""
        if self.user_id is not None:
            return f"user:{self.user_id}"
        if self.key_id is not None:
            return f"key:{self.key_id}"
        return f"{self.kind}:{self.label}:{self.address}"


NOBODY = Actor(Kind.NOBODY)
_acting: ContextVar[Actor | HttpRequest | None] = ContextVar("acting", default=None)


@contextmanager
def acting(who: Actor | HttpRequest) -> Iterator[None]:
    """Whoever this is does everything inside. A request's actor is looked up only when something is recorded."""
    token = _acting.set(who)
    try:
        yield
    finally:
        _acting.reset(token)


def current_actor() -> Actor:
    who = _acting.get()
    if who is None:
        return NOBODY
    return who if isinstance(who, Actor) else actor_of_request(who)


def user_of_request() -> User | None:
    """Whose login the request that is being answered came with; None outside of one."""
    who = _acting.get()
    user = None if who is None or isinstance(who, Actor) else getattr(who, "user", None)
    return user if user is not None and user.is_authenticated else None


def actor_of_request(request: HttpRequest) -> Actor:
    """By the credentials it came with, which its view has checked; else by the login."""
    address = request.META.get("REMOTE_ADDR")
    request_id = str(getattr(request, "scope", {}).get("request_id", ""))
    principal = getattr(request, "auth", None)
    if isinstance(principal, Principal):
        return actor_of(principal, address=address, request_id=request_id)
    user = getattr(request, "user", None)
    if user is not None and user.is_authenticated:
        return Actor(Kind.USER, user.get_username(), user_id=user.pk, address=address, request_id=request_id)
    return Actor(Kind.NOBODY, address=address, request_id=request_id)


def actor_of_socket(principal: Principal, scope: Mapping[str, Any]) -> Actor:
    client = scope.get("client") or (None, 0)
    return actor_of(principal, address=client[0], request_id=str(scope.get("request_id", "")))


def actor_of(principal: Principal, *, address: str | None = None, request_id: str = "") -> Actor:
    return Actor(
        Kind(principal.kind),
        principal.label,
        user_id=principal.user_id,
        key_id=principal.key_id,
        address=address,
        request_id=request_id,
    )


def command(name: str) -> Actor:
    """Somebody at the machine's own shell."""
    return Actor(Kind.COMMAND, name)
