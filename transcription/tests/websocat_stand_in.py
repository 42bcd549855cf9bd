"""What `examples/websocat.sh` uses of websocat, for machines without it: lines to text messages, and back."""

from __future__ import annotations

import argparse
import asyncio
import sys

from websockets.asyncio.client import ClientConnection, connect


async def send_lines(socket: ClientConnection) -> None:
    while line := await asyncio.to_thread(sys.stdin.readline):
        await socket.send(line.rstrip("\n"))


async def main(options: argparse.Namespace) -> None:
    headers = [tuple(header.split(": ", 1)) for header in options.header]
    async with connect(options.url, additional_headers=headers) as socket:
        sending = asyncio.create_task(send_lines(socket))
        async for message in socket:
            print(message, flush=True)
        await sending


parser = argparse.ArgumentParser(allow_abbrev=False)
parser.add_argument("url")
parser.add_argument("-n", "--no-close", action="store_true", required=True)
parser.add_argument("-t", "--text", action="store_true", required=True)
parser.add_argument("-H", dest="header", action="append", default=[])
asyncio.run(main(parser.parse_args([argument.replace("-H=", "-H", 1) for argument in sys.argv[1:]])))
