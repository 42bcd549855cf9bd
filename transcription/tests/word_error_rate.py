"""How far a transcript is from its reference."""

from __future__ import annotations

from collections.abc import Sequence

import jiwer
from whisper_normalizer.english import EnglishTextNormalizer

_normalize = EnglishTextNormalizer()


def plain(text: str) -> str:
    """Text without case, punctuation and spelling variants (Whisper's English normaliser)."""
    return str(_normalize(text))


def word_error_rate(references: Sequence[str], hypotheses: Sequence[str]) -> float:
    """Word errors over words of the references, both normalised, all texts together (0.06 is 6 %)."""
    return float(jiwer.wer([plain(text) for text in references], [plain(text) for text in hypotheses]))
