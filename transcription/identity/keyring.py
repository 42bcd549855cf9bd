"""Finding API keys quickly: a small bounded cache before the table, on threads of its own."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.db import Error
from django.db.models import Q
from django.db.models.functions import Now

from transcription.identity.keys import why_unusable
from transcription.identity.principals import Principal
from transcription.models import ApiKey
from transcription.storage.database_threads import DatabaseThreads, TooManyJobs

logger = logging.getLogger(__name__)

# A key that is withdrawn stops working within this time (60 s are promised).
CACHE_S = 30.0
MAX_CACHED_KEYS = 1000
LAST_USED_EVERY_S = 60.0
KEY_PREFIX = "spk_"
TOUCH_TIMEOUT_S = 30.0

# A principal, and for how long its key is good.
Found = tuple[Principal, float]


class Keyring:
    """Principals of API keys. Only found keys are cached, by the SHA-256 of their text: a new key works at once."""

    def __init__(self, threads: DatabaseThreads, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._threads = threads
        self._clock = clock
        self._lock = threading.Lock()  # sync views and the event loop share the cache
        self._cache: OrderedDict[bytes, tuple[float, Principal]] = OrderedDict()
        self._touched: OrderedDict[int, float] = OrderedDict()
        self._touches: set[asyncio.Task[None]] = set()

    async def find(self, text: str, *, timeout_s: float) -> Principal | None:
        """The principal of a key, or None for what is no key of ours.

        Raises NotAuthenticated for one that is of no use any more, TimeoutError, TooManyJobs and the database's errors.
        """
        principal = self.cached(text)
        if principal is None and text.startswith(KEY_PREFIX):
            principal = self._keep(text, await self._threads.run(_look_up, text, timeout_s=timeout_s))
        if principal is not None and principal.key_id is not None and self._touch_is_due(principal.key_id):
            task = asyncio.create_task(self._touch(principal.key_id))
            self._touches.add(task)
            task.add_done_callback(self._touches.discard)
        return principal

    def find_now(self, text: str) -> Principal | None:
        """The same for a thread that may wait for the database."""
        principal = self.cached(text)
        if principal is None and text.startswith(KEY_PREFIX):
            principal = self._keep(text, _look_up(text))
        if principal is not None and principal.key_id is not None and self._touch_is_due(principal.key_id):
            _write_last_used(principal.key_id)
        return principal

    async def aclose(self) -> None:
        """Wait for the last notes of use; the threads belong to their maker."""
        if self._touches:
            await asyncio.wait(self._touches, timeout=TOUCH_TIMEOUT_S)

    def cached(self, text: str) -> Principal | None:
        """The principal of a key that was found a moment ago."""
        digest = hashlib.sha256(text.encode(errors="surrogatepass")).digest()
        with self._lock:
            entry = self._cache.get(digest)
            if entry is None or self._clock() >= entry[0]:
                self._cache.pop(digest, None)
                return None
            self._cache.move_to_end(digest)
            return entry[1]

    def _keep(self, text: str, found: Found | None) -> Principal | None:
        if found is None:
            return None
        principal, left_s = found
        with self._lock:
            self._cache[hashlib.sha256(text.encode()).digest()] = (self._clock() + min(CACHE_S, left_s), principal)
            while len(self._cache) > MAX_CACHED_KEYS:
                self._cache.popitem(last=False)
        return principal

    def _touch_is_due(self, key_id: int) -> bool:
        with self._lock:
            now = self._clock()
            if now < self._touched.get(key_id, float("-inf")) + LAST_USED_EVERY_S:
                return False
            self._touched[key_id] = now
            self._touched.move_to_end(key_id)
            while len(self._touched) > MAX_CACHED_KEYS:
                self._touched.popitem(last=False)
            return True

    async def _touch(self, key_id: int) -> None:
        # Apart from the look-up: a locked SQLite file must not keep a right key out.
        try:
            await self._threads.run(_write_last_used, key_id, timeout_s=TOUCH_TIMEOUT_S)
        except (TimeoutError, TooManyJobs):
            logger.warning("The last use of a key could not be noted in time.")


def _look_up(text: str) -> Found | None:
    key: Any = ApiKey.find(text)  # with the database's time
    if key is None:
        return None
    problem = why_unusable(key, key.now)
    if problem is not None:
        raise problem
    left_s = (key.expires_at - key.now).total_seconds() if key.expires_at is not None else math.inf
    principal = Principal(
        kind="key",
        user_id=key.owner_id,
        key_id=key.pk,
        label=key.name,
        scopes=key.scope_set,
        rate_limit=key.rate_limit,
    )
    return principal, left_s


def _write_last_used(key_id: int) -> None:
    """Note the use, at most once a minute over all processes, by the database's clock."""
    stale = Q(last_used_at=None) | Q(last_used_at__lt=Now() - timedelta(seconds=LAST_USED_EVERY_S))
    try:
        ApiKey.objects.filter(stale, pk=key_id).update(last_used_at=Now())
    except Error:
        logger.warning("The last use of a key could not be noted.")
