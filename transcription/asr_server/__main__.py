"""`python -m transcription.asr_server`: the embedded recogniser without Django."""

import sys

from .command import main

sys.exit(main())
