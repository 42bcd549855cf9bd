"""`purge_expired`, `export_transcripts` and `sessions` as people and cron call them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone
from rich.console import Console

from speechsite.config import BASE_DIR
from transcription.audit.models import AuditEvent
from transcription.console.live_database import read_newest_rows
from transcription.management.commands.sessions import build_table
from transcription.models import TranscriptionSession
from transcription.retention import tombstones
from transcription.retention.models import RetentionRule, Tombstone
from transcription.retention.protecting import protect
from transcription.tests.rows import make_session, make_user

pytestmark = [pytest.mark.django_db, pytest.mark.databases]


def ended(days_ago: float, *texts: str, **fields: Any) -> TranscriptionSession:
    end = timezone.now() - timedelta(days=days_ago)
    return make_session(*texts, created_at=end - timedelta(minutes=5), started_at=end, ended_at=end, **fields)


def database_address() -> str:
    """DATABASE_URL of the tests' own database, for another process."""
    facts = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{facts['NAME']}"
    login = f"{facts['USER']}:{quote(facts['PASSWORD'], safe='')}@" if facts["USER"] else ""
    return f"postgresql://{login}{facts['HOST']}:{facts['PORT']}/{facts['NAME']}"


def run(*words: str) -> str:
    out = StringIO()
    call_command(*words, stdout=out)
    return out.getvalue()


def test_a_purge_by_rules_says_nothing_when_all_went_well(transactional_db: None) -> None:
    ended(40, "one"), ended(1, "two")
    RetentionRule.objects.create(name="thirty", after_days=30)
    assert run("purge_expired") == ""
    assert TranscriptionSession.objects.count() == 1
    assert Tombstone.objects.get().rule == "thirty"


def test_a_dry_run_tells_in_words_and_in_json_and_deletes_nothing() -> None:
    ended(40, "one", "two")
    assert run("purge_expired", "--older-than", "30d", "--dry-run") == (
        "--older-than: 1 sessions would go, 2 segments, 4 s of audio\n"
    )
    (told,) = json.loads(run("purge_expired", "--older-than", "4w", "--dry-run", "--json"))
    assert told == {
        "rule": "--older-than",
        "audio_only": False,
        "sessions": 1,
        "reruns": 0,
        "segments": 2,
        "audio_ms": 4000,
    }
    assert TranscriptionSession.objects.count() == 1


def test_older_than_stands_in_place_of_the_rules_and_spares_what_is_protected(transactional_db: None) -> None:
    ended(10, "one")
    held = ended(10, "two")
    protect(held, "hold")
    RetentionRule.objects.create(name="all", after_days=1, language="xx")
    (told,) = json.loads(run("purge_expired", "--older-than", "7d", "--json"))
    assert told["sessions"] == 1
    assert list(TranscriptionSession.objects.all()) == [held]
    assert Tombstone.objects.get().deleted_by == "purge_expired"


def test_what_cannot_go_yet_is_an_exit_code_of_its_own(transactional_db: None) -> None:
    session = ended(1, "one")
    tombstones.begin(session)
    with pytest.raises(CommandError, match="something is left") as failed:
        run("purge_expired")
    assert failed.value.returncode == 3


@pytest.mark.parametrize(
    "words", [["--older-than", "soon"], ["--older-than", "5h"], ["--older-than", "0d"], ["--audio"]]
)
def test_nonsense_deletes_nothing(words: list[str]) -> None:
    ended(400, "one")
    with pytest.raises(CommandError):
        run("purge_expired", *words)
    assert TranscriptionSession.objects.count() == 1


def test_an_export_writes_a_file_for_each_session_of_that_time(tmp_path: Path) -> None:
    old, new = ended(40, "long ago"), ended(1, "just now", "and more")
    make_session("live", state="live")
    out = tmp_path / "a" / "b"
    assert run("export_transcripts", "--format", "vtt", "--since", "7d", "--out", str(out)) == ""
    assert [path.name for path in out.iterdir()] == [f"{new.public_id}.vtt"]
    text = (out / f"{new.public_id}.vtt").read_text()
    assert text.startswith("WEBVTT")
    assert "just now" in text
    assert oct((out / f"{new.public_id}.vtt").stat().st_mode & 0o777) == "0o600"
    entry = AuditEvent.objects.get(what="exported_many")
    assert (entry.actor, entry.details) == (
        "export_transcripts",
        {"format": "vtt", "sessions": 1, "ids": [new.public_id]},
    )
    run("export_transcripts", "--format", "txt", "--out", str(out))
    assert {path.suffix for path in out.iterdir()} == {".vtt", ".txt"}
    assert (out / f"{old.public_id}.txt").read_text() == "long ago\n"


