"""Where clients put their credentials. Pure; header names are in lower case."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

TOKEN_PROTOCOL_PREFIX = "speech.token."  # noqa: S105 - a name on the wire, not a secret


def header_credential(headers: Mapping[str, str], *, scheme: str = "Bearer") -> str | None:
    """What `Authorization: SCHEME …` holds; None without one, or with another scheme."""
    found, _space, credential = headers.get("authorization", "").partition(" ")
    return credential.strip() if found.lower() == scheme.lower() else None


def subprotocol_credential(subprotocols: Sequence[str], prefix: str) -> str | None:
    """The rest of the first subprotocol that begins with prefix."""
    return next((offered.removeprefix(prefix) for offered in subprotocols if offered.startswith(prefix)), None)


def native_credential(headers: Mapping[str, str], subprotocols: Sequence[str]) -> str | None:
    """Of the native protocol, and of the sockets of pages: Bearer, or the subprotocol `speech.token.<TOKEN>`."""
    credential = header_credential(headers)
    return credential if credential is not None else subprotocol_credential(subprotocols, TOKEN_PROTOCOL_PREFIX)
