"""The speech model behind a small interface, so that another one can take its place."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .errors import EngineError

SAMPLE_RATE_HZ = 16_000
MODEL_FILES = ("encoder_model.ort", "decoder_model_merged.ort", "tokenizer.bin")
# Its own detector stays off: it cuts inside words and is not repeatable (one clip, two texts).
OPTIONS = {"vad_threshold": "0", "vad_max_segment_duration": "120", "return_audio_data": "false"}


class Engine(Protocol):
    """One loaded model. Used by one thread at a time."""

    def transcribe(self, samples: NDArray[np.float32]) -> str:
        """Text of one segment of speech, float32 in [-1, 1] at 16 kHz; raises EngineError."""

    def close(self) -> None:
        """Give its memory back; it is not used again."""


def bundled_model_path() -> Path:
    """Where the moonshine-voice package keeps tiny-en; raises EngineError without the package."""
    try:
        import moonshine_voice.transcriber as module
    except ImportError as error:
        raise EngineError("moonshine-voice has no build for this platform") from error
    return Path(module.__file__).parent / "assets" / "tiny-en"


def find_model(model_path: str | None) -> Path:
    """The model's folder, checked; raises EngineError naming what is missing in it."""
    path = Path(model_path) if model_path else bundled_model_path()
    missing = [name for name in MODEL_FILES if not (path / name).is_file()]
    if missing:
        raise EngineError(f"the model folder {path} has no {', '.join(missing)}")
    return path


class MoonshineEngine:
    """Moonshine (tiny or base) through the C interface of moonshine-voice.

    The C calls release the interpreter lock and take a pointer to the samples; the package's Python
    layer would turn each sample into an object and back.
    """

    def __init__(self, model_path: Path) -> None:
        # Read when the runtime makes its session: one worker thread is one core, not all of them.
        os.environ.setdefault("MOONSHINE_ORT_SINGLE_THREAD", "1")
        try:
            from moonshine_voice.errors import MoonshineError
            from moonshine_voice.moonshine_api import ModelArch, TranscriptC
            from moonshine_voice.transcriber import Transcriber
        except ImportError as error:
            raise EngineError("moonshine-voice has no build for this platform") from error
        arch = ModelArch.BASE if "base" in model_path.name else ModelArch.TINY
        try:
            self._transcriber = Transcriber(model_path, arch, options=OPTIONS)
        except MoonshineError as error:
            raise EngineError(f"the model in {model_path} does not load: {error}") from error
        self._transcript_type: Any = TranscriptC

    def transcribe(self, samples: NDArray[np.float32]) -> str:
        audio = np.ascontiguousarray(samples, np.float32)
        transcript = ctypes.POINTER(self._transcript_type)()
        status = self._transcriber._lib.moonshine_transcribe_without_streaming(
            self._transcriber._handle,
            audio.ctypes.data_as(ctypes.POINTER(ctypes.c_float)),
            len(audio),
            SAMPLE_RATE_HZ,
            0,
            ctypes.byref(transcript),
        )
        if status < 0:
            raise EngineError(f"the model failed with status {status}")
        if not transcript:
            return ""
        # The structure is overwritten by the next call of this transcriber: copied out here.
        found = transcript.contents
        texts = [found.lines[i].text for i in range(found.line_count)]
        return " ".join(ctypes.string_at(t).decode("utf-8", "ignore").strip() for t in texts if t).strip()

    def close(self) -> None:
        self._transcriber.close()
