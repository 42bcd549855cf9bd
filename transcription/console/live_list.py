"""The list of live sessions as the database knows it, chosen and ordered by the live page's query."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from transcription.console.live_database import read_failed_rows, read_live_rows
from transcription.console.live_rows import Row, hide_captions

STATES = ("live", "reconnecting", "failed")
SEARCHED = ("title", "session_id", "owner", "language", "final")
MAX_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class LiveFilter:
    """The same words as in the page's own query. What only a running process knows cannot be asked for here.

    source: `web`, `key:NAME` or `dialect:NAME`. mine: only sessions of this user.
    """

    words: str = ""
    state: str = ""
    language: str = ""
    source: str = ""
    mine: bool = False
    user_id: int | None = None

    @classmethod
    def of(cls, query: Mapping[str, str], *, user_id: int | None) -> LiveFilter:
        text = {name: query.get(name, "").strip()[:MAX_CHARACTERS] for name in ("q", "state", "language", "source")}
        state = text["state"] if text["state"] in STATES else ""
        return cls(text["q"], state, text["language"], text["source"], query.get("mine", "") == "1", user_id)

    def takes(self, row: Row) -> bool:
        return (
            self.state in ("", row["state"])
            and self.language in ("", row["language"])
            and (not self.mine or (self.user_id is not None and row["owner_id"] == self.user_id))
            and self._takes_source(row)
            and self._takes_words(row)
        )

    def _takes_source(self, row: Row) -> bool:
        kind, _colon, name = self.source.partition(":")
        match kind:
            case "web":
                return is_web(row)
            case "key":
                return bool(row["key"]) and row["key"] == name
            case "dialect":
                return bool(row["dialect"] == name)
        return True

    def _takes_words(self, row: Row) -> bool:
        text = " ".join(str(row[name] or "") for name in SEARCHED).casefold()
        return all(word in text for word in self.words.casefold().split())


@dataclass(frozen=True, slots=True)
class LiveList:
    """total: before anything was left out."""

    rows: list[Row]
    total: int


def is_web(row: Row) -> bool:
    """Whether it was begun by a person in a page rather than with a key."""
    return row["source"] in ("user", "local") and row["dialect"] == "native"


def read_list(chosen: LiveFilter, *, captions: bool) -> LiveList:
    """Newest first."""
    rows = [_shown(row, captions) for row in (read_failed_rows() | read_live_rows()).values()]
    found = sorted(filter(chosen.takes, rows), key=lambda row: row["started_at"], reverse=True)
    return LiveList(found, len(rows))


def _shown(row: Row, captions: bool) -> dict[str, Any]:
    state = "reconnecting" if row["state"] == "detached" else row["state"]
    return {**(row if captions else hide_captions(row)), "state": state}
