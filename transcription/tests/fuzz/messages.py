"""Messages of every dialect, and what becomes of them when somebody tampers with them. Pure."""

from __future__ import annotations

import base64
import json
from random import Random
from typing import Any

AUDIO = base64.b64encode(bytes(3200)).decode()
# What clients of each route say, in an order in which it makes sense; {id} is the session's.
SAID: dict[str, list[dict[str, Any]]] = {
    "transcribe": [
        {"type": "start_transcription", "config": {"language": "en-US", "max_alternatives": 2, "title": "Fuzz"}},
        {"type": "audio", "audio": AUDIO},
        {"type": "finalize"},
        {"type": "keepalive"},
        {"type": "resume_transcription", "resume_token": "x" * 32, "received_segments": 0, "held_from": 0},
        {"type": "stop_transcription"},
    ],
    "realtime": [
        {"type": "transcription_session.update", "session": {"input_audio_format": "pcm16", "modalities": ["text"]}},
        {
            "type": "session.update",
            "session": {
                "type": "transcription",
                "audio": {"input": {"format": {"type": "audio/pcm", "rate": 24000}, "turn_detection": None}},
            },
        },
        {"type": "input_audio_buffer.append", "audio": AUDIO, "runtime_config": {"force_eou": True}},
        {"type": "input_audio_buffer.commit"},
        {"type": "input_audio_buffer.clear"},
        {"type": "input_audio_buffer.done"},
    ],
    "listen": [{"type": "KeepAlive"}, {"type": "Finalize"}, {"type": "CloseStream"}],
    "events": [{"type": "keepalive"}],
    "console": [{"type": "watch", "session_id": "fuzz"}, {"type": "stop", "session_id": "fuzz", "reason": "x"}],
}
ODD: list[Any] = [
    None, True, -1, 0, 2**63, 10**40, 1e308, 0.1, "", "x", "x" * 5000, "\0", "\ud800", "\u202e", "../../etc/passwd",
    "' OR 1=1 --", "%00", [], {}, [[[[[[[[[[]]]]]]]]]], {"a": {"a": {"a": {}}}}, ["x"] * 200, "2026-13-45", "NaN",
]  # fmt: skip
BROKEN = ["", "{", "[]", "null", "NaN", '{"type": NaN}', "[" * 2000, '{"type": 1, "type": 2}', "\x00", '"text"', "{}"]
QUERIES = {
    "realtime": ["intent=transcription", "", "intent=conversation", "intent=transcription&model=x", "intent="],
    "listen": [
        "encoding=linear16&sample_rate=16000&interim_results=true", "", "encoding=mp3", "sample_rate=0", "tag=%00",
        "language=../..&encoding=linear16&sample_rate=8000", "channels=99", "%ff=%fe&&&=",
        "utterance_end_ms=1000&vad_events=true&encoding=linear16&sample_rate=16000",
    ],
    "events": ["", "after=-1", "after=0", "words=maybe", "after=%00", "interims=false"],
}  # fmt: skip
# Most conversations shall come far enough to be spoilt later.
GOOD_SHARE = 0.8


def kind_of(route: str) -> str:
    """Which of the dialects speaks there; one that is not known here is spoken to in all of them."""
    return next((kind for kind in SAID if kind in route), "")


def make_query(random: Random, route: str) -> str:
    good, *others = QUERIES.get(kind_of(route), ["", "a=b", "after=x"])
    return good if random.random() < GOOD_SHARE else random.choice(others)


def make_message(random: Random, route: str, step: int) -> str | bytes:
    """The next message of a conversation: as it should be, tampered with, broken, or audio."""
    said = SAID.get(kind_of(route)) or [message for messages in SAID.values() for message in messages]
    if step == 0 and random.random() < GOOD_SHARE:
        return json.dumps(said[0])
    match random.choices(["right", "tampered", "broken", "audio", "cut"], [4, 5, 1, 3, 1])[0]:
        case "right":
            # In their order, so that some conversations come far.
            return json.dumps(said[min(step, len(said) - 1)] if random.random() < 0.6 else random.choice(said))
        case "tampered":
            return json.dumps(_tampered(random, random.choice(said)))
        case "broken":
            return random.choice(BROKEN)
        case "cut":
            text = json.dumps(random.choice(said))
            return text[: random.randrange(len(text))]
    return random.randbytes(random.choice([0, 1, 2, 3, 320, 3199, 3200, 20_000, 64 * 1024, 70_000]))


def _tampered(random: Random, value: Any) -> Any:
    """The same with one thing changed, at any depth."""
    if isinstance(value, dict) and value:
        key = random.choice(list(value))
        match random.randrange(5):
            case 0:
                return {name: item for name, item in value.items() if name != key}
            case 1:
                return {**value, str(random.choice(["unknown", "", "__class__", "\0", "type "])): random.choice(ODD)}
            case 2 | 3:
                return {**value, key: _tampered(random, value[key])}
        return {**value, key: random.choice(ODD)}
    return random.choice(ODD)
