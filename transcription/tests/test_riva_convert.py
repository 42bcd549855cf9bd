"""Options into Riva's messages, responses into results."""

from __future__ import annotations

from typing import Any

import pytest
from riva.client.proto import riva_asr_pb2 as messages
from riva.client.proto import riva_audio_pb2 as audio_messages

from transcription.audio.formats import Encoding
from transcription.options import Diarization, Endpointing, SpeechContext, TranscriptionConfig
from transcription.results import Alternative, FinalResult, InterimResult, Progress, Word
from transcription.riva.convert import (
    ENCODINGS,
    FUTURE_SLACK_MS,
    ResultConverter,
    build_audio_request,
    build_config_request,
    build_end_of_utterance_request,
)

# Fields of Riva's configuration that no option of ours sets, and why.
NOT_SENT = {"enable_separate_recognition_per_channel": "one stream gives one line of results"}


def hypothesis(text: str, *words: tuple[str, int, int], confidence: float = 0.0, **fields: Any) -> Any:
    return messages.SpeechRecognitionAlternative(
        transcript=text,
        confidence=confidence,
        words=[messages.WordInfo(word=word, start_time=start, end_time=end) for word, start, end in words],
        **fields,
    )


def result(*alternatives: Any, is_final: bool = False, **fields: Any) -> Any:
    return messages.StreamingRecognitionResult(alternatives=list(alternatives), is_final=is_final, **fields)


def response(*results: Any) -> Any:
    return messages.StreamingRecognizeResponse(results=list(results))


class Counter:
    count = 0

    def __call__(self) -> None:
        self.count += 1


def final_of(best: Any, *, sent_ms: int | None = 10_000, **fields: Any) -> tuple[FinalResult, int]:
    """The final that one hypothesis becomes, and how many results had bad times."""
    bad_times = Counter()
    converter = ResultConverter(TranscriptionConfig(), on_bad_times=bad_times)
    [final] = converter.convert(response(result(best, is_final=True, **fields)), sent_ms=sent_ms)
    assert isinstance(final, FinalResult)
    return final, bad_times.count


