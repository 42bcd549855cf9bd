"""Follow a session that another program streams (pip install websockets): watch_session.py SESSION_ID [ws://HOST:PORT]"""

import asyncio
import json
import os
import random
import sys

import websockets

KEY = os.environ.get("SPEECHSITE_API_KEY")
FIRST_RETRY_S, LONGEST_RETRY_S = 0.25, 8.0


def show(segment) -> None:
    print(f"{segment['start_ms'] / 1000:7.2f}  {segment['text']}", flush=True)


async def follow(url, held) -> bool:
    """Print what is said. held: the index of the last segment that stays. Returns whether the session is over."""
    headers = {"Authorization": f"Bearer {KEY}"} if KEY else {}
    async with websockets.connect(f"{url}?after={held[-1]}", additional_headers=headers) as socket:
        async for event in (json.loads(message) async for message in socket):
            match event["event"]:
                case "snapshot" | "segment":
                    for segment in event.get("segments", [event]):
                        # Words that were cut off by a lost connection come again, whole or as they were.
                        if not segment["tail"]:
                            held.append(segment["segment"])
                            show(segment)
                case "ended":
                    print(f"The session is {event['state']}.", file=sys.stderr)
                    return True
                case "error" if not event["retryable"]:
                    raise SystemExit(f"{event['message']} ({event['code']} {event['reason']})")
    return False


async def main(session_id, server="ws://127.0.0.1:8000") -> None:
    held = [-1]
    wait_s = FIRST_RETRY_S
    while True:
        known = len(held)
        try:
            if await follow(f"{server}/api/v1/sessions/{session_id}/events", held):
                return
        except websockets.InvalidStatus as error:
            if error.response.status_code < 500:
                raise SystemExit(str(error)) from None
        except (OSError, websockets.WebSocketException) as error:
            print(f"{error}; connecting again.", file=sys.stderr)
        wait_s = FIRST_RETRY_S if len(held) > known else min(LONGEST_RETRY_S, wait_s * 2)
        await asyncio.sleep(wait_s * random.uniform(0.5, 1.5))  # noqa: S311 - no secret


asyncio.run(main(*sys.argv[1:3]))
