"""An event loop whose clock jumps to the next timer whenever nothing else is to be done.

So hours of timeouts take milliseconds, in the order they would have in real time. A test that would wait for
ever fails at once. Only for code without threads, sockets and subprocesses.
"""

from __future__ import annotations

import asyncio
import functools
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec

P = ParamSpec("P")
LEFT_OVER = "left running: {}"


class NothingWillHappen(Exception):
    """Every task waits for something that nobody will bring about."""


class _Selector(selectors.DefaultSelector):
    """Lets no time pass, but the loop's."""

    now_s = 0.0

    def select(self, timeout: float | None = None) -> Any:
        found = super().select(0)
        if timeout is None and not found:
            raise NothingWillHappen
        if timeout and not found:
            self.now_s += timeout
        return found


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)

    def time(self) -> float:
        return self._virtual.now_s


def in_virtual_time(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run a test on a VirtualTimeLoop; it fails if it leaves tasks running."""

    async def run(*args: P.args, **kwargs: P.kwargs) -> None:
        await test(*args, **kwargs)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left, LEFT_OVER.format(left)

    @functools.wraps(test)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> None:
        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            runner.run(run(*args, **kwargs))

    return wrapper
