"""What one stream of the fake Riva does."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, get_type_hints

import grpc

DEFAULT_ABORT_TEXT = "as the script says"
YES_OR_NO = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


class BadScript(ValueError):
    """A script given as text has a name or a value that does not exist; the text says which."""


@dataclass(frozen=True, slots=True)
class Script:
    """Times of audio are ms from the beginning of the stream.

    delay_s: before each response. speed: of hearing; 0.8 hears 0.8 s of audio a second, 0.0 as fast as it comes.
    abort: the status and text the stream ends with, at once or after abort_after_ms. early_ok_after_ms: ends OK
    there. hang_after_ms: goes on reading and says nothing more. deaf_after_ms: stops reading. mute_open: neither
    reads the config nor says anything. duplicate_finals: each is sent twice. no_finals: only interims. bad_times:
    what finals say about time is impossible. word_time_error_ms: words are told up to this much too early or too
    late, each always the same. padding_bytes: finals are this much longer. settles: finals declare what they
    settle. word_times: off as in recognisers that have none.
    """

    delay_s: float = 0.0
    speed: float = 0.0
    abort: tuple[grpc.StatusCode, str] | None = None
    abort_after_ms: int | None = None
    early_ok_after_ms: int | None = None
    hang_after_ms: int | None = None
    deaf_after_ms: int | None = None
    mute_open: bool = False
    no_finals: bool = False
    duplicate_finals: bool = False
    bad_times: bool = False
    word_time_error_ms: int = 0
    padding_bytes: int = 0
    settles: bool = False
    word_times: bool = True

    @property
    def stop_at_ms(self) -> int | None:
        marks = (self.abort_after_ms, self.early_ok_after_ms, self.hang_after_ms, self.deaf_after_ms)
        return min((mark for mark in marks if mark is not None), default=None)


def parse_script(settings: Iterable[str]) -> Script:
    """A script from `name=value` texts; abort is `STATUS` or `STATUS:text`. Raises BadScript."""
    kinds = get_type_hints(Script)
    values: dict[str, Any] = {}
    for setting in settings:
        name, _, text = setting.partition("=")
        if name not in kinds:
            raise BadScript(f"{name!r} is none of {', '.join(field.name for field in dataclasses.fields(Script))}")
        try:
            values[name] = _parse_value(kinds[name], text)
        except (ValueError, KeyError):
            raise BadScript(f"{text!r} is no value of {name}") from None
    return Script(**values)


def _parse_value(kind: Any, text: str) -> Any:
    if kind is bool:
        return YES_OR_NO[text.lower()]
    if kind is float:
        return float(text)
    if kind in (int, int | None):
        return int(text)
    status, _, words = text.partition(":")
    return grpc.StatusCode[status], words or DEFAULT_ABORT_TEXT
