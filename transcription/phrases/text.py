"""Phrases as text, one a line: what is typed, imported and exported. Pure."""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections.abc import Iterable

from django.utils.translation import gettext as _

from transcription.options import MAX_PHRASES, MAX_SHORT_CHARACTERS

# Of a file: as many phrases as there may be, each as long as it may be, in UTF-8.
MAX_FILE_BYTES = MAX_PHRASES * (4 * MAX_SHORT_CHARACTERS + 2)
_LINE_END = re.compile("\r\n|\r|\n")
_LINE_END_BYTES = re.compile(b"\r\n|\r|\n")


class PhrasesError(ValueError):
    """These are no phrases that a session could start with. Its text is a sentence that names the line."""


def parse_phrases(text: str) -> list[str]:
    """The phrases of a text: a line each, without the space around it, once, in their order. Empty lines are none.

    Raises PhrasesError for what the options of a session would not take: see options.SpeechContext.
    """
    phrases: dict[str, None] = {}
    for number, line in enumerate(_LINE_END.split(text.removeprefix("\ufeff")), start=1):
        phrase = line.strip()
        if not phrase:
            continue
        if len(phrase) > MAX_SHORT_CHARACTERS:
            text = _("Line %(line)d has %(count)d characters; a phrase may have %(limit)d.")
            raise PhrasesError(text % {"line": number, "count": len(phrase), "limit": MAX_SHORT_CHARACTERS})
        if any(unicodedata.category(character) in ("Cc", "Cs") for character in phrase):
            raise PhrasesError(_("Line %(line)d has a control character in it.") % {"line": number})
        phrases[phrase] = None
        if len(phrases) > MAX_PHRASES:
            text = _("Line %(line)d is one phrase too many; there may be %(limit)d.")
            raise PhrasesError(text % {"line": number, "limit": MAX_PHRASES})
    if not phrases:
        raise PhrasesError(_("There is no phrase in it."))
    return list(phrases)


def read_file(content: bytes) -> str:
    """The text of a file in UTF-8. Raises PhrasesError, naming the first line that is something else."""
    if len(content) > MAX_FILE_BYTES:
        message = _("The file has %(count)d bytes; it may have %(limit)d.")
        raise PhrasesError(message % {"count": len(content), "limit": MAX_FILE_BYTES})
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise PhrasesError(_("The file is UTF-16. Save it as UTF-8."))
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = len(_LINE_END_BYTES.findall(error.object[: error.start])) + 1
        raise PhrasesError(_("Line %(line)d is not UTF-8. Save the file as UTF-8.") % {"line": line}) from None


def write_phrases(phrases: Iterable[str]) -> str:
    """A line each, the last one ended too; parse_phrases() gives the same phrases back."""
    return "".join(f"{phrase}\n" for phrase in phrases)