def test_an_export_again_replaces_the_file_with_what_people_corrected(tmp_path: Path) -> None:
    session = ended(1, "wrong word")
    path = tmp_path / f"{session.public_id}.txt"
    run("export_transcripts", "--format", "txt", "--out", str(tmp_path))
    session.segments.update(text="right word")
    run("export_transcripts", "--format", "txt", "--out", str(tmp_path))
    assert path.read_text() == "right word\n"
    run("export_transcripts", "--format", "txt", "--out", str(tmp_path), "--text", "machine")
    assert path.read_text() == "wrong word\n"
    assert list(tmp_path.iterdir()) == [path]


def test_an_export_chooses_by_owner_and_language(tmp_path: Path) -> None:
    zoe = make_user()
    wanted = ended(1, "hallo", owner=zoe, language="de-DE")
    ended(1, "hello", owner=zoe)
    ended(1, "hallo", language="de-DE")
    run(
        "export_transcripts", "--format", "json", "--out", str(tmp_path), "--owner", zoe.username, "--language", "de-de"
    )
    assert [path.name for path in tmp_path.iterdir()] == [f"{wanted.public_id}.json"]


def test_a_folder_that_cannot_be_written_is_an_exit_code_of_its_own(tmp_path: Path) -> None:
    ended(1, "one")
    (tmp_path / "file").write_text("")
    with pytest.raises(CommandError, match="cannot be written") as failed:
        run("export_transcripts", "--format", "txt", "--out", str(tmp_path / "file"))
    assert failed.value.returncode == 2


def test_sessions_lists_the_newest_and_with_live_only_those_that_go_on() -> None:
    ended(1, "old words", title="Over")
    live = make_session("spoken now", state="live", title="Now")
    told = json.loads(run("sessions", "--json"))
    assert [row["title"] for row in told] == ["Now", "Over"]
    (row,) = json.loads(run("sessions", "--live", "--json"))
    assert (row["session_id"], row["final"]) == (live.public_id, "spoken now")
    (row,) = json.loads(run("sessions", "--live", "--json", "--no-text"))
    assert row["final"] == ""
    assert AuditEvent.objects.filter(what="watched_console", actor="sessions").count() == 1


def test_the_table_obeys_nothing_that_was_said() -> None:
    make_session("\x1b[2Jcleared\x07 [bold]markup[/bold]", title="a\nb\x9b31m", state="live")
    out = StringIO()
    Console(file=out, width=200).print(build_table(list(read_newest_rows(5).values()), timezone.now(), 200))
    assert "\x1b" not in out.getvalue()
    assert "\x07" not in out.getvalue()
    assert "[bold]markup[/bold]" in out.getvalue()


@pytest.mark.parametrize(("width", "missing"), [(80, {"title", "started"}), (200, set())])
def test_the_table_has_the_columns_that_fit(width: int, missing: set[str]) -> None:
    make_session("spoken now", public_id="a" * 32, state="live")
    out = StringIO()
    Console(file=out, width=width).print(build_table(list(read_newest_rows(5).values()), timezone.now(), width))
    text = out.getvalue()
    assert "1 session ·" in text
    assert "spoken now" in text
    assert {name for name in ("session", "state", "title", "started", "last words") if name not in text} == missing


@pytest.mark.django_db(transaction=True)
def test_watching_ends_cleanly_with_ctrl_c() -> None:
    environment = {**os.environ, "ENV_FILE": "", "DATABASE_URL": database_address()}
    command = [sys.executable, str(BASE_DIR / "manage.py"), "sessions", "--watch", "--json"]
    with subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Whoever runs the tests in the background ignores it, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            for _look in range(2):
                assert isinstance(json.loads(process.stdout.readline()), list)
            process.send_signal(signal.SIGINT)
            assert process.wait(20) == 0
            assert "Traceback" not in process.stderr.read()
        finally:
            process.kill()
