"""What a recogniser offers against what a client asks for."""

from __future__ import annotations

import pytest

from transcription.engine.recognition import Capabilities
from transcription.errors import BadConfig
from transcription.options import Endpointing, TranscriptionConfig
from transcription.riva.offer import (
    RivaModel,
    build_model,
    check_offer,
    declared_capabilities,
    with_default_endpointing,
)

ENGLISH = build_model("english", {"type": "online", "language_code": "en-US"})
EUROPEAN = build_model("european", {"type": "online", "language_code": "de-DE, fr-FR"})
WHOLE_FILES = build_model("files", {"type": "offline", "language_code": "es-ES"})
SILENT = build_model("silent", {})
OFFERED = (ENGLISH, EUROPEAN, WHOLE_FILES)


def test_a_model_tells_its_languages_and_kind() -> None:
    assert EUROPEAN.languages == ("de-DE", "fr-FR")
    assert (EUROPEAN.streaming, WHOLE_FILES.streaming, SILENT.streaming) == (True, False, True)


def test_languages_match_in_any_case() -> None:
    assert check_offer(OFFERED, TranscriptionConfig(language="EN-us")) == (ENGLISH,)


def test_a_recogniser_that_offers_nothing_may_be_asked_for_anything() -> None:
    config = TranscriptionConfig(language="xx-XX", model="any")
    assert check_offer((), config) == ()
    assert check_offer((WHOLE_FILES,), config) == ()


def test_a_model_that_names_no_language_may_speak_it() -> None:
    assert check_offer((ENGLISH, SILENT), TranscriptionConfig(language="xx-XX")) == (SILENT,)


def test_a_language_that_is_not_offered_is_refused_with_what_is() -> None:
    with pytest.raises(BadConfig, match=r"es-ES.* de-DE, en-US, fr-FR") as raised:
        check_offer(OFFERED, TranscriptionConfig(language="es-ES"))
    assert raised.value.field == "config.language"


def test_a_model_that_is_not_offered_is_refused_with_what_is() -> None:
    with pytest.raises(BadConfig, match=r"files.* english, european\.") as raised:
        check_offer(OFFERED, TranscriptionConfig(model="files"))
    assert raised.value.field == "config.model"


def test_a_model_must_speak_the_language_itself() -> None:
    with pytest.raises(BadConfig) as raised:
        check_offer(OFFERED, TranscriptionConfig(model="european", language="en-US"))
    assert raised.value.field == "config.language"


def test_a_multilingual_model_takes_every_language() -> None:
    multi = build_model("multi", {"language_code": "multi"})
    assert check_offer((multi,), TranscriptionConfig(language="xx-XX")) == (multi,)


def test_models_declare_what_their_times_are_worth() -> None:
    declared = build_model("m", {"word_times": "estimated", "x-audio-processed": "settled"})
    asked = TranscriptionConfig()
    assert declared_capabilities((declared,), asked) == Capabilities(settles=True, word_times=False)
    assert declared_capabilities((ENGLISH,), asked) == Capabilities(settles=False, word_times=True)
    assert declared_capabilities((), asked) == Capabilities(settles=False, word_times=True)


def test_words_have_times_though_the_client_does_not_want_them() -> None:
    config = TranscriptionConfig(enable_word_time_offsets=False)
    assert declared_capabilities((ENGLISH,), config).word_times


def test_an_utterance_ends_after_800_ms_of_silence_where_nobody_says_otherwise() -> None:
    config = with_default_endpointing(TranscriptionConfig(), [], Capabilities())
    assert config.endpointing.stop_history == 800


def test_a_recogniser_that_settles_keeps_its_own_end_of_utterance() -> None:
    models = [RivaModel("m", parameters={"stop_history": "600"})]
    config = with_default_endpointing(TranscriptionConfig(), models, Capabilities(settles=True))
    assert config.endpointing.stop_history == 600


def test_an_end_of_utterance_that_was_asked_for_stays() -> None:
    asked = TranscriptionConfig(endpointing=Endpointing(stop_history=1200))
    assert with_default_endpointing(asked, [], Capabilities()) == asked
