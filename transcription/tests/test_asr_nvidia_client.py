"""NVIDIA's own client, unmodified, against the embedded recogniser."""

from __future__ import annotations

import io
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import riva.client
from riva.client.proto import riva_asr_pb2

from transcription.tests.speech_clips import load_clip

RIVA_TEXT = "What is natural language processing?"


@pytest.fixture
def service(asr_address: str) -> Iterator[Any]:
    auth = riva.client.Auth(uri=asr_address)
    yield riva.client.ASRService(auth)
    auth.channel.close()


@pytest.fixture
def wav_path(tmp_path: Path) -> Path:
    path = tmp_path / "clip.wav"
    with wave.open(str(path), "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(16_000)
        writer.writeframes(load_clip("riva-en-us-sample").pcm)
    return path


def config(**fields: Any) -> Any:
    return riva.client.RecognitionConfig(language_code="en-US", enable_automatic_punctuation=True, **fields)


def test_streaming_a_wav_file_that_names_neither_encoding_nor_rate(service: Any, wav_path: Path) -> None:
    streaming = riva.client.StreamingRecognitionConfig(config=config(), interim_results=True)
    with riva.client.AudioChunkFileIterator(str(wav_path), 1600) as chunks:
        responses = list(service.streaming_response_generator(chunks, streaming))
    output = io.StringIO()
    riva.client.print_streaming(responses, output_file=output)
    assert f"## {RIVA_TEXT}" in output.getvalue()


def test_word_times_are_printed_by_its_printer(service: Any, wav_path: Path) -> None:
    streaming = riva.client.StreamingRecognitionConfig(config=config(enable_word_time_offsets=True))
    with riva.client.AudioChunkFileIterator(str(wav_path), 1600) as chunks:
        responses = list(service.streaming_response_generator(chunks, streaming))
    output = io.StringIO()
    riva.client.print_streaming(responses, output_file=output, additional_info="time", word_time_offsets=True)
    table = output.getvalue().split("Confidence", 1)[1]
    assert [line.split()[0] for line in table.splitlines() if line.strip()] == RIVA_TEXT.split()


def test_offline_recognition_of_a_wav_file(service: Any, wav_path: Path) -> None:
    response = service.offline_recognize(wav_path.read_bytes(), config())
    assert "".join(result.alternatives[0].transcript for result in response.results) == f"{RIVA_TEXT} "


def test_its_list_of_models_finds_ours(service: Any) -> None:
    answer = service.stub.GetRivaSpeechRecognitionConfig(riva_asr_pb2.RivaSpeechRecognitionConfigRequest())
    online = [m.model_name for m in answer.model_config if m.parameters["type"] == "online"]
    assert len(online) == 1
    streaming = riva.client.StreamingRecognitionConfig(
        config=config(model=online[0], encoding=riva.client.AudioEncoding.LINEAR_PCM, sample_rate_hertz=16_000)
    )
    responses = service.streaming_response_generator([load_clip("riva-en-us-sample").pcm], streaming)
    assert [r.alternatives[0].transcript for x in responses for r in x.results if r.is_final] == [f"{RIVA_TEXT} "]
