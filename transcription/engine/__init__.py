"""One live session from its first audio to its end: listening, the watermark, replay, what waits to be told."""
