"""A segment of speech to trustworthy text."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .engine import SAMPLE_RATE_HZ, Engine
from .guard import is_invented, is_looped

# Silence after the segment: without it the model loses last words. Another length makes it take
# another path, which gets it out of most loops.
PAD_S = 0.4
OTHER_PADS_S = (0.8, 0.2)


def decode_segment(engine: Engine, samples: NDArray[np.float32], voiced_ms: float) -> str:
    """Text of one final segment; empty if the model only made something up."""
    for pad_s in (PAD_S, *OTHER_PADS_S):
        text = engine.transcribe(_padded(samples, pad_s))
        if not is_looped(text):
            return "" if is_invented(text, int(voiced_ms)) else text
    return ""


def decode_interim(engine: Engine, samples: NDArray[np.float32], voiced_ms: float) -> str:
    """Text of a segment that goes on; one attempt only, the next interim is another."""
    text = engine.transcribe(_padded(samples, PAD_S))
    return "" if is_looped(text) or is_invented(text, int(voiced_ms)) else text


def _padded(samples: NDArray[np.float32], pad_s: float) -> NDArray[np.float32]:
    return np.concatenate((samples, np.zeros(int(pad_s * SAMPLE_RATE_HZ), np.float32)))
