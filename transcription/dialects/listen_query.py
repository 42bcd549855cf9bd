"""The query of `/v1/listen`: names and values as text, read one by one. Pure."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl

from transcription.errors import BadConfig

MAX_PARAMETERS = 600
# Of what a client wrote, when it is told what is wrong with it.
MAX_SHOWN_CHARACTERS = 60

NUMBER = re.compile(r"-?[0-9]{1,9}(\.[0-9]{1,6})?")
TRUE, FALSE = ("true", "1"), ("false", "0")


def shown(text: str) -> str:
    return text if len(text) <= MAX_SHOWN_CHARACTERS else text[:MAX_SHOWN_CHARACTERS] + "…"


class ListenQuery:
    """Values by name. Of a name that may have one value the last counts; an empty value is none.

    Methods that read raise BadConfig with the name as `field`.
    """

    def __init__(self, text: str) -> None:
        try:
            pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_PARAMETERS, errors="strict")
        except UnicodeDecodeError:
            raise BadConfig("The query is not UTF-8.", field="query") from None
        except ValueError:
            raise BadConfig(f"The query has more than {MAX_PARAMETERS} parameters.", field="query") from None
        self._values: dict[str, list[str]] = {}
        for name, value in pairs:
            self._values.setdefault(name, [])
            if value:
                self._values[name].append(value)

    @property
    def names(self) -> tuple[str, ...]:
        """Every name that was given, in the order in which it came first."""
        return tuple(self._values)

    def texts(self, name: str) -> tuple[str, ...]:
        return tuple(self._values.get(name, ()))

    def text(self, name: str) -> str | None:
        values = self._values.get(name)
        return values[-1] if values else None

    def is_on(self, name: str) -> bool:
        """Whether an option asks for anything: given, and not false."""
        return any(value.lower() not in FALSE for value in self.texts(name))

    def flag(self, name: str) -> bool:
        """true or false; false where it is not given."""
        value = (self.text(name) or "false").lower()
        if value not in TRUE + FALSE:
            raise BadConfig(f"{name}: must be true or false, not {shown(value)}.", field=name)
        return value in TRUE

    def whole(self, name: str, *, at_least: int, at_most: int) -> int | None:
        value = self.number(name, at_least=at_least, at_most=at_most)
        if value is not None and not value.is_integer():
            raise BadConfig(f"{name}: must be a whole number, not {shown(str(value))}.", field=name)
        return None if value is None else int(value)

    def number(self, name: str, *, at_least: float, at_most: float) -> float | None:
        text = self.text(name)
        if text is None:
            return None
        value = float(text) if NUMBER.fullmatch(text) else None
        if value is None or not at_least <= value <= at_most:
            raise BadConfig(f"{name}: must be a number from {at_least} to {at_most}, not {shown(text)}.", field=name)
        return value
