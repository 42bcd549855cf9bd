"""The benchmarks of the store, over a small archive: every case of them runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.storage import percentile
from benchmarks.texts import COMMON_WORDS, Texts

# Ten seconds of processor time, on a machine that may be busy.
TIMEOUT_S = 240


def run(module: str, *arguments: str) -> str:
    database = "postgres" if os.environ.get("TEST_DATABASE_URL") else "sqlite"
    command = [sys.executable, "-m", module, "--database", database, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def read(folder: Path, name: str) -> Any:
    (path,) = folder.glob(f"{name}-*.json")
    return json.loads(path.read_text())


@pytest.mark.skipif("TEST_DATABASE_URL" in os.environ, reason="it would fill the database of the other tests")
@pytest.mark.timeout(TIMEOUT_S)
def test_every_case_answers_in_a_small_archive(tmp_path: Path) -> None:
    folders = ["--folder", str(tmp_path), "--results", str(tmp_path)]
    run("benchmarks.storage", "--sessions", "200", "--segments", "3000", "--repeats", "1", *folders)
    report = read(tmp_path, "storage")
    assert not [case for case in report["cases"] if case["failure"]]
    assert {case["group"] for case in report["cases"]} == {"list", "search", "page", "admin", "other"}
    assert {export["format"] for export in report["exports"]} == {"txt", "srt", "vtt", "json", "csv", "docx"}
    run(
        "benchmarks.commits", "--levels", "5", "--seconds", "2.5", "--folder", str(tmp_path), "--results", str(tmp_path)
    )
    quiet, busy = read(tmp_path, "commits")
    assert (quiet["sessions"], quiet["readers"], busy["readers"]) == (5, 0, 2)
    assert quiet["commits"] >= 5


def test_words_are_as_frequent_as_those_of_a_language() -> None:
    import random

    texts = Texts(random.Random(1), halves=2000)  # noqa: S311 - the same texts each time
    words = [word.lower().strip(".") for _ in range(2000) for word in texts.make().split()]
    counts = sorted(({word: words.count(word) for word in set(words)}).values(), reverse=True)
    assert words.count(COMMON_WORDS[0]) == counts[0]
    assert counts[0] / len(words) < 0.1
    assert counts[9] > 10 * counts[len(counts) // 2]


@pytest.mark.parametrize(("per_cent", "value"), [(50, 5), (95, 10), (100, 10), (1, 1)])
def test_a_percentile_is_one_of_the_values(per_cent: float, value: float) -> None:
    assert percentile([float(number) for number in range(10, 0, -1)], per_cent) == value
