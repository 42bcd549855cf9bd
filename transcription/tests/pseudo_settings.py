"""The settings of a service that also speaks the made-up language of tests, whose catalogues are in PSEUDO_LOCALE."""

import os
from pathlib import Path

from speechsite.settings import *  # noqa: F403
from speechsite.settings import LANGUAGES as _LANGUAGES
from speechsite.settings import LOCALE_PATHS as _LOCALE_PATHS
from transcription.tests.pseudo_locale import PSEUDO

LANGUAGES = [*_LANGUAGES, (PSEUDO, "Pseudo")]
LOCALE_PATHS = [Path(os.environ["PSEUDO_LOCALE"]), *_LOCALE_PATHS]
