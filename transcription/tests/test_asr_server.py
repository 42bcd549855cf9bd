"""The embedded recogniser over real gRPC, with the real model and recorded speech."""

from __future__ import annotations

import asyncio
import struct
from typing import Any

import grpc
import numpy as np
import pytest
from riva.client.proto import riva_asr_pb2, riva_audio_pb2

from transcription.tests.riva_streams import (
    finals,
    open_stream,
    read_results,
    recognize,
    riva_stub,
    send_audio,
    streaming_config,
    transcript,
)
from transcription.tests.speech_clips import load_clip, load_clips, load_samples
from transcription.tests.word_error_rate import plain, word_error_rate

MAX_STREAMS = 8
WORST_WORD_ERROR_RATE = 0.06
SECOND = 32_000  # bytes of 16 kHz PCM
RIVA_TEXT = "What is natural language processing?"


def riva_clip() -> bytes:
    return load_clip("riva-en-us-sample").pcm


async def test_it_recognises_the_clips_with_few_errors(asr_address: str) -> None:
    clips = load_clips()
    slots = asyncio.Semaphore(4)

    async def text_of(stub: Any, pcm: bytes) -> str:
        async with slots:
            return transcript(await recognize(stub, pcm))

    async with riva_stub(asr_address) as stub:
        texts = await asyncio.gather(*(text_of(stub, clip.pcm) for clip in clips))
    assert word_error_rate([clip.text for clip in clips], texts) <= WORST_WORD_ERROR_RATE


async def test_interims_come_while_the_utterance_goes_on(asr_address: str) -> None:
    pcm = riva_clip()
    async with riva_stub(asr_address) as stub:
        call = await open_stream(stub)
        await send_audio(call, pcm[: 2 * SECOND])
        interim = None
        while interim is None:
            interim = next((r for r in (await call.read()).results if r.alternatives), None)
        await send_audio(call, pcm[2 * SECOND :])
        await call.done_writing()
        results = await read_results(call)
    assert not interim.is_final
    assert interim.stability == 0
    assert interim.alternatives[0].transcript
    assert transcript(results) == RIVA_TEXT


async def test_without_interim_results_only_finals_have_words(asr_address: str) -> None:
    async with riva_stub(asr_address) as stub:
        results = await recognize(stub, load_clip("jfk").pcm, streaming_config(interim_results=False))
    assert all(result.is_final for result in results if result.alternatives)
    assert len(finals(results)) >= 2


async def test_half_close_flushes_the_last_words(asr_address: str) -> None:
    pcm = load_clip("lj-0008").pcm  # ends with the last word, without silence
    async with riva_stub(asr_address) as stub:
        results = await recognize(stub, pcm)
    assert plain(transcript(results)) == "has never been surpassed"
    assert results[-1].audio_processed == pytest.approx(len(pcm) / SECOND, abs=1e-4)


async def test_words_have_times_inside_the_speech(asr_address: str) -> None:
    async with riva_stub(asr_address) as stub:
        [final] = finals(await recognize(stub, bytes(SECOND * 2) + riva_clip()))
    words = final.alternatives[0].words
    assert " ".join(word.word for word in words) == RIVA_TEXT
    bounds = [bound for word in words for bound in (word.start_time, word.end_time)]
    assert bounds == sorted(bounds)
    assert bounds[0] > 2_000
    assert final.alternatives[0].confidence == 0


async def test_words_are_left_out_unless_asked_for(asr_address: str) -> None:
    async with riva_stub(asr_address) as stub:
        [final] = finals(await recognize(stub, riva_clip(), streaming_config(enable_word_time_offsets=False)))
    assert len(final.alternatives[0].words) == 0


async def test_without_automatic_punctuation_there_are_words_only(asr_address: str) -> None:
    async with riva_stub(asr_address) as stub:
        config = streaming_config(enable_automatic_punctuation=False, max_alternatives=5)
        [final] = finals(await recognize(stub, riva_clip(), config))
    assert [alternative.transcript for alternative in final.alternatives] == ["what is natural language processing "]


