"""Downloads of long transcripts, as an ASGI server takes them: piece by piece."""

from __future__ import annotations

import time
import tracemalloc
from typing import Any, NamedTuple

from django.contrib.auth import get_user_model
from django.test import AsyncClient
from django.urls import reverse

from benchmarks.archive import BOSS


class Download(NamedTuple):
    """first_byte_ms, total_ms: from the request on. peak_bytes: of Python's memory, over what it was before."""

    first_byte_ms: float
    total_ms: float
    size_bytes: int
    peak_bytes: int


async def download(public_id: str, format: str, *, is_traced: bool = False) -> Download:
    """is_traced: measure memory, which makes it slower; the times then mean nothing."""
    client = AsyncClient()
    await client.aforce_login(await get_user_model().objects.aget(username=BOSS))
    address = reverse("session_export", kwargs={"public_id": public_id, "format": format})
    if is_traced:
        tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        started = time.perf_counter()
        response: Any = await client.get(address)
        assert response.status_code == 200, response.status_code
        first_byte = 0.0
        size = 0
        async for piece in response.streaming_content:
            first_byte = first_byte or time.perf_counter()
            size += len(piece)
        total = time.perf_counter()
        peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    return Download((first_byte - started) * 1000, (total - started) * 1000, size, peak)
