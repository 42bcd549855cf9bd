"""Search in titles and in the current text of segments."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.models import QuerySet
from django.utils import timezone
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from transcription.models import TranscriptionSession, TranscriptSegment
from transcription.search import index as search_index
from transcription.search.queries import (
    MAX_TERMS,
    SAMPLED_SESSIONS,
    Hit,
    Piece,
    find_hits,
    make_snippet,
    parse_terms,
    search_segments,
    search_sessions,
)
from transcription.tests.rows import add_segments, make_session, make_user

pytestmark = [pytest.mark.django_db, pytest.mark.databases]


LIMIT = 100


def found(text: str) -> set[TranscriptionSession]:
    """What both ways of searching find, which is the same."""
    sessions = TranscriptionSession.objects.all()
    by_walk = list(search_sessions(sessions, text, limit=LIMIT))
    assert list(search_sessions(sessions, text, limit=LIMIT, sample=0)) == by_walk
    assert list(search_sessions(sessions, text, limit=LIMIT, oldest_first=True)) == by_walk[::-1]
    segments = TranscriptSegment.objects.all()
    assert set(search_segments(segments, text, limit=LIMIT)) == set(
        search_segments(segments, text, limit=LIMIT, sample=0)
    )
    return set(by_walk)


def hits(text: str, per_session: int = 3) -> list[Hit]:
    """Newest session first."""
    sessions = list(TranscriptionSession.objects.all())
    found = find_hits(text, sessions, per_session=per_session)
    return [hit for session in sessions for hit in found.get(session.pk, [])]


def test_a_session_is_found_by_words_of_one_segment_in_any_order() -> None:
    session = make_session("the quick brown fox", "jumps over")
    make_session("something else")
    assert found("fox quick") == {session}
    assert found("fox jumps") == set(), "the words stand in two segments"


@pytest.mark.parametrize(
    ("spoken", "typed"),
    [
        ("Guten Morgen München", "munchen"),
        ("Guten Morgen Munchen", "münchen"),
        ("cafe\u0301 au lait", "café"),
        ("CAPITAL letters", "capital"),
        ("numbers like 3.14 count", "3.14"),
        ("don't worry", "don't"),
        ("a state-of-the-art thing", "state-of-the-art"),
        ("see example.com/page now", "example"),
        ("see example.com/page now", "page"),
        ("write to someone@example.org", "example"),
        ("foo_bar", "bar"),
        ("Привет мир", "привет"),
        ("日本語の音声", "日本語"),
        ("한국어 음성", "한국어"),
        ("שלום עולם", "עולם"),
        ("hi \U0001f600 there", "hi there"),
        ("transcription", "transcr"),
        ("straße", "straße"),
    ],
)
def test_case_punctuation_and_latin_diacritics_do_not_count(spoken: str, typed: str) -> None:
    session = make_session(spoken)
    assert found(typed) == {session}
    assert [hit.segment.text for hit in hits(typed)] == [spoken]


def test_a_word_matches_from_its_beginning_only() -> None:
    make_session("transcription")
    assert found("scription") == set()


def test_letters_with_their_own_meaning_are_not_diacritics() -> None:
    """й is a letter of its own, not an и with a mark."""
    make_session("Чай")
    assert found("чаи") == set()
    assert len(found("чай")) == 1


@pytest.mark.parametrize(
    "typed",
    ["'", '"', '"unclosed', "a AND", "OR", "NOT x", "(", "a*b", "*", "col:x", "a:*", "&|!", "<->", "^a", "-a", "\\",
     "%", "%s", "NEAR(a b)", "{a}", "\0", "a\0b", "\ud800", ";--", "½", "²", "'; DROP TABLE x", "{text}: a"],
)  # fmt: skip
def test_what_is_typed_is_never_syntax(typed: str) -> None:
    make_session("nothing of the sort")
    found(typed)
    hits(typed)


@examples(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=40))
def test_any_text_at_all_can_be_looked_for(text: str) -> None:
    found(text)
    hits(text)


def test_operators_are_ordinary_words() -> None:
    session = make_session("this or that and not those")
    assert found("OR AND NOT") == {session}


def test_nothing_typed_filters_nothing_and_signs_alone_find_nothing() -> None:
    session = make_session("text")
    assert found("   ") == {session}
    assert found("?!") == set()
    assert hits("") == []


def test_at_most_so_many_words_count() -> None:
    assert len(parse_terms(" ".join(f"word{number}" for number in range(100)))) == MAX_TERMS


def test_a_session_is_found_by_its_title_and_by_the_beginning_of_its_id() -> None:
    session = make_session(title="Größe der Welt", public_id="Meeting-42_x")
    make_session(title="Other", public_id="other-Meeting")
    assert found("grosse") == set()
    assert found("größe welt") == {session}
    assert found("meeting-4") == {session}


def test_a_title_given_later_is_found_and_the_old_one_is_not() -> None:
    session = make_session(title="before")
    TranscriptionSession.objects.filter(pk=session.pk).update(title="after")
    assert found("after") == {session}
    assert found("before") == set()


def test_an_edit_is_found_by_its_new_words_and_no_longer_by_the_old() -> None:
    session = make_session("wreck a nice beach")
    segment = session.segments.get()
    segment.text = "recognise speech"
    segment.save()
    assert found("recognise") == {session}
    assert found("beach") == set()


def test_the_index_follows_every_way_of_writing() -> None:
    session = make_session("alpha", "beta", "gamma")
    TranscriptSegment.objects.filter(session=session, index=0).update(text="delta")
    TranscriptSegment.objects.filter(session=session, index=1).delete()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE transcription_transcriptsegment SET text = 'omega' WHERE text = 'gamma'")
    assert [bool(hits(word)) for word in ("alpha", "beta", "gamma", "delta", "omega")] == [
        False, False, False, True, True,
    ]  # fmt: skip
    session.delete()
    assert not hits("delta")
    assert_index_is_sound()


def test_a_segment_of_any_length_can_be_stored() -> None:
    session = make_session("x" * 5000 + " needle", "word " * 60_000, "\u0301" * 3000)
    assert found("needle") == {session}
    assert found("x" * 5000) == {session}


def test_hits_come_in_order_and_no_more_of_a_session_than_asked() -> None:
    now = timezone.now()
    old = make_session(*["apple"] * 5, created_at=now - timedelta(days=1))
    new = make_session("pear", "apple pie", created_at=now)
    found = [(hit.segment.session_id, hit.segment.index) for hit in hits("apple", per_session=2)]
    assert found == [(new.pk, 1), (old.pk, 0), (old.pk, 1)]


def test_hits_come_from_the_sessions_given_only() -> None:
    make_session("hidden apple")
    mine = make_session("my apple")
    assert set(find_hits("apple", [mine], per_session=3)) == {mine.pk}


def test_text_that_may_not_be_read_is_not_found_by_it_but_its_title_is() -> None:
    session = make_session("secret", title="Board")
    none = TranscriptionSession.objects.filter(owner=make_user())
    everything = TranscriptionSession.objects.all()
    for sample in (SAMPLED_SESSIONS, 0):

        def found_among(
            readable: QuerySet[TranscriptionSession], text: str, sample: int = sample
        ) -> list[TranscriptionSession]:
            return list(search_sessions(everything, text, limit=LIMIT, readable=readable, sample=sample))

        assert found_among(none, "secret") == []
        assert found_among(none, "board") == [session]
        assert found_among(everything, "secret") == [session]


def test_a_snippet_marks_whole_words_and_keeps_the_text_as_it_is() -> None:
    pieces = make_snippet("Die Größe <b>zählt</b>, größer!", parse_terms("große"))
    assert pieces == (
        Piece("Die ", False), Piece("Größe", True), Piece(" <b>zählt</b>, ", False), Piece("größer", True),
        Piece("!", False),
    )  # fmt: skip


def test_a_snippet_of_a_long_text_shows_the_surroundings_of_the_first_match() -> None:
    text = " ".join(["before"] * 50 + ["needle"] + ["after"] * 100)
    pieces = make_snippet(text, ["needle"])
    joined = "".join(piece.text for piece in pieces)
    assert [piece.text for piece in pieces if piece.is_match] == ["needle"]
    assert joined.startswith("…before")
    assert joined.endswith("after…")
    assert len(joined) < 260


@given(st.text(max_size=400), st.text(max_size=10))
def test_a_snippet_is_a_stretch_of_the_text(text: str, typed: str) -> None:
    pieces = make_snippet(text, parse_terms(typed))
    joined = "".join(piece.text for piece in pieces)
    assert joined.removeprefix("…").removesuffix("…") in text or joined in text


@pytest.mark.django_db(transaction=True)
def test_the_index_can_be_dropped_made_again_and_made_twice() -> None:
    session = make_session("phoenix", title="ash")
    search_index.drop(connection)
    search_index.create(connection)
    search_index.create(connection)
    assert found("phoenix") == {session}
    assert found("ash") == {session}
    add_segments(session, "later")
    assert found("later") == {session}
    assert_index_is_sound()


def test_triggers_that_a_change_of_the_table_took_away_come_back_after_migrations() -> None:
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute(f"DROP TRIGGER {search_index.SEGMENT_TEXT.name}_insert")
    session = make_session("unseen")
    call_command("migrate", verbosity=0, skip_checks=True)
    assert found("unseen") == {session}
    add_segments(session, "afterwards")
    assert found("afterwards") == {session}
    assert not search_index.repair(connection), "nothing was left to repair"


def assert_index_is_sound() -> None:
    """FTS5 compares its index with the table; PostgreSQL's column cannot differ."""
    if connection.vendor != "sqlite":
        return
    with connection.cursor() as cursor:
        for indexed in search_index.ALL_INDEXED:
            cursor.execute(f"INSERT INTO {indexed.name}({indexed.name}, rank) VALUES ('integrity-check', 1)")  # noqa: S608


@pytest.mark.django_db(transaction=True)
def test_each_commit_writes_to_the_index_itself() -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has no other way")
    with connection.cursor() as cursor:
        cursor.execute("ALTER INDEX transcription_segment_search_gin RESET (fastupdate)")
        search_index.write_through(connection)
        cursor.execute("SELECT relname, reloptions FROM pg_class WHERE relname LIKE 'transcription\\_%%\\_gin'", [])
        assert {tuple(options) for _name, options in cursor.fetchall()} == {("fastupdate=off",)}
