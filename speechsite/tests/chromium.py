"""Which Chromium the tests and measurements drive."""

from __future__ import annotations

import os
import shutil

# The first is the one without windows: it takes three quarters of the time of the others.
CHROMIUM_NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")


def find_chromium() -> str | None:
    """Its path: what CHROMIUM in the environment names, or the first on the PATH; None leaves it to Playwright."""
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)
