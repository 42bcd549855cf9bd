"""A link that a call under test is given: it takes what its windows allow and writes down the rest."""

from __future__ import annotations

from transcription.riva.http2.call import StreamCall
from transcription.riva.http2.frames import ErrorCode, build_message


class RecordingLink:
    """room_bytes: what it takes before it makes the call wait."""

    def __init__(self, room_bytes: int = 2**20) -> None:
        self.room_bytes = room_bytes
        self.sent = b""
        self.has_ended = False
        self.given_bytes: list[int] = []
        self.forgotten: list[ErrorCode | None] = []

    def send_message(self, call: StreamCall, message: bytes) -> bool:
        framed = build_message(message)
        if len(framed) > self.room_bytes:
            return False
        self._take(framed)
        return True

    def send_data(self, call: StreamCall, data: bytes, *, ends: bool) -> int:
        taken = data[: self.room_bytes]
        self._take(taken)
        if ends and len(taken) == len(data):
            self.has_ended = call.has_ended_sending = True
        return len(taken)

    def give_room(self, call: StreamCall, size_bytes: int) -> None:
        self.given_bytes.append(size_bytes)

    def forget(self, call: StreamCall, reset: ErrorCode | None) -> None:
        self.forgotten.append(reset)

    def _take(self, data: bytes) -> None:
        self.sent += data
        self.room_bytes -= len(data)
