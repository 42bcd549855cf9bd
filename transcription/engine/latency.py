"""How quick one session's results were. Pure."""

from __future__ import annotations

MAX_SAMPLES = 1000


class Latency:
    """first_interim_ms: from the first audio to the first interim result. Final lag: from the arrival of the
    last audio of an utterance to its final result; the newest MAX_SAMPLES are kept."""

    __slots__ = ("_final_lags_ms", "_p95_ms", "first_interim_ms")

    def __init__(self) -> None:
        self.first_interim_ms: int | None = None
        self._final_lags_ms: list[int] = []
        self._p95_ms: int | None = None

    def add_final_lag(self, lag_ms: int) -> None:
        self._final_lags_ms.append(lag_ms)
        del self._final_lags_ms[:-MAX_SAMPLES]
        self._p95_ms = None

    @property
    def final_lag_p95_ms(self) -> int | None:
        """Worked out once for each final, however often it is asked for."""
        if self._p95_ms is None:
            self._p95_ms = self.final_lag_ms(0.95)
        return self._p95_ms

    def final_lag_ms(self, share: float) -> int | None:
        """The lag that this share (0.0-1.0) of the finals did not exceed; None without finals."""
        ordered = sorted(self._final_lags_ms)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else None
