"""The catalogues of the translations, as translators write them and as the service reads them."""

from __future__ import annotations

import ast
import gettext
from dataclasses import dataclass, field
from pathlib import Path

from speechsite.config import BASE_DIR

DOMAINS = ("django", "djangojs")


@dataclass
class Entry:
    """One text. A text with plural forms has as many translations as the language has forms, others one."""

    msgid: str = ""
    msgid_plural: str = ""
    msgctxt: str = ""
    translations: dict[int, str] = field(default_factory=dict)
    flags: set[str] = field(default_factory=set)

    @property
    def key(self) -> str:
        return f"{self.msgctxt}\x04{self.msgid}" if self.msgctxt else self.msgid

    @property
    def is_translated(self) -> bool:
        return "fuzzy" not in self.flags and all(self.translations.values())


def source_path(language: str, domain: str) -> Path:
    return BASE_DIR / "locale" / language / "LC_MESSAGES" / f"{domain}.po"


def read_entries(path: Path) -> list[Entry]:
    """The entries of a .po file without its header, which has an empty msgid."""
    blocks = path.read_text(encoding="utf-8").strip().split("\n\n")
    return [entry for entry in map(read_entry, blocks) if entry.msgid]


def read_entry(block: str) -> Entry:
    entry = Entry()
    texts: dict[str, str] = {}
    name = ""
    for line in block.splitlines():
        if line.startswith("#,"):
            entry.flags |= {flag.strip() for flag in line[2:].split(",")}
        elif line.startswith('"'):
            texts[name] += ast.literal_eval(line)
        elif line and not line.startswith("#"):
            name, _, quoted = line.partition(" ")
            texts[name] = ast.literal_eval(quoted)
    entry.msgid, entry.msgid_plural = texts.pop("msgid", ""), texts.pop("msgid_plural", "")
    entry.msgctxt = texts.pop("msgctxt", "")
    entry.translations = {int(name[7:-1]) if name != "msgstr" else 0: text for name, text in texts.items()}
    return entry


def read_compiled(path: Path) -> dict[tuple[str, int], str]:
    """What a .mo file translates: (msgid, plural form) -> text."""
    with path.open("rb") as file:
        catalogue = gettext.GNUTranslations(file)._catalog  # type: ignore[attr-defined]
    return {key if isinstance(key, tuple) else (key, 0): text for key, text in catalogue.items() if key}