class TestRequests:
    def test_every_option_reaches_its_field(self) -> None:
        config = TranscriptionConfig(
            language="de-DE",
            enable_automatic_punctuation=False,
            enable_interim_results=False,
            max_alternatives=3,
            encoding=Encoding.MULAW,
            sample_rate_hertz=8000,
            audio_channel_count=2,
            model="citrinet",
            profanity_filter=True,
            verbatim_transcripts=True,
            enable_word_time_offsets=False,
            speech_contexts=[SpeechContext(phrases=["Riva", "gRPC"], boost=10)],
            diarization=Diarization(enable=True, max_speakers=4),
            endpointing=Endpointing(
                start_history=1,
                start_threshold=0.25,
                stop_history=3,
                stop_threshold=0.5,
                stop_history_eou=5,
                stop_threshold_eou=0.75,
            ),
            custom_configuration={"a": "b"},
        )
        streaming = build_config_request(config).streaming_config
        assert not streaming.interim_results
        assert streaming.config == messages.RecognitionConfig(
            encoding=audio_messages.MULAW,
            sample_rate_hertz=8000,
            language_code="de-DE",
            max_alternatives=3,
            profanity_filter=True,
            speech_contexts=[messages.SpeechContext(phrases=["Riva", "gRPC"], boost=10)],
            audio_channel_count=2,
            # Always: word times say where audio is settled.
            enable_word_time_offsets=True,
            enable_automatic_punctuation=False,
            model="citrinet",
            verbatim_transcripts=True,
            diarization_config=messages.SpeakerDiarizationConfig(enable_speaker_diarization=True, max_speaker_count=4),
            custom_configuration={"a": "b"},
            endpointing_config=messages.EndpointingConfig(
                start_history=1,
                start_threshold=0.25,
                stop_history=3,
                stop_threshold=0.5,
                stop_history_eou=5,
                stop_threshold_eou=0.75,
            ),
        )

    def test_every_field_of_riva_has_a_decision(self) -> None:
        everything = TranscriptionConfig(
            encoding=Encoding.FLAC,
            model="m",
            profanity_filter=True,
            verbatim_transcripts=True,
            speech_contexts=[SpeechContext(phrases=["p"])],
            diarization=Diarization(enable=True),
            endpointing=Endpointing(stop_history=800),
            custom_configuration={"a": "b"},
        )
        sent = {field.name for field, _ in build_config_request(everything).streaming_config.config.ListFields()}
        assert sent | set(NOT_SENT) == {field.name for field in messages.RecognitionConfig.DESCRIPTOR.fields}

    def test_endpointing_fields_that_nobody_asked_for_are_not_sent(self) -> None:
        endpointing = Endpointing(stop_history=0)
        sent = build_config_request(TranscriptionConfig(endpointing=endpointing)).streaming_config.config
        assert [field.name for field, _ in sent.endpointing_config.ListFields()] == ["stop_history"]
        plain = build_config_request(TranscriptionConfig()).streaming_config.config
        assert not plain.HasField("endpointing_config")
        assert not plain.HasField("diarization_config")

    def test_every_encoding_has_rivas_number(self) -> None:
        assert set(ENCODINGS) == set(Encoding)
        assert {audio_messages.AudioEncoding.Name(number) for number in ENCODINGS.values()} == set(Encoding)

    def test_audio_goes_as_it_is(self) -> None:
        assert build_audio_request(b"\x01\x02").audio_content == b"\x01\x02"

    def test_the_end_of_an_utterance_is_runtime_configuration_beside_empty_audio(self) -> None:
        request = build_end_of_utterance_request()
        assert dict(request.runtime_config) == {"force_eou": "true"}
        assert request.HasField("audio_content")
        assert request.audio_content == b""


class TestFinals:
    def test_times_are_shifted_to_the_session(self) -> None:
        converter = ResultConverter(TranscriptionConfig(), base_ms=60_000)
        best = hypothesis(
            "Hello there. ", ("Hello", 100, 400), ("there.", 500, 900), confidence=0.9, language_code=["en-US"]
        )
        [final] = converter.convert(
            response(result(best, is_final=True, audio_processed=1.7, channel_tag=1)), sent_ms=2000
        )
        assert final == FinalResult(
            text="Hello there.",
            start_ms=60_100,
            end_ms=60_900,
            confidence=0.9,
            words=(Word("Hello", 60_100, 60_400), Word("there.", 60_500, 60_900)),
            alternatives=(Alternative("Hello there.", 0.9),),
            channel=1,
            language="en-US",
            audio_processed_ms=61_700,
        )

    def test_zero_means_not_set(self) -> None:
        final, _ = final_of(hypothesis("hm", ("hm", 1, 2)))
        assert (final.confidence, final.audio_processed_ms, final.channel, final.language) == (None,) * 4
        assert final.words[0].confidence is None
        assert final.words[0].speaker is None

    def test_alternatives_stay_best_first(self) -> None:
        converter = ResultConverter(TranscriptionConfig(max_alternatives=2))
        both = response(result(hypothesis("a", confidence=0.5), hypothesis("b "), is_final=True))
        [final] = converter.convert(both)
        assert isinstance(final, FinalResult)
        assert final.alternatives == (Alternative("a", 0.5), Alternative("b", None))

    def test_speakers_are_told_only_where_they_were_asked_for(self) -> None:
        best = hypothesis("hm", ("hm", 1, 2))
        best.words[0].speaker_tag = 0
        config = TranscriptionConfig(diarization=Diarization(enable=True))
        [final] = ResultConverter(config).convert(response(result(best, is_final=True)))
        assert isinstance(final, FinalResult)
        assert final.words[0].speaker == "0"

    def test_without_words_a_final_reaches_from_the_previous_one_to_what_was_heard(self) -> None:
        converter = ResultConverter(TranscriptionConfig(enable_word_time_offsets=False), base_ms=1000)
        first = converter.convert(response(result(hypothesis("a"), is_final=True, audio_processed=2.0)))
        second = converter.convert(response(result(hypothesis("b"), is_final=True, audio_processed=3.5)))
        spans = [(final.start_ms, final.end_ms) for final in first + second if isinstance(final, FinalResult)]
        assert spans == [(1000, 3000), (3000, 4500)]

    def test_words_without_times_are_left_out(self) -> None:
        final, bad = final_of(hypothesis("a b", ("a", 0, 0), ("b", 0, 0)), audio_processed=2.0)
        assert (final.words, final.start_ms, final.end_ms, bad) == ((), 0, 2000, 0)

    def test_text_that_cannot_be_stored_is_replaced(self) -> None:
        final, _ = final_of(hypothesis("a\x00b", ("a\x00b", 1, 2)))
        assert (final.text, final.words[0].word) == ("a\ufffdb", "a\ufffdb")

    def test_finals_whose_text_was_replaced_are_counted(self) -> None:
        cleaned = Counter()
        converter = ResultConverter(TranscriptionConfig(), on_cleaned=cleaned)
        for text in ("a\x00b\x00", " plain "):
            converter.convert(response(result(hypothesis(text), is_final=True)))
        assert cleaned.count == 1

    def test_a_final_without_text_is_progress(self) -> None:
        converter = ResultConverter(TranscriptionConfig(), base_ms=1000)
        empty = response(result(hypothesis(" "), is_final=True, audio_processed=3.25))
        assert converter.convert(empty, settles=True) == [Progress(4250)]
        assert converter.convert(response(result(hypothesis(""), is_final=True))) == []

    def test_a_repeated_final_stays_recognisable(self) -> None:
        converter = ResultConverter(TranscriptionConfig())
        again = response(result(hypothesis("a", ("a", 100, 200)), is_final=True, audio_processed=1.0))
        assert converter.convert(again) == converter.convert(again)


