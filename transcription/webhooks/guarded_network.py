"""Connections that go only where the rules permit, judged on the very address that is connected to.

The name is looked up here and the connection made to one of the addresses that were judged. A name that leads
elsewhere the next moment (DNS rebinding) gains nothing: nobody looks it up again. TLS still verifies the name.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpcore2

from transcription.webhooks.addresses import AddressRules

# A name server that never answers holds a thread for as long as the system's resolver waits.
RESOLVER_THREADS = 32
# Of a name with many addresses these are tried, one after the other.
MAX_ADDRESSES_TRIED = 3

Resolve = Callable[[str, int], Awaitable[list[str]]]


class AddressRefused(Exception):
    """The name leads to no address that deliveries may go to."""


class SystemResolver:
    """Looks names up as the system does, in threads of its own: a slow name must not hold up anything else."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(RESOLVER_THREADS, thread_name_prefix="webhook-names")

    async def resolve(self, host: str, port: int) -> list[str]:
        """Addresses of a name, the system's favourite first. Raises OSError where there are none."""
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self._threads, _look_up, host, port)
        return list(dict.fromkeys(found))


def _look_up(host: str, port: int) -> list[str]:
    try:
        return [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    except UnicodeError:
        raise OSError("not a name") from None


class GuardedNetwork(httpcore2.AsyncNetworkBackend):
    """The network of a connection pool. Raises AddressRefused where no address of the name is permitted."""

    def __init__(self, rules: AddressRules, resolve: Resolve) -> None:
        self._rules = rules
        self._resolve = resolve
        self._network = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the name is that of the interface
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """timeout: s, for looking up and connecting together."""
        try:
            async with asyncio.timeout(timeout):
                return await self._connect(host, port, local_address, socket_options)
        except TimeoutError:
            raise httpcore2.ConnectTimeout("connecting took too long") from None

    async def _connect(
        self, host: str, port: int, local_address: str | None, socket_options: Iterable[Any] | None
    ) -> httpcore2.AsyncNetworkStream:
        try:
            addresses = await self._resolve(host, port)
        except OSError as error:
            raise httpcore2.ConnectError("the name cannot be looked up") from error
        permitted = [address for address in addresses if self._rules.permit(address)]
        if not permitted:
            raise AddressRefused
        failure: httpcore2.ConnectError | None = None
        for address in permitted[:MAX_ADDRESSES_TRIED]:
            try:
                return await self._network.connect_tcp(
                    address, port, local_address=local_address, socket_options=socket_options
                )
            except httpcore2.ConnectError as error:
                failure = error
        assert failure is not None  # noqa: S101 - permitted is not empty
        raise failure

    async def connect_unix_socket(self, *_args: Any, **_options: Any) -> httpcore2.AsyncNetworkStream:
        raise AddressRefused

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
