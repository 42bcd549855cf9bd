"""The answer to a whole file, as Deepgram's SDK reads it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

from deepgram.types import ListenV1Response
from hypothesis import given
from hypothesis import strategies as st

from transcription.dialects.listen_options import parse_options
from transcription.files.listen_answers import PARAGRAPH_SENTENCES, build_answer
from transcription.results import FinalResult, Word

SDK_ANSWER: Any = ListenV1Response


def words(text: str, *, start_ms: int = 0, speaker: str | None = None) -> tuple[Word, ...]:
    """Each word takes 300 ms and is followed by 100 ms of silence."""
    return tuple(
        Word(word, start_ms + 400 * index, start_ms + 400 * index + 300, 0.8, speaker)
        for index, word in enumerate(text.split())
    )


def final(text: str, *, start_ms: int = 0, speaker: str | None = None) -> FinalResult:
    said = words(text, start_ms=start_ms, speaker=speaker)
    return FinalResult(text, said[0].start_ms, said[-1].end_ms, 0.8, said)


def answer(*finals: FinalResult, query: str = "") -> dict[str, Any]:
    found = build_answer(
        finals,
        parse_options(query, is_file=True),
        session_id="session-1",
        model="tiny-en",
        sha256="0" * 64,
        created=datetime(2026, 8, 1, tzinfo=UTC),
        audio_ms=5000,
    )
    SDK_ANSWER.model_validate(found)
    return found


def alternative(found: dict[str, Any]) -> dict[str, Any]:
    [channel] = found["results"]["channels"]
    [best] = channel["alternatives"]
    return cast(dict[str, Any], best)


def test_the_answer_has_the_text_its_words_and_where_they_come_from() -> None:
    found = answer(final("Good morning."), final("How are you?", start_ms=3000), query="punctuate=true&tag=a&tier=x")

    best = alternative(found)
    assert best["transcript"] == "Good morning. How are you?"
    assert best["confidence"] == 0.8
    assert best["words"][1] == {
        "word": "morning", "punctuated_word": "morning.", "start": 0.4, "end": 0.7, "confidence": 0.8,
    }  # fmt: skip
    assert "paragraphs" not in best
    assert "utterances" not in found["results"]
    metadata = found["metadata"]
    assert (metadata["request_id"], metadata["duration"], metadata["channels"]) == ("session-1", 5.0, 1)
    assert metadata["model_info"][metadata["models"][0]]["name"] == "tiny-en"
    assert metadata["tags"] == ["a"]
    assert [warning["parameter"] for warning in metadata["warnings"]] == ["tier"]


def test_a_file_in_which_nobody_speaks_has_an_empty_text() -> None:
    found = answer(query="smart_format=true&utterances=true")

    assert alternative(found) == {"transcript": "", "confidence": 0.0, "words": []}
    assert found["results"]["utterances"] == []


def test_utterances_are_split_at_pauses_and_joined_over_short_ones() -> None:
    found = answer(
        final("one two"), final("three", start_ms=800), final("four", start_ms=2000), query="utterances=true"
    )

    said = found["results"]["utterances"]
    assert [utterance["transcript"] for utterance in said] == ["one two three", "four"]
    assert [(utterance["start"], utterance["end"]) for utterance in said] == [(0.0, 1.1), (2.0, 2.3)]
    assert len({utterance["id"] for utterance in said}) == 2
    assert (
        said
        == answer(
            final("one two"), final("three", start_ms=800), final("four", start_ms=2000), query="utterances=true"
        )["results"]["utterances"]
    )


def test_the_pause_between_utterances_is_the_clients() -> None:
    finals = (final("one two"), final("three", start_ms=1000))

    def texts(query: str) -> list[str]:
        return [said["transcript"] for said in answer(*finals, query=query)["results"]["utterances"]]

    assert texts("utterances=true&utt_split=0.2") == ["one two", "three"]
    assert texts("utterances=true&utt_split=2") == ["one two three"]


def test_without_word_times_each_final_is_an_utterance() -> None:
    bare = FinalResult("one two", 0, 900)

    found = answer(bare, bare, query="utterances=true&paragraphs=true")

    assert [said["transcript"] for said in found["results"]["utterances"]] == ["one two", "one two"]
    assert alternative(found)["transcript"] == "one two one two"


def test_speakers_part_utterances_and_paragraphs() -> None:
    finals = (final("Yes.", speaker="0"), final("No.", start_ms=400, speaker="1"))

    found = answer(*finals, query="diarize=true&utterances=true&paragraphs=true")

    assert [said["speaker"] for said in found["results"]["utterances"]] == [0, 1]
    assert [word["speaker"] for word in alternative(found)["words"]] == [0, 1]
    paragraphs = alternative(found)["paragraphs"]
    assert [paragraph["speaker"] for paragraph in paragraphs["paragraphs"]] == [0, 1]
    assert paragraphs["transcript"] == "\nYes.\n\nNo."


def test_a_paragraph_ends_with_a_sentence_at_a_pause() -> None:
    finals = (final("First one. And"), final("on. Second", start_ms=5000), final("one.", start_ms=9000))

    [only] = alternative(answer(*finals, query="smart_format=true"))["paragraphs"]["paragraphs"]
    assert [sentence["text"] for sentence in only["sentences"]] == ["First one.", "And on.", "Second one."]
    later = final("Third.", start_ms=15_000)
    _first, second = alternative(answer(*finals, later, query="smart_format=true"))["paragraphs"]["paragraphs"]
    assert (second["sentences"][0]["text"], second["start"]) == ("Third.", 15.0)


def test_a_paragraph_has_so_many_sentences_at_most() -> None:
    found = answer(final("Yes. " * (PARAGRAPH_SENTENCES + 1)), query="paragraphs=true")

    first, second = alternative(found)["paragraphs"]["paragraphs"]
    assert len(first["sentences"]) == PARAGRAPH_SENTENCES
    assert (second["num_words"], len(second["sentences"])) == (1, 1)


@given(
    st.lists(st.lists(st.sampled_from(["yes", "No.", "why?"]), min_size=1, max_size=8), max_size=5),
    st.lists(st.integers(0, 3000), min_size=5, max_size=5),
)
def test_no_word_is_lost_or_told_twice(said: list[list[str]], pauses_ms: list[int]) -> None:
    finals, start_ms = [], 0
    for texts, pause_ms in zip(said, pauses_ms, strict=False):
        finals.append(final(" ".join(texts), start_ms=start_ms))
        start_ms = finals[-1].end_ms + pause_ms
    found = answer(*finals, query="smart_format=true&utterances=true")

    expected = [text for texts in said for text in texts]
    best = alternative(found)
    assert [word["punctuated_word"] for word in best["words"]] == expected
    assert " ".join(said["transcript"] for said in found["results"]["utterances"]).split() == expected
    if expected:
        assert best["paragraphs"]["transcript"].split() == expected
        assert sum(paragraph["num_words"] for paragraph in best["paragraphs"]["paragraphs"]) == len(expected)