class TestInterims:
    def test_pieces_are_joined_as_rivas_own_clients_do(self) -> None:
        converter = ResultConverter(TranscriptionConfig())
        pieces = response(
            result(hypothesis("what is ", ("what", 10, 20), ("is", 30, 40)), stability=0.9, audio_processed=1.0),
            result(hypothesis("natural", ("natural", 50, 70)), stability=0.125, audio_processed=1.0),
        )
        [interim] = converter.convert(pieces)
        assert interim == InterimResult(
            text="what is natural",
            start_ms=10,
            end_ms=70,
            stability=0.125,
            alternatives=(Alternative("what is natural"),),
            audio_processed_ms=1000,
        )

    def test_words_come_only_if_asked_for(self) -> None:
        said = response(result(hypothesis("a b", ("a", 10, 20), ("b", 30, 40))))
        [plain] = ResultConverter(TranscriptionConfig()).convert(said)
        [rich] = ResultConverter(TranscriptionConfig(words_in_interims=True)).convert(said)
        assert isinstance(plain, InterimResult)
        assert isinstance(rich, InterimResult)
        assert plain.words == ()
        assert rich.words == (Word("a", 10, 20), Word("b", 30, 40))
        assert (plain.start_ms, plain.end_ms) == (rich.start_ms, rich.end_ms) == (10, 40)

    def test_a_final_comes_before_the_interim_of_later_audio(self) -> None:
        both = response(
            result(hypothesis("done", ("done", 0, 100)), is_final=True, audio_processed=1.0),
            result(hypothesis("next"), audio_processed=1.0),
        )
        final, interim = ResultConverter(TranscriptionConfig()).convert(both)
        assert isinstance(final, FinalResult)
        assert isinstance(interim, InterimResult)
        assert (interim.text, interim.start_ms, interim.end_ms) == ("next", 100, 1000)

    def test_channels_are_kept_apart(self) -> None:
        both = response(result(hypothesis("left"), channel_tag=1), result(hypothesis("right"), channel_tag=2))
        interims = ResultConverter(TranscriptionConfig()).convert(both)
        said = [(interim.channel, interim.text) for interim in interims if isinstance(interim, InterimResult)]
        assert said == [(1, "left"), (2, "right")]

    def test_an_empty_interim_takes_back_the_one_before_it(self) -> None:
        converter = ResultConverter(TranscriptionConfig())
        converter.convert(response(result(hypothesis("uh"))))
        empty = response(result(hypothesis(""), audio_processed=2.0))
        [withdrawn] = converter.convert(empty)
        assert isinstance(withdrawn, InterimResult)
        assert withdrawn.text == ""
        assert converter.convert(empty) == [Progress(2000)]

    def test_an_empty_interim_of_a_recogniser_that_settles_is_heard_but_settles_nothing(self) -> None:
        empty = response(result(hypothesis(""), audio_processed=2.0))
        [heard] = ResultConverter(TranscriptionConfig()).convert(empty, settles=True)
        assert isinstance(heard, InterimResult)
        assert (heard.text, heard.audio_processed_ms) == ("", 2000)

    def test_a_result_without_hypotheses_is_progress_and_takes_back_an_interim(self) -> None:
        converter = ResultConverter(TranscriptionConfig())
        nothing = response(result(audio_processed=2.0))
        assert converter.convert(nothing, settles=True) == [Progress(2000)]
        converter.convert(response(result(hypothesis("uh"))))
        withdrawn, progress = converter.convert(nothing, settles=True)
        assert isinstance(withdrawn, InterimResult)
        assert (withdrawn.text, progress) == ("", Progress(2000))


