"""What an operator sees of one live session, as JSON values. Pure."""

from __future__ import annotations

from typing import Any

from transcription.engine.live import LiveTranscription

Row = dict[str, Any]


def build_row(live: LiveTranscription, worker: str) -> Row:
    """One session as the list of live sessions shows it. level: 0.0-1.0 of full scale; *_ms: milliseconds.

    source: what kind of credentials it came with (principals.Principal); key: the name of the API key, if it is one.
    final_lag_ms: the 95th percentile.
    """
    principal = live.new.principal
    return {
        "session_id": live.public_id,
        "title": live.config.title,
        "owner": principal.label,
        "owner_id": principal.user_id,
        "source": principal.kind,
        "key": principal.label if principal.kind == "key" else "",
        "dialect": live.new.dialect,
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
        "first_interim_ms": live.latency.first_interim_ms,
        "final_lag_ms": live.latency.final_lag_p95_ms,
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
