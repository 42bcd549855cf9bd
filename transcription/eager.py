"""The beginning of a coroutine, run at once: most of those that send never wait, and a task for them costs more."""

from __future__ import annotations

from collections.abc import Coroutine, Generator
from typing import Any


class Unfinished:
    """What is left of a coroutine that waits. Awaited once, by one task."""

    __slots__ = ("_coroutine", "_waited_for")

    def __init__(self, coroutine: Coroutine[Any, Any, None], waited_for: Any) -> None:
        self._coroutine = coroutine
        self._waited_for = waited_for

    def __await__(self) -> Generator[Any, Any, None]:
        return _go_on(self._coroutine, self._waited_for)

    def close(self) -> None:
        """Nobody will await it."""
        self._coroutine.close()


def run_until_it_waits(coroutine: Coroutine[Any, Any, None]) -> Unfinished | None:
    """Run a coroutine as far as it goes. None: it has ended. Raises what it raises until then.

    It must not ask for the current task, which is another one's here.
    """
    try:
        waited_for = coroutine.send(None)
    except StopIteration:
        return None
    return Unfinished(coroutine, waited_for)


def _go_on(coroutine: Coroutine[Any, Any, None], waited_for: Any) -> Generator[Any, Any, None]:
    while True:
        thrown: BaseException | None = None
        answer = None
        try:
            answer = yield waited_for
        # Whatever comes, a cancellation too, is the coroutine's own matter.
        except BaseException as error:
            thrown = error
        try:
            waited_for = coroutine.send(answer) if thrown is None else coroutine.throw(thrown)
        except StopIteration:
            return