async def test_silence_moves_on_without_words(asr_address: str) -> None:
    async with riva_stub(asr_address) as stub:
        call = await open_stream(stub)
        positions = []
        for _ in range(4):
            await send_audio(call, bytes(SECOND * 2))
            response = await call.read()
            assert not response.results[0].alternatives
            positions.append(response.results[0].audio_processed)
        call.cancel()
    assert positions == sorted(set(positions))


async def test_a_forced_end_of_utterance_is_answered_with_a_final_at_once(asr_address: str) -> None:
    async with riva_stub(asr_address) as stub:
        call = await open_stream(stub, streaming_config(interim_results=False))
        await send_audio(call, load_clip("jfk").pcm[: int(2.4 * SECOND)])
        await call.write(riva_asr_pb2.StreamingRecognizeRequest(runtime_config={"force_eou": "true"}))
        results: list[riva_asr_pb2.StreamingRecognitionResult] = []
        while not finals(results):
            results += (await call.read()).results
        assert plain(transcript(results)) == "and so my fellow americans"
        await send_audio(call, bytes(SECOND) + riva_clip())
        await call.done_writing()
        assert transcript(await read_results(call)) == RIVA_TEXT


async def test_a_replay_from_a_settled_position_gives_the_same_finals(asr_address: str) -> None:
    pcm = load_clip("long-librispeech-3331").pcm
    async with riva_stub(asr_address) as stub:
        whole = [r for r in await recognize(stub, pcm, streaming_config(False)) if r.audio_processed]
        count = len(whole) // 2
        start_s = round(whole[count - 1].audio_processed, 2)
        again = await recognize(stub, pcm[round(start_s * SECOND) :], streaming_config(False), chunk_bytes=5_000)
    expected = finals(whole[count:])
    assert len(expected) >= 2
    assert [r.alternatives[0].transcript for r in finals(again)] == [r.alternatives[0].transcript for r in expected]
    assert [r.audio_processed + start_s for r in finals(again)] == pytest.approx(
        [r.audio_processed for r in expected], abs=1e-4
    )


async def test_it_declares_what_it_settles_and_what_it_ignores(asr_address: str) -> None:
    async with riva_stub(asr_address) as stub:
        call = await open_stream(stub, streaming_config(speech_contexts=[{"phrases": ["riva"]}]))
        metadata = dict(await call.initial_metadata())
        call.cancel()
        answer = await stub.GetRivaSpeechRecognitionConfig(riva_asr_pb2.RivaSpeechRecognitionConfigRequest())
    assert metadata["x-audio-processed"] == "settled"
    assert metadata["x-ignored-fields"] == "speech_contexts"
    assert [model.parameters["type"] for model in answer.model_config] == ["online", "offline"]
    for model in answer.model_config:
        assert model.parameters["x-audio-processed"] == "settled"
        assert model.parameters["language_code"] == "en-US"
        assert (model.parameters["segment_end"], model.parameters["word_times"]) == ("exact", "estimated")


async def test_an_unknown_model_has_no_configuration(asr_address: str) -> None:
    async with riva_stub(asr_address) as stub:
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await stub.GetRivaSpeechRecognitionConfig(
                riva_asr_pb2.RivaSpeechRecognitionConfigRequest(model_name="conformer")
            )
    assert refusal.value.code() is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"encoding": 99}, "encoding"),
        ({"sample_rate_hertz": 4_000}, "sample_rate_hertz"),
        ({"sample_rate_hertz": 96_000}, "sample_rate_hertz"),
        ({"audio_channel_count": 3}, "audio_channel_count"),
        ({"language_code": "fr-FR"}, "language_code"),
        ({"model": "other"}, "model"),
        ({"endpointing_config": {"stop_history": -5}}, "endpointing_config.stop_history"),
        ({"enable_separate_recognition_per_channel": True}, "enable_separate_recognition_per_channel"),
    ],
)
async def test_it_refuses_a_bad_field_by_name(asr_address: str, fields: dict[str, Any], named: str) -> None:
    async with riva_stub(asr_address) as stub:
        with pytest.raises(grpc.aio.AioRpcError) as streaming:
            await recognize(stub, b"", streaming_config(**fields))
        request = riva_asr_pb2.RecognizeRequest(config=streaming_config(**fields).config, audio=b"\0\0")
        with pytest.raises(grpc.aio.AioRpcError) as offline:
            await stub.Recognize(request)
    for refusal in (streaming.value, offline.value):
        assert refusal.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert (refusal.details() or "").startswith(f"{named}: ")


