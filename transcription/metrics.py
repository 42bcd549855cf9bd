"""Every Prometheus metric of the service, by name, in one place.

Labels never carry a session, a user or an address: their values are few and known. With several
workers on one host `serve` sets PROMETHEUS_MULTIPROC_DIR before this module is imported, and gauges
say here how the values of the processes add up.
"""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

SHORT_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)
LATENCY_BUCKETS_S = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 8.0, 13.0, 20.0, 45.0)

SESSIONS_LIVE = Gauge("speech_sessions_live", "Sessions being spoken now", multiprocess_mode="livesum")
SESSIONS_TOTAL = Counter("speech_sessions", "Sessions ended, by outcome", ["outcome"])
SESSIONS_RESUMED_TOTAL = Counter("speech_sessions_resumed", "Sessions taken up again by another connection")
SESSIONS_REAPED_TOTAL = Counter("speech_sessions_reaped", "Live sessions of lost processes that were let go")
SESSIONS_EXPIRED_TOTAL = Counter("speech_sessions_expired", "Detached sessions that nobody resumed in time")
FENCED_TOTAL = Counter("speech_fenced", "Writes and checks of holders whose session another connection had taken")
ADMISSION_REFUSED_TOTAL = Counter("speech_admission_refused", "Starts refused before any audio", ["reason"])

AUDIO_SECONDS_TOTAL = Counter("speech_audio_seconds", "Audio received, in seconds", ["language"])
FIRST_INTERIM_SECONDS = Histogram(
    "speech_first_interim_seconds",
    "First audio to first interim result",
    buckets=LATENCY_BUCKETS_S,
)
FINAL_LAG_SECONDS = Histogram(
    "speech_final_lag_seconds",
    "From the arrival of a segment's last audio to its final result being sent",
    buckets=LATENCY_BUCKETS_S,
)

UPSTREAM_OPEN_SECONDS = Histogram(
    "speech_upstream_open_seconds", "Opening a stream at the recogniser", buckets=SHORT_BUCKETS_S
)
UPSTREAM_OPEN_FAILURES_TOTAL = Counter(
    "speech_upstream_open_failures", "Streams that could not be opened, by gRPC status", ["code"]
)
UPSTREAM_REOPENS_TOTAL = Counter(
    "speech_upstream_reopens", "Streams opened in place of another in the middle of a session", ["reason"]
)
UPSTREAM_WATCHDOG_TOTAL = Counter("speech_upstream_watchdog", "Streams given up because they were silent", ["kind"])
REPLAYED_MS_TOTAL = Counter("speech_replayed_ms", "Audio that a recogniser was sent again, in ms")
FORCED_CUTS_TOTAL = Counter("speech_forced_cuts", "Streams ended in the middle of speech to settle it")
REPEATED_FINALS_TOTAL = Counter("speech_repeated_finals", "Final results that said nothing new and were left out")
GAP_MS_TOTAL = Counter("speech_gap_ms", "Audio that clients no longer had when they came back, in ms")
RIVA_ERRORS_TOTAL = Counter("speech_riva_errors", "Errors of the recogniser, by gRPC status", ["code"])
TEXT_CLEANED_TOTAL = Counter("speech_text_cleaned", "Results whose text had characters that cannot be stored")
BAD_TIMES_TOTAL = Counter("speech_bad_times", "Results whose times were impossible and were corrected")

WS_CLOSED_TOTAL = Counter("speech_ws_closed", "WebSocket connections closed, by close code", ["code"])
PROTOCOL_ERRORS_TOTAL = Counter("speech_protocol_errors", "Messages that broke the protocol", ["kind"])
AUTH_FAILURES_TOTAL = Counter("speech_auth_failures", "Refused credentials", ["kind"])
OUTBOUND_DROPPED_INTERIMS_TOTAL = Counter(
    "speech_outbound_dropped_interims",
    "Interim results replaced before a slow client read them",
)

DB_WRITE_SECONDS = Histogram("speech_db_write_seconds", "One group of commits", buckets=SHORT_BUCKETS_S)
COMMIT_RETRIES_TOTAL = Counter("speech_commit_retries", "Commits tried again")
COMMIT_AMBIGUOUS_TOTAL = Counter("speech_commit_ambiguous", "Commits tried again that had got through unnoticed")

RECORDED_BYTES_TOTAL = Counter("speech_recorded_bytes", "Audio written to disk as it came, in bytes")
RECORDING_ERRORS_TOTAL = Counter(
    "speech_recording_errors", "Recordings that stopped while their session went on, by reason", ["reason"]
)
RECORDINGS_TOTAL = Counter("speech_recordings", "Recordings joined or deleted, by outcome", ["outcome"])
RECORDING_REPAIRS_TOTAL = Counter(
    "speech_recording_repairs", "Sessions of lost workers whose audio was heard again, by outcome", ["outcome"]
)

JOBS_TOTAL = Counter("speech_jobs", "Pieces of work of the jobs runner, by kind and outcome", ["kind", "outcome"])

WEBHOOK_ATTEMPTS_TOTAL = Counter(
    "speech_webhook_attempts", "Attempts to deliver a webhook, by event and outcome", ["event", "outcome"]
)
WEBHOOK_ATTEMPT_SECONDS = Histogram(
    "speech_webhook_attempt_seconds", "One attempt to deliver a webhook", buckets=SHORT_BUCKETS_S
)
WEBHOOK_ENDPOINTS_DISABLED_TOTAL = Counter(
    "speech_webhook_endpoints_disabled", "Webhook endpoints that were disabled, by reason", ["reason"]
)

LIVE_PUBLISH_DROPPED_TOTAL = Counter(
    "speech_live_publish_dropped", "Live updates that the channel layer did not take in time"
)
VIEWERS = Gauge("speech_viewers", "Sockets that watch sessions now", multiprocess_mode="livesum")
VIEWER_FRAMES_CONFLATED_TOTAL = Counter(
    "speech_viewer_frames_conflated", "Live updates merged because a viewer read too slowly"
)

UPSTREAM_STREAMS = Gauge("speech_upstream_streams", "Streams held at the recogniser now", multiprocess_mode="livesum")
TASKS = Gauge("speech_tasks", "Tasks of the event loops", multiprocess_mode="livesum")
EVENT_LOOP_LAG_SECONDS = Gauge(
    "speech_event_loop_lag_seconds", "How late the event loop is", multiprocess_mode="livemax"
)
