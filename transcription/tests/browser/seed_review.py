# Run behind seed.py. Sessions to review: words with times and confidence, and the audio where it was kept.
import hashlib
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.contrib.auth.models import Group, User
from django.utils import timezone

from speechsite.config import BASE_DIR
from transcription.models import TranscriptionSession, TranscriptSegment
from transcription.recording.models import SessionRecording
from transcription.recording.peaks import PeakMeter
from transcription.recording.storage import name_of, put, recordings
from transcription.tests.speech_clips import load_samples

CLIP = BASE_DIR / "transcription" / "tests" / "speech" / "jfk.flac"
AUDIO_MS = 11_000
RATE_HZ = 16_000
# What the embedded recogniser made of the clip: word, start_ms, end_ms; it gives no confidence, these are made up.
HEARD: list[list[tuple[str, int, int, float]]] = [
    [
        ("And", 352, 622, 0.91), ("so", 622, 824, 0.95), ("my", 824, 1026, 0.97), ("fellow", 1026, 1498, 0.94),
        ("Americans.", 1498, 2240, 0.96),
    ],
    [("As", 3286, 3646, 0.41), ("not.", 3646, 4406, 0.62)],
    [
        ("What", 5414, 5732, 0.93), ("your", 5732, 6050, 0.97), ("country", 6050, 6558, 0.98),
        ("can", 6558, 6812, 0.97), ("do", 6812, 7003, 0.98), ("for", 7003, 7257, 0.97), ("you,", 7257, 7575, 0.92),
        ("ask", 7575, 8373, 0.58),
        ("what", 8373, 8723, 0.95), ("you", 8723, 8977, 0.97), ("can", 8977, 9231, 0.98), ("do", 9231, 9422, 0.98),
        ("for", 9422, 9676, 0.97), ("your", 9676, 9994, 0.96), ("country.", 9994, 10982, 0.97),
    ],
]  # fmt: skip

operator = User.objects.get(username="operator")
# A second person who may correct others' transcripts, and one who may only read them.
zoe = User.objects.create_user("zoe", password="a-reviewer-of-tests", first_name="Zoe")
zoe.groups.add(Group.objects.get(name="Reviewer"))
viewer = User.objects.create_user("viewer", password="a-viewer-of-tests")
viewer.groups.add(Group.objects.get(name="Operator"))

peaks = PeakMeter(RATE_HZ, AUDIO_MS)
peaks.feed(load_samples(CLIP, RATE_HZ))
peak_bytes = peaks.finish()


def add_speech(
    public_id: str, *, has_audio: bool = True, speakers: tuple[str, ...] = ("1", "2", "1"), **facts: Any
) -> None:
    ended_at = timezone.now() - timedelta(days=2)
    values: dict[str, Any] = {
        "public_id": public_id,
        "title": "Inaugural address",
        "language": "en-US",
        "state": "completed",
        "end_reason": "client",
        "created_at": ended_at - timedelta(milliseconds=AUDIO_MS),
        "started_at": ended_at - timedelta(milliseconds=AUDIO_MS),
        "ended_at": ended_at,
        "owner": operator,
        "audio_ms": AUDIO_MS,
        "audio_bytes": 32 * AUDIO_MS,
        "committed_bytes": 32 * AUDIO_MS,
        "segment_count": len(HEARD),
        "next_seq": len(HEARD),
        "word_count": sum(map(len, HEARD)),
        "model": "moonshine-tiny-en-asr-streaming",
    }
    session = TranscriptionSession.objects.create(**{**values, **facts})
    TranscriptSegment.objects.bulk_create(
        TranscriptSegment(
            session=session,
            index=index,
            start_ms=words[0][1],
            end_ms=words[-1][2],
            asr_text=" ".join(word for word, *_rest in words),
            text=" ".join(word for word, *_rest in words),
            words=[
                {"word": word, "start_ms": start_ms, "end_ms": end_ms, "confidence": confidence}
                for word, start_ms, end_ms, confidence in words
            ],
            speaker=speaker,
            language="en-US",
        )
        for index, (words, speaker) in enumerate(zip(HEARD, speakers, strict=True))
    )
    if has_audio:
        add_audio(session)


def add_audio(session: TranscriptionSession) -> None:
    name = name_of(f"seed-{session.public_id}", session.created_at, "flac")
    SessionRecording.objects.create(
        session=session,
        folder=f"seed-{session.public_id}",
        state="complete",
        format="flac",
        name=put(recordings(), name, copy_of_clip(session.public_id)),
        size_bytes=CLIP.stat().st_size,
        sha256=hashlib.sha256(CLIP.read_bytes()).hexdigest(),
        duration_ms=AUDIO_MS,
        reached_bytes=32 * AUDIO_MS,
        peaks=peak_bytes,
        peak_ms=peaks.step_ms,
        finished_at=session.ended_at,
    )


def copy_of_clip(public_id: str) -> Path:
    """The storage moves what it is given."""
    path = Path(tempfile.mkdtemp()) / f"{public_id}.flac"
    path.write_bytes(CLIP.read_bytes())
    return path


for public_id in (
    "speech-listen",
    "speech-edit",
    "speech-structure",
    "speech-conflict",
    "speech-lock",
    "speech-offline",
    "speech-find",
    "speech-speakers",
    "speech-read",
    "speech-review",
    "speech-notes",
):
    add_speech(public_id)
add_speech("speech-silent", has_audio=False)

long = TranscriptionSession.objects.get(public_id="long-reading")
for segment in (segments := list(long.segments.all())):
    texts = segment.text.split()
    step = 3800 // len(texts)
    segment.words = [
        {
            "word": word,
            "start_ms": segment.start_ms + i * step,
            "end_ms": segment.start_ms + (i + 1) * step,
            "confidence": 0.95 if i else 0.7,
        }
        for i, word in enumerate(texts)
    ]
TranscriptSegment.objects.bulk_update(segments, ["words"], batch_size=200)