async def test_it_refuses_audio_before_a_configuration_and_a_second_configuration(asr_address: str) -> None:
    config = riva_asr_pb2.StreamingRecognizeRequest(streaming_config=streaming_config())
    audio = riva_asr_pb2.StreamingRecognizeRequest(audio_content=bytes(100))
    async with riva_stub(asr_address) as stub:
        for requests in ([], [audio], [config, audio, config]):
            with pytest.raises(grpc.aio.AioRpcError) as refusal:
                await read_results(stub.StreamingRecognize(iter(requests)))
            assert refusal.value.code() is grpc.StatusCode.INVALID_ARGUMENT
            assert (refusal.value.details() or "").startswith("streaming_config: ")


async def test_raw_audio_of_an_unsaid_rate_is_refused(asr_address: str) -> None:
    async with riva_stub(asr_address) as stub:
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await recognize(stub, bytes(SECOND), streaming_config(sample_rate_hertz=0, encoding=0))
    assert (refusal.value.details() or "").startswith("sample_rate_hertz: ")


async def test_a_cancelled_stream_is_free_for_the_next_and_one_too_many_is_refused(asr_address: str) -> None:
    async with riva_stub(asr_address) as stub:
        for _ in range(3):
            calls = [await open_stream(stub) for _ in range(MAX_STREAMS)]
            for call in calls:
                await send_audio(call, riva_clip()[:SECOND])
            with pytest.raises(grpc.aio.AioRpcError) as refusal:
                await recognize(stub, b"")
            assert refusal.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            for call in calls:
                call.cancel()
            await until_free(stub)


async def until_free(stub: Any) -> None:
    """Return once all streams can be opened again. Cancels reach the server a moment later."""
    async with asyncio.timeout(5):
        while True:
            calls: list[Any] = []
            try:
                for _ in range(MAX_STREAMS):
                    calls.append(await open_stream(stub))
                return
            except grpc.aio.AioRpcError:
                continue
            finally:
                for call in calls:
                    await call.done_writing()
                await asyncio.gather(*(read_results(call) for call in calls))


async def test_a_client_that_vanishes_frees_its_streams(asr_address: str) -> None:
    async with riva_stub(asr_address) as gone:
        for _ in range(MAX_STREAMS):
            await send_audio(await open_stream(gone), riva_clip())
    async with riva_stub(asr_address) as stub:
        await until_free(stub)


async def test_several_streams_at_once_do_not_disturb_each_other(asr_address: str) -> None:
    clips = [clip for clip in load_clips() if clip.duration_s < 5][:4]
    async with riva_stub(asr_address) as stub:
        alone = [transcript(await recognize(stub, clip.pcm)) for clip in clips]
        together = await asyncio.gather(*(recognize(stub, clip.pcm) for clip in clips * 2))
    assert [transcript(results) for results in together] == alone * 2


@pytest.mark.parametrize("rate_hz", [8_000, 22_050, 44_100, 48_000])
async def test_it_hears_other_rates(asr_address: str, rate_hz: int) -> None:
    pcm = load_samples(load_clip("librispeech-1688-142285-0008").path, rate_hz).tobytes()
    async with riva_stub(asr_address) as stub:
        results = await recognize(stub, pcm, streaming_config(sample_rate_hertz=rate_hz))
    assert word_error_rate(["his father dying in miserable circumstances"], [transcript(results)]) <= 0.2


