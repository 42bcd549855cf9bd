"""A made-up language for tests: every translated text in brackets, with accents, and a third longer.

What then stands on a page without brackets did not go through gettext, and what was cut off had no room to spare.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable
from pathlib import Path

import django
from django.conf import settings

from transcription.tests.catalogues import DOMAINS, Entry, read_entries, source_path

# A language that Django knows and nobody here translates into: Esperanto.
PSEUDO = "eo"
LONGER = 0.3
ACCENTS = str.maketrans("aeiouyncsAEIOUYNCS", "áéíóúýñçšÁÉÍÓÚÝÑÇŠ")
# Placeholders, tags and entities stay as they are.
KEPT = re.compile(r"(%\(\w+\)[.\d]*[a-z]|%[sd%]|\{\w*\}|<[^>]+>|&\w+;)")
DJANGO = Path(django.__file__).parent
# The pages of the admin, and the forms and dates of every page.
OF_DJANGO = ("conf", "contrib/admin", "contrib/auth")


def pseudo_text(text: str) -> str:
    parts = (part if KEPT.fullmatch(part) else part.translate(ACCENTS) for part in KEPT.split(text))
    # In words, as a longer text would be: one long word could not be broken.
    more = " ~~~~" * round(len(text) * LONGER / 5)
    return f"[{''.join(parts)}{more}]"


def pseudo_entry(entry: Entry) -> tuple[str, str]:
    """Key and text as a compiled catalogue holds them, plural forms joined by NUL."""
    if entry.msgid_plural:
        forms = f"{pseudo_text(entry.msgid)}\0{pseudo_text(entry.msgid_plural)}"
        return f"{entry.key}\0{entry.msgid_plural}", forms
    return entry.key, pseudo_text(entry.msgid)


def write_pseudo_locale(folder: Path) -> None:
    """Write the catalogues of both domains below `folder`, one more for LOCALE_PATHS."""
    language = next(code for code, _ in settings.LANGUAGES if code != settings.LANGUAGE_CODE)
    target = folder / PSEUDO / "LC_MESSAGES"
    target.mkdir(parents=True)
    for domain in DOMAINS:
        sources = [DJANGO / part / f"locale/en/LC_MESSAGES/{domain}.po" for part in OF_DJANGO]
        # Ours last: where both have a text, ours stands.
        paths = [*filter(Path.is_file, sources), source_path(language, domain)]
        entries = [entry for path in paths for entry in read_entries(path) if is_shown(entry)]
        (target / f"{domain}.mo").write_bytes(compiled(map(pseudo_entry, entries)))


def is_shown(entry: Entry) -> bool:
    """Formats of dates and the like are for programs."""
    return not re.fullmatch(r"[A-Z_]+_FORMAT|[A-Za-z]|.*(?:DD|HH|YYYY).*", entry.msgid)


def compiled(texts: Iterable[tuple[str, str]]) -> bytes:
    """A .mo file (GNU gettext manual, "The Format of GNU MO Files"), without its optional hash table."""
    header = "Content-Type: text/plain; charset=UTF-8\nPlural-Forms: nplurals=2; plural=(n != 1);\n"
    rows = [(key.encode(), text.encode()) for key, text in sorted({**dict(texts), "": header}.items())]
    head_bytes, row_bytes = 7 * 4, 8
    place = head_bytes + 2 * row_bytes * len(rows)
    tables: list[bytes] = []
    body = b""
    for column in (0, 1):
        for row in rows:
            tables.append(struct.pack("<II", len(row[column]), place + len(body)))
            body += row[column] + b"\0"
    head = struct.pack("<7I", 0x950412DE, 0, len(rows), head_bytes, head_bytes + row_bytes * len(rows), 0, 0)
    return head + b"".join(tables) + body
