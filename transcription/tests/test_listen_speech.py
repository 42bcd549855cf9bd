"""Recorded speech through Deepgram's SDK to the embedded recogniser: the words that were said come back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from deepgram.types import ListenV1Response
from websockets.exceptions import InvalidStatus

from speechsite.tests.served import Served, manage
from transcription.tests.deepgram_sdk import listening, new_client
from transcription.tests.speech_clips import Clip, load_clips, load_samples
from transcription.tests.webm import RATE_HZ, webm_of
from transcription.tests.word_error_rate import word_error_rate

pytestmark = pytest.mark.timeout(240)

CLIPS = ("jfk", "riva-en-us-sample", "lj-0002")
MAX_WORD_ERROR_RATE = 0.1


@pytest.fixture(scope="module")
def served(asr_address: str, new_data_dir: Callable[[], Path]) -> Iterator[Served]:
    with Served(new_data_dir(), RIVA_SERVER=asr_address, DATABASE_URL="sqlite://", REDIS_URL="") as served:
        yield served


@pytest.fixture(scope="module")
def key(served: Served) -> str:
    return manage(
        "create_api_key", "deepgram", "--quiet", data_dir=served.data_dir, DATABASE_URL="sqlite://"
    ).stdout.strip()


@pytest.fixture(scope="module")
def clips() -> list[Clip]:
    return [clip for clip in load_clips() if clip.name in CLIPS]


def test_live_as_files_and_as_a_browser_records_them_the_words_are_those_that_were_said(
    served: Served, key: str, clips: list[Clip]
) -> None:
    client = new_client(served.url, key)
    live, files = [], []
    for clip in clips:
        with listening(client, model="nova-3", encoding="linear16", sample_rate=16000, smart_format=True) as stream:
            stream.speak(clip.pcm)
            stream.end()
        live.append(" ".join(stream.finals))
        response = client.listen.v1.media.transcribe_file(
            request=clip.path.read_bytes(), model="nova-3", smart_format=True
        )
        assert isinstance(response, ListenV1Response)
        [best] = response.results.channels[0].alternatives or []
        files.append(best.transcript or "")

    with listening(client, model="nova-3") as stream:
        stream.speak(webm_of(load_samples(clips[0].path, RATE_HZ)), chunk_bytes=1000)
        stream.end()
    assert word_error_rate([clips[0].text], [" ".join(stream.finals)]) <= MAX_WORD_ERROR_RATE, stream.messages
    said = [clip.text for clip in clips]
    assert word_error_rate(said, live) <= MAX_WORD_ERROR_RATE, live
    assert word_error_rate(said, files) <= MAX_WORD_ERROR_RATE, files


@pytest.mark.parametrize(
    "wrong", [{"model": "no-such"}, {"model": "nova-3", "language": "de"}], ids=["model", "language"]
)
def test_what_the_recogniser_does_not_have_is_refused_in_the_handshake(
    served: Served, key: str, wrong: dict[str, str]
) -> None:
    with pytest.raises(InvalidStatus) as caught, listening(new_client(served.url, key), **wrong):
        pass

    assert caught.value.response.status_code == 400
    assert (
        "moonshine" in caught.value.response.headers["dg-error"] or "en-US" in caught.value.response.headers["dg-error"]
    )
