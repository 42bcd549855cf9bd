"""The programs of `examples/` that the API page shows, as they lie there; the page fills in address and options."""

from __future__ import annotations

import functools
from dataclasses import asdict, dataclass
from typing import Any

from django.utils.translation import gettext_lazy as _

from speechsite.config import BASE_DIR

FOLDER = BASE_DIR / "examples"


@dataclass(frozen=True, slots=True)
class CodeExample:
    """One program. label: text, or one that is translated when shown. kind: how options are written in it
    (`api-code.js`). run: what starts it, as a person types it.
    """

    name: str
    label: Any
    file: str
    kind: str
    run: str


CODE_EXAMPLES = (
    CodeExample(
        "python", "Python", "shortest_client.py", "python", "pip install websockets && python {file} speech.wav"
    ),
    CodeExample(
        "browser",
        _("Browser"),
        "shortest_page.html",
        "browser",
        "python3 -m http.server 8080  # and open http://localhost:8080/{file}",
    ),
    CodeExample("node", "Node.js", "node_client.mjs", "javascript", "node {file} speech.wav"),
    CodeExample("curl", "curl", "curl.sh", "shell", "sh {file} speech.wav"),
    CodeExample("websocat", "websocat", "websocat.sh", "shell", "sh {file} speech.wav"),
    CodeExample(
        "openai",
        "OpenAI",
        "openai_realtime.py",
        "library",
        "pip install 'openai[realtime]' && python {file} speech.wav",
    ),
    CodeExample(
        "nvidia",
        "NVIDIA",
        "nvidia_realtime.py",
        "library",
        "pip install nvidia-riva-client && python {file} speech.wav",
    ),
    CodeExample(
        "deepgram", "Deepgram", "deepgram_live.py", "library", "pip install deepgram-sdk && python {file} speech.wav"
    ),
)


@functools.cache
def read_code_examples() -> list[dict[str, Any]]:
    """The programs with their text, for the page's script."""
    return [
        {
            **asdict(example),
            "run": example.run.format(file=example.file),
            "text": (FOLDER / example.file).read_text(encoding="utf-8"),
        }
        for example in CODE_EXAMPLES
    ]
