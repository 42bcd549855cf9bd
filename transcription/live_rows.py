"""What an operator sees of one live session, as JSON values. Pure."""

from __future__ import annotations

from typing import Any

from transcription.live import LiveTranscription

Row = dict[str, Any]


def build_row(live: LiveTranscription, worker: str) -> Row:
    """One session as the list of live sessions shows it. level: 0.0-1.0 of full scale; *_ms: milliseconds."""
    return {
        "session_id": live.public_id,
        "title": live.config.title,
        "owner": live.new.principal.label,
        "owner_id": live.new.principal.user_id,
        "language": live.config.language,
        "state": live.activity,
        "started_at": live.started_at.isoformat(),
        "worker": worker,
        "segments": live.segments,
        "final": live.last_final.text if live.last_final else "",
        "interim": live.interim.text if live.interim else "",
        "interim_segment": live.next_segment,
        "captions_hidden": False,
        "level": round(live.intake.level.rms, 3),
        "backlog_ms": live.backlog_ms,
        "latency_ms": live.interim_lag_ms,
        "audio_ms": live.audio_ms,
    }


def difference(old: Row, new: Row) -> Row:
    """The fields of a session's row that changed, and its id: less than half of what a whole row takes to tell."""
    changed = {name: value for name, value in new.items() if old[name] != value}
    changed["session_id"] = new["session_id"]
    return changed


def hide_captions(row: Row) -> Row:
    """The same row for those who may not read the text."""
    return {**row, "final": None, "interim": "", "captions_hidden": True}
