# Run by `manage.py shell --command` in the data folder of the served site.
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import User
from django.utils import timezone

from transcription.models import TranscriptionSession, TranscriptSegment
from transcription.webhooks.models import WebhookDelivery, WebhookEndpoint

HOSTILE = "<script>window.broken = 1</script><img src=x onerror='window.broken = 1'>\u202eevil\u202c \U0001f600"

operator = User.objects.create_superuser("operator", "operator@example.org", "an-operator-of-tests")
User.objects.create_user("nobody", password="a-person-without-rights")


def add(public_id: str, texts: list[str], minutes_ago: int, **facts: Any) -> None:
    """A session that ended, a segment of four seconds for each text."""
    ended_at = timezone.now() - timedelta(minutes=minutes_ago)
    audio_ms = 4000 * len(texts)
    values: dict[str, Any] = {
        "public_id": public_id,
        "language": "en-US",
        "state": "completed",
        "end_reason": "client",
        "created_at": ended_at - timedelta(milliseconds=audio_ms),
        "started_at": ended_at - timedelta(milliseconds=audio_ms),
        "ended_at": ended_at,
        "owner": operator,
        "audio_ms": audio_ms,
        "audio_bytes": 32 * audio_ms,
        "committed_bytes": 32 * audio_ms,
        "segment_count": len(texts),
        "next_seq": len(texts),
        "word_count": sum(len(text.split()) for text in texts),
        "first_interim_ms": 840,
        "final_lag_p50_ms": 310,
        "final_lag_p95_ms": 720,
        "recogniser": "127.0.0.1:50051",
        "model": "tiny-en",
        "client_address": "127.0.0.1",
        "user_agent": "Mozilla/5.0 (X11; Linux x86_64) Chrome/156",
    }
    session = TranscriptionSession.objects.create(**{**values, **facts})
    TranscriptSegment.objects.bulk_create(
        TranscriptSegment(
            session=session,
            index=i,
            start_ms=4000 * i,
            end_ms=4000 * i + 3800,
            asr_text=text,
            text=text,
            language="en-US",
        )
        for i, text in enumerate(texts)
    )


MEETING = [
    "Good morning everybody, and welcome to the quarterly meeting of the board.",
    "We have three things on the agenda today: the budget, the new office, and the harvest festival.",
    "Let us begin with the budget, which has grown by four per cent since the spring.",
    "The office in the old brewery will be ready by the end of March.",
    "Thank you all. The next meeting is on the second Tuesday of February.",
]
add("board-meeting", MEETING, 95, title="Board meeting")
add("hostile", [HOSTILE, "A quiet sentence after it."], 130, title=HOSTILE, metadata={HOSTILE[:60]: HOSTILE})
add("interrupted-call", MEETING[:2], 40, state="interrupted", end_reason="client_lost", owner=None)
add("tunnel", MEETING, 25, title="Call from the train", gaps=[[32 * 7900, 32 * 10300]])
add(
    "cut-off",
    MEETING[:3],
    20,
    state="interrupted",
    end_reason="worker_lost",
    committed_bytes=32 * 7900,
    title="Cut off",
)
add("away", MEETING[:2], 1, title="Waiting for its client")
add("failed-early", [], 12, state="failed", end_reason="recogniser_failed", title="Interview, second try")
add("stopped-by-operator", MEETING[:3], 200, end_reason="operator", stop_reason="The room was booked until noon.")
for i in range(60):
    add(f"lecture-{i:02}", MEETING[i % 5 : i % 5 + 1], 60 * 24 + 60 * i, title=f"Lecture {i + 1}")
add("long-reading", [f"Sentence number {i} of a long reading." for i in range(1005)], 60 * 30)

# Disabled: nothing that happens on the site while it is tested is told anybody.
hooks = WebhookEndpoint.objects.create(
    public_id="ep_seed",
    owner=operator,
    url="https://contact-centre.example.org/integrations/speech/hooks",
    description="Contact centre " + HOSTILE,
    events=["session.completed", "session.failed", "segment.final"],
    enabled=False,
    disabled_reason="failing",
)
WebhookDelivery.objects.create(
    endpoint=hooks,
    session=TranscriptionSession.objects.first(),
    event_type="session.completed",
    body='{"type": "session.completed", "data": {}}',
    state="failed",
    error="connection_failed",
    attempts=7,
)