class TestBadTimes:
    @pytest.mark.parametrize(
        ("start", "end", "expected"),
        [
            (-50, 300, (0, 300)),
            (500, 200, (500, 500)),
            (100, 2_000_000_000, (100, 10_000 + FUTURE_SLACK_MS)),
            (-2_000_000_000, -1, (0, 0)),
        ],
    )
    def test_impossible_word_times_are_clamped_and_counted(
        self, start: int, end: int, expected: tuple[int, int]
    ) -> None:
        final, bad = final_of(hypothesis("x", ("x", start, end)))
        assert (final.words[0].start_ms, final.words[0].end_ms) == expected
        assert (final.start_ms, final.end_ms) == expected
        assert bad == 1

    def test_words_that_run_backwards_are_put_in_order(self) -> None:
        final, bad = final_of(hypothesis("a b", ("a", 500, 600), ("b", 100, 200)))
        assert [(word.start_ms, word.end_ms) for word in final.words] == [(500, 600), (500, 500)]
        assert final.end_ms >= final.start_ms
        assert bad == 1

    @pytest.mark.parametrize(
        ("seconds", "expected"),
        [(-1.0, 0), (1e9, 10_000 + FUTURE_SLACK_MS), (float("nan"), None), (float("inf"), None)],
    )
    def test_an_impossible_position_is_clamped_or_dropped(self, seconds: float, expected: int | None) -> None:
        final, bad = final_of(hypothesis("x", ("x", 1, 2)), audio_processed=seconds)
        assert final.audio_processed_ms == expected
        assert bad == 1

    def test_engines_may_pad_the_end_of_the_audio(self) -> None:
        final, bad = final_of(hypothesis("x", ("x", 100, 10_400)), audio_processed=10.5)
        assert (final.end_ms, final.audio_processed_ms, bad) == (10_400, 10_500, 0)

    def test_where_bytes_say_nothing_about_time_only_absurd_times_are_bad(self) -> None:
        final, bad = final_of(hypothesis("x", ("x", 100, 3_600_000)), sent_ms=None)
        assert (final.end_ms, bad) == (3_600_000, 0)
        assert final_of(hypothesis("x", ("x", 100, 2_000_000_000)), sent_ms=None)[1] == 1
