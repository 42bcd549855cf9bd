"""An ASGI extension: what an application may do with its WebSocket without a task, a message and a future each time.

A scope that offers it has `scope["extensions"]["websocket.direct"]["connection"]`, a DirectConnection. `receive` and
`send` work as ever beside it, and see to the order: a direct call is only possible where none of them has anything
left to do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

EXTENSION = "websocket.direct"

# Takes a binary message, or leaves it to receive() by answering False.
Taker = Callable[[bytes], bool]


class DirectConnection(Protocol):
    """One open WebSocket. All calls are the event loop's."""

    def take_binary(self, taker: Taker) -> None:
        """Offer binary messages to this function first, as they are read and while the application awaits receive()."""
        ...

    @property
    def can_send(self) -> bool:
        """Whether the connection is open and its client takes what it is sent; otherwise send() waits or raises."""
        ...

    def send_text(self, text: str) -> None:
        """Send a message, where can_send: several in a row are as good as one."""
        ...


def direct_connection(scope: Mapping[str, Any]) -> DirectConnection | None:
    """The connection of a scope whose server offers the extension."""
    offered = scope.get("extensions", {}).get(EXTENSION)
    connection: DirectConnection | None = offered and offered["connection"]
    return connection