async def test_it_hears_two_channels_mixed(asr_address: str) -> None:
    samples = load_clip("riva-en-us-sample").samples
    async with riva_stub(asr_address) as stub:
        pcm = np.column_stack((samples, samples)).tobytes()
        assert transcript(await recognize(stub, pcm, streaming_config(audio_channel_count=2))) == RIVA_TEXT


async def test_single_bytes_are_heard_like_whole_chunks(asr_address: str) -> None:
    pcm = load_clip("lj-0002").pcm
    async with riva_stub(asr_address) as stub:
        results = await recognize(stub, pcm[: SECOND // 2], chunk_bytes=1)
        assert results[-1].audio_processed == pytest.approx(0.5, abs=1e-4)
        assert transcript(await recognize(stub, pcm, chunk_bytes=311)) == transcript(await recognize(stub, pcm))


async def test_a_whole_file_in_one_message_is_heard(asr_address: str) -> None:
    async with riva_stub(asr_address) as stub:
        assert transcript(await recognize(stub, riva_clip(), chunk_bytes=10**7)) == RIVA_TEXT


def rubbish() -> dict[str, bytes]:
    noise = np.random.default_rng(7)
    return {
        "noise": noise.integers(-32768, 32767, 5 * 16_000).astype(np.int16).tobytes(),
        "bytes": noise.bytes(5 * SECOND + 1),
        "not-a-number": struct.pack("<f", float("nan")) * SECOND,
        "extremes": struct.pack("<hh", 32767, -32768) * SECOND,
        "constant": struct.pack("<h", 32767) * SECOND,
        "silence": bytes(5 * SECOND),
    }


@pytest.mark.parametrize("kind", list(rubbish()))
async def test_it_survives_rubbish_without_making_up_words(asr_address: str, kind: str) -> None:
    async with riva_stub(asr_address) as stub:
        results = await recognize(stub, rubbish()[kind])
        assert transcript(results) == ""
        assert results[-1].audio_processed > 1.9
        assert transcript(await recognize(stub, riva_clip())) == RIVA_TEXT


async def test_an_empty_stream_ends_well(asr_address: str) -> None:
    async with riva_stub(asr_address) as stub:
        assert await recognize(stub, b"") == []


@pytest.mark.parametrize("encoding", [riva_audio_pb2.FLAC, riva_audio_pb2.ENCODING_UNSPECIFIED])
async def test_it_hears_a_flac_file(asr_address: str, encoding: int) -> None:
    clip = load_clip("riva-en-us-sample")
    async with riva_stub(asr_address) as stub:
        config = streaming_config(encoding=encoding, sample_rate_hertz=0)
        assert transcript(await recognize(stub, clip.path.read_bytes(), config)) == RIVA_TEXT


async def test_ten_minutes_faster_than_spoken_are_heard_to_the_end(asr_address: str) -> None:
    pause = bytes(SECOND * 29)
    pcm = (pause + load_clip("lj-0008").pcm[:SECOND] + pause[:SECOND]) * 20
    async with riva_stub(asr_address) as stub:
        results = await recognize(stub, pcm, chunk_bytes=64_000)
    assert results[-1].audio_processed == pytest.approx(620, abs=0.01)
    assert len(finals(results)) == 20


async def test_recognize_gives_a_result_for_each_segment(asr_address: str) -> None:
    clip = load_clip("jfk")
    async with riva_stub(asr_address) as stub:
        for audio, encoding in ((clip.pcm, 1), (clip.path.read_bytes(), riva_audio_pb2.FLAC)):
            config = streaming_config(encoding=encoding).config
            response = await stub.Recognize(riva_asr_pb2.RecognizeRequest(config=config, audio=audio))
            text = "".join(result.alternatives[0].transcript for result in response.results)
            assert word_error_rate([clip.text], [text]) <= 0.1
            assert len(response.results) >= 2
