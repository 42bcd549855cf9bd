"""What a client wants, whatever dialect it said it in. Pure values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Start:
    """options: the fields the client gave, validated one by one only together with what it had asked before."""

    options: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Audio:
    chunk: bytes


@dataclass(frozen=True, slots=True)
class Finalize:
    pass


@dataclass(frozen=True, slots=True)
class KeepAlive:
    pass


@dataclass(frozen=True, slots=True)
class Resume:
    resume_token: str
    received_segments: int | None
    held_from: int | None


@dataclass(frozen=True, slots=True)
class Stop:
    pass


@dataclass(frozen=True, slots=True)
class Answer:
    """The client is told something at once, in its own words.

    is_free: what it answers belongs to the audio and is not counted as a control message.
    """

    texts: Sequence[str]
    is_free: bool = False


Command = Start | Audio | Finalize | KeepAlive | Resume | Stop | Answer
