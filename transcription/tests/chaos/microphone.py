"""Speech that comes at the pace of speech, and can be given again from any byte that is still held."""

from __future__ import annotations

from transcription.fake_riva.audio import Speech, SpokenWord

BYTES_PER_SECOND = 32_000
BYTES_PER_SAMPLE = 2


class Microphone:
    """16 kHz PCM with numbered words, recorded from start() on.

    buffer_s: how much is held of what is not safe; older audio is forgotten. speed: so many seconds of audio come
    in a second.
    """

    def __init__(
        self, audio: bytes, words: tuple[SpokenWord, ...] = (), *, buffer_s: float = 600.0, speed: float = 1.0
    ) -> None:
        self._audio = audio
        self._words = words
        self._buffer_bytes = int(buffer_s * BYTES_PER_SECOND)
        self.speed = speed
        self._started_at_s: float | None = None
        self._end = len(audio)

    @classmethod
    def speaking(cls, speech: Speech, *, buffer_s: float = 600.0, speed: float = 1.0) -> Microphone:
        return cls(b"".join(speech.chunks()), tuple(speech.timeline()), buffer_s=buffer_s, speed=speed)

    @property
    def end(self) -> int:
        """Where the recording ends."""
        return self._end

    def start(self, now_s: float) -> None:
        if self._started_at_s is None:
            self._started_at_s = now_s

    def recorded(self, now_s: float) -> int:
        """How many bytes there are by now."""
        if self._started_at_s is None:
            return 0
        samples = int((now_s - self._started_at_s) * self.speed * BYTES_PER_SECOND) // BYTES_PER_SAMPLE
        return min(samples * BYTES_PER_SAMPLE, self._end)

    def held_from(self, safe: int, now_s: float) -> int:
        """The first byte that is still held."""
        return max(safe, self.recorded(now_s) - self._buffer_bytes)

    def switch_off(self, now_s: float) -> None:
        """End the recording here."""
        self._end = self.recorded(now_s)

    def read(self, first: int, last: int) -> bytes:
        return self._audio[first:last]

    def words_before(self, position: int) -> tuple[SpokenWord, ...]:
        """The words that begin before a byte, the one it cuts included."""
        return tuple(word for word in self._words if word.start_ms * BYTES_PER_SECOND // 1000 < position)
