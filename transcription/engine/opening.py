"""Opening the recogniser for a session that waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from transcription.engine.recognition import Recogniser, RecognitionStream
from transcription.errors import RecogniserFailed
from transcription.options import TranscriptionConfig

OPEN_RETRY_DELAYS_S = (0.2, 0.5, 1.0, 2.0, 4.0)
OPEN_TOTAL_S = 10.0


async def open_with_retries(
    recogniser: Recogniser,
    config: TranscriptionConfig,
    *,
    on_retry: Callable[[], None],
    clock: Callable[[], float],
    jitter: Callable[[], float],
) -> RecognitionStream:
    """Open a stream, trying again for OPEN_TOTAL_S after failures that may pass.

    on_retry: called before each wait. jitter: 0.0-1.0, spreads the waits by half up and down, so that many sessions
    do not come back at once. Raises the last failure.
    """
    give_up_at_s = clock() + OPEN_TOTAL_S
    delays_s = iter(OPEN_RETRY_DELAYS_S)
    while True:
        try:
            return await recogniser.open(config)
        except RecogniserFailed as error:
            left_s = give_up_at_s - clock()
            if not error.retryable or left_s <= 0:
                raise
            # The last try comes just before it is given up.
            delay_s = min(left_s, next(delays_s, OPEN_RETRY_DELAYS_S[-1]) * (0.5 + jitter()))
        on_retry()
        await asyncio.sleep(delay_s)
