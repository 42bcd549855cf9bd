"""Another server process for tests of the store: `python -m transcription.tests.store_process MODE ...`.

Prints `ready`, waits for a line on its input, does its work at once and prints one line of JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
import uuid
from collections.abc import Sequence
from typing import Any

import django

django.setup()

from transcription.errors import TranscriptionError  # noqa: E402
from transcription.identity.principals import LOCAL, Principal  # noqa: E402
from transcription.identity.tokens import redeem_token  # noqa: E402
from transcription.metrics import COMMIT_RETRIES_TOTAL  # noqa: E402
from transcription.storage.database_threads import DatabaseThreads  # noqa: E402 - needs Django's settings
from transcription.storage.store import Store  # noqa: E402
from transcription.tests.sessions import new_session, segment, step  # noqa: E402
from transcription.workers import register  # noqa: E402


async def race_to_start(store: Store, name: str, sessions: int, principal: Principal = LOCAL) -> dict[str, Any]:
    """Start many sessions at once. Says how many were let in and why the others were not."""
    names = [new_session(f"{name}-{number}", principal) for number in range(sessions)]
    results = await asyncio.gather(*map(store.create, names), return_exceptions=True)
    return {"started": sum(not isinstance(r, BaseException) for r in results), "refused": _reasons(results)}


async def race_as_anna(store: Store, name: str, sessions: int) -> dict[str, Any]:
    """The same for one owner, the user with the key 1."""
    return await race_to_start(store, name, sessions, Principal("user", user_id=1))


async def race_with_a_key(store: Store, name: str, sessions: int) -> dict[str, Any]:
    """The same with the key 1."""
    return await race_to_start(store, name, sessions, Principal("key", key_id=1))


async def race_for_tokens(store: Store, names: str, _number: int) -> dict[str, Any]:
    """Redeem tokens, one after the other. Says for each whether it was won."""
    threads = DatabaseThreads(size=1)
    answers = [await _try(threads.run(redeem_token, text)) for text in names.split(",")]
    await threads.aclose()
    return {"won": [isinstance(answer, Principal) for answer in answers], "refused": _reasons(answers)}


async def race_for_one(store: Store, name: str, attempts: int) -> dict[str, Any]:
    """Try to start one and the same id, again and again."""
    results = [await _try(store.create(new_session(name))) for _ in range(attempts)]
    return {"started": sum(not isinstance(r, BaseException) for r in results), "refused": _reasons(results)}


async def write(store: Store, name: str, steps: int) -> dict[str, Any]:
    """Commit steps of five sessions side by side. Says how often a commit had to be tried again."""
    handles = [await store.create(new_session(f"{name}-{number}")) for number in range(5)]

    async def speak(number: int) -> None:
        for index in range(steps):
            await store.commit(step(handles[number], segment(index), committed_bytes=index * 3200))

    await asyncio.gather(*(speak(number) for number in range(5)))
    return {"retries": COMMIT_RETRIES_TOTAL._value.get()}


async def _try(attempt: Any) -> Any:
    try:
        return await attempt
    except TranscriptionError as error:
        return error


def _reasons(results: Sequence[Any]) -> list[str]:
    return [getattr(r, "reason", type(r).__name__) for r in results if isinstance(r, BaseException)]


async def main(mode: str, name: str, number: int, max_sessions: int, max_sessions_per_owner: int = 0) -> None:
    threads = DatabaseThreads()
    worker_id = uuid.uuid4()
    await threads.run(register, worker_id)
    store = Store(worker_id, threads=threads, max_sessions=max_sessions, max_sessions_per_owner=max_sessions_per_owner)
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    work = {
        "start": race_to_start,
        "anna": race_as_anna,
        "key": race_with_a_key,
        "one": race_for_one,
        "tokens": race_for_tokens,
        "write": write,
    }[mode]
    print(json.dumps(await work(store, name, number)), flush=True)
    await store.aclose()
    await threads.aclose()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])))
