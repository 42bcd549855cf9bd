"""Bring the catalogues in locale/ up to date with the texts of the code, and compile them. For developers."""

from __future__ import annotations

import contextlib
import subprocess
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.core.management.commands import makemessages

DOMAINS = ("django", "djangojs")
# What is not part of the running service, and what is installed or made.
IGNORED = [
    *(
        ".venv",
        "var",
        "node_modules",
        "staticfiles",
        "locale",
        "docs",
        "benchmarks",
        "examples",
        "scripts",
        "conftest.py",
    ),
    *("speechsite/tests", "transcription/tests"),
]
# The scripts know these forms too (static/js/i18n.js).
PLURAL_FORMS = {"de": "nplurals=2; plural=(n != 1);", "es": "nplurals=2; plural=(n != 1);"}
COMPILE_TIMEOUT_S = 60


class MakeMessages(makemessages.Command):
    # A guessed translation of a similar text is worse than English, and guessing takes most of the time.
    msgmerge_options = [*makemessages.Command.msgmerge_options, "--no-fuzzy-matching"]  # noqa: RUF012  # as in Django


class Command(BaseCommand):
    help = "Write the catalogues of the translations anew from the code, and compile them. Needs GNU gettext."

    def handle(self, *args: Any, **options: Any) -> None:
        languages = [code for code, _ in settings.LANGUAGES if code != settings.LANGUAGE_CODE]
        with contextlib.chdir(settings.BASE_DIR):
            for domain in DOMAINS:
                call_command(
                    MakeMessages(),
                    domain=domain,
                    locale=languages,
                    ignore_patterns=list(IGNORED),
                    no_wrap=True,
                    no_obsolete=True,
                    # Line numbers change with every edit; a translator needs to know only where to look.
                    add_location="file",
                    verbosity=0,
                )
        for language in languages:
            for domain in DOMAINS:
                path = Path(settings.LOCALE_PATHS[0]) / language / "LC_MESSAGES" / f"{domain}.po"
                replace_header(path, language)
                self.stdout.write(f"{path.relative_to(settings.BASE_DIR)}: {compile_catalogue(path)}")


def replace_header(path: Path, language: str) -> None:
    """Without dates and names: a catalogue whose texts are the same is the same file."""
    header = (
        'msgid ""\nmsgstr ""\n'
        f'"Language: {language}\\n"\n'
        '"MIME-Version: 1.0\\n"\n'
        '"Content-Type: text/plain; charset=UTF-8\\n"\n'
        '"Content-Transfer-Encoding: 8bit\\n"\n'
        f'"Plural-Forms: {PLURAL_FORMS[language]}\\n"\n'
    )
    _, _, texts = path.read_text(encoding="utf-8").partition("\n\n")
    path.write_text(f"{header}\n{texts}", encoding="utf-8")


def compile_catalogue(path: Path) -> str:
    """Returns gettext's count of what is translated. Raises CommandError where a placeholder is wrong."""
    command = ["msgfmt", "--check-format", "--statistics", "--output-file", str(path.with_suffix(".mo")), str(path)]
    done = subprocess.run(  # noqa: S603  # fixed words and our own paths
        command, capture_output=True, text=True, timeout=COMPILE_TIMEOUT_S, check=False
    )
    if done.returncode:
        raise CommandError(done.stderr.strip())
    return done.stderr.strip()
