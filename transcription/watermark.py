"""When audio is settled: heard, decided and not needed again. Pure; times are ms of the session's audio.

The watermark W may only lie where a recogniser that starts afresh at W gives the same words as one that
heard everything: in silence between two utterances, or where the recogniser itself declares it.
"""

from __future__ import annotations

from transcription.recognition import Capabilities
from transcription.results import FinalResult, InterimResult, Progress

# A final whose last word ended this long before the audio heard was closed by silence, not by force.
ENDPOINT_SILENCE_MS = 600
# W lies in the middle of the 800 ms of silence that close an utterance: word times may be wrong by 200 ms.
WATERMARK_PAD_MS = 400
# Silence this long after the last word moves W too, so that a quiet session holds no minutes of audio.
LONG_SILENCE_MS = 5000
LONG_SILENCE_MARGIN_MS = 2000


class Watermark:
    """Follows one session's results and says up to where its audio is settled. It never goes back."""

    def __init__(self, settled_ms: int = 0) -> None:
        self.settled_ms = settled_ms
        self._last_word_end_ms = settled_ms
        self._interim_pending = False

    def on_interim(self, interim: InterimResult) -> None:
        """Something is being said: silence rules wait for its final."""
        self._interim_pending = bool(interim.text)

    def on_final(self, final: FinalResult, capabilities: Capabilities) -> int:
        """Returns W after this final."""
        self._interim_pending = False
        heard_ms = final.audio_processed_ms
        if capabilities.settles and heard_ms is not None:
            self._raise_to(heard_ms)
        elif capabilities.word_times and final.words:
            last_word_end_ms = final.words[-1].end_ms
            self._last_word_end_ms = max(self._last_word_end_ms, last_word_end_ms)
            if heard_ms is not None and heard_ms - last_word_end_ms >= ENDPOINT_SILENCE_MS:
                self._raise_to(last_word_end_ms + WATERMARK_PAD_MS)
        return self.settled_ms

    def on_progress(self, progress: Progress, capabilities: Capabilities) -> int:
        """Returns W after audio was heard that held nothing to say."""
        heard_ms = progress.audio_processed_ms
        if capabilities.settles:
            self._interim_pending = False
            self._raise_to(heard_ms)
        elif (
            capabilities.word_times
            and not self._interim_pending
            and heard_ms - self._last_word_end_ms > LONG_SILENCE_MS
        ):
            self._raise_to(heard_ms - LONG_SILENCE_MARGIN_MS)
        return self.settled_ms

    def on_flushed(self, sent_ms: int) -> int:
        """The recogniser was told that there is no more audio and gave everything it had: all of it is settled."""
        self._interim_pending = False
        self._raise_to(sent_ms)
        return self.settled_ms

    def _raise_to(self, position_ms: int) -> None:
        self.settled_ms = max(self.settled_ms, position_ms)
