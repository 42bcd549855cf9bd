"""Receive webhooks, with the standard library alone: WEBHOOK_SECRET=whsec_... webhook_receiver.py [PORT]

Prints a line for each event whose signature is right. In front of it in production: a web server with TLS.
"""

import base64
import hashlib
import hmac
import json
import os
import sys
import time
from collections import OrderedDict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

KEY = base64.b64decode(os.environ["WEBHOOK_SECRET"].removeprefix("whsec_"))
TOLERANCE_S = 300
MAX_BODY_BYTES = 1024 * 1024
MAX_KNOWN_IDS = 10_000
PATIENCE_S = 30


def verify(headers, body) -> None:
    """Raises ValueError where the event was not sent by the service, or too long ago."""
    event_id, timestamp = headers["webhook-id"] or "", headers["webhook-timestamp"] or ""
    if not timestamp.isdecimal() or abs(time.time() - int(timestamp)) > TOLERANCE_S:
        raise ValueError("the event is too old, or the clocks differ")
    # Over the bytes as they came; JSON that was parsed and written again may be other bytes.
    right = hmac.digest(KEY, f"{event_id}.{timestamp}.".encode() + body, hashlib.sha256)
    expected = "v1," + base64.b64encode(right).decode()
    # Several while a secret is being replaced.
    given = (headers["webhook-signature"] or "").split()
    if not any(hmac.compare_digest(expected.encode(), signature.encode()) for signature in given):
        raise ValueError("the signature is wrong")


class Receiver(BaseHTTPRequestHandler):
    timeout = PATIENCE_S
    known: ClassVar[OrderedDict[str, None]] = OrderedDict()  # ids: an event may come twice

    def do_POST(self) -> None:
        size = self.headers["content-length"] or ""
        if not size.isdecimal() or int(size) > MAX_BODY_BYTES:
            self.answer(413)
            return
        body = self.rfile.read(int(size))
        try:
            verify(self.headers, body)
        except ValueError as error:
            print(f"Refused: {error}.", file=sys.stderr, flush=True)
            self.answer(401)
            return
        if self.headers["webhook-id"] not in self.known:
            self.take(json.loads(body))
            self.known[self.headers["webhook-id"]] = None
            if len(self.known) > MAX_KNOWN_IDS:
                self.known.popitem(last=False)
        self.answer(204)

    def take(self, event) -> None:
        """What your application does with it; within 15 s, or after the answer."""
        data = event["data"]
        texts = " ".join(segment["text"] for segment in data.get("segments", []))
        # In one piece: several threads answer at once.
        sys.stdout.write(f"{event['type']} {data.get('session_id', '')} {texts}\n")
        sys.stdout.flush()

    def answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *arguments) -> None:
        """Nothing of each request."""


with ThreadingHTTPServer(("127.0.0.1", int((*sys.argv[1:], "8081")[0])), Receiver) as server:
    print(f"Listening on http://127.0.0.1:{server.server_address[1]}/", flush=True)
    server.serve_forever()
