"""Who sees what."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import AnonymousUser

from transcription import access
from transcription.access import Who
from transcription.errors import NotAllowed, NotFound
from transcription.identity.principals import LOCAL, Principal
from transcription.identity.scopes import Scope
from transcription.models import ApiKey, TranscriptionSession
from transcription.tests.rows import make_session, make_user, principal_of, principal_of_key

pytestmark = [pytest.mark.django_db, pytest.mark.databases]

EVERY_QUERY = (
    access.listed_sessions,
    access.visible_sessions,
    access.stoppable_sessions,
    access.exportable_sessions,
    access.deletable_sessions,
)


def ids(sessions: object) -> set[str]:
    return {session.public_id for session in sessions}  # type: ignore[attr-defined]


@pytest.fixture
def stranger() -> TranscriptionSession:
    return make_session("secret", owner=make_user())


def test_users_do_everything_with_sessions_under_their_name_or_made_with_their_keys(
    stranger: TranscriptionSession,
) -> None:
    user = make_user()
    key, _text = ApiKey.create("theirs", owner=user)
    own = {make_session(owner=user).public_id, make_session(api_key=key).public_id}
    for query in EVERY_QUERY:
        assert ids(query(user)) == own
        assert ids(query(principal_of(user))) == own


def test_a_key_reaches_what_was_made_with_it_and_what_its_owner_made(stranger: TranscriptionSession) -> None:
    user = make_user("view_captions", "export_transcriptionsession")
    key, _text = ApiKey.create("with owner", owner=user)
    own = {make_session(owner=user).public_id, make_session(api_key=key).public_id}
    for query in EVERY_QUERY:
        assert ids(query(principal_of_key(key))) == own, "permissions of its owner are not the key's"


def test_a_key_without_owner_reaches_only_what_was_made_with_it(stranger: TranscriptionSession) -> None:
    key, _text = ApiKey.create("alone")
    make_session(owner=None, api_key=None)
    own = make_session(api_key=key)
    for query in EVERY_QUERY:
        assert ids(query(principal_of_key(key))) == {own.public_id}


def test_a_local_client_reaches_only_sessions_without_owner_and_key(stranger: TranscriptionSession) -> None:
    key, _text = ApiKey.create("alone")
    make_session(api_key=key)
    own = make_session(owner=None, api_key=None)
    for query in EVERY_QUERY:
        assert ids(query(LOCAL)) == {own.public_id}


def test_a_token_reaches_the_one_session_it_was_issued_for() -> None:
    user = make_user()
    own = make_session(owner=user)
    make_session(owner=user)
    token = Principal(kind="token", user_id=user.pk, session_id=own.public_id)
    assert ids(access.visible_sessions(token)) == {own.public_id}
    forged = Principal(kind="token", user_id=make_user().pk, session_id=own.public_id)
    assert not access.visible_sessions(forged).exists()


@pytest.mark.parametrize("permission", ["view_live", "view_transcriptionsession"])
def test_metadata_permissions_show_that_sessions_exist_but_not_their_text(
    permission: str, stranger: TranscriptionSession
) -> None:
    user = make_user(permission)
    assert access.may_list(user, stranger)
    assert not access.may_read_text(user, stranger)
    assert not access.may_export(user, stranger)
    assert not access.may_stop(user, stranger)
    assert not access.may_delete(user, stranger)


def test_view_captions_shows_the_text_of_everybody(stranger: TranscriptionSession) -> None:
    user = make_user("view_captions")
    assert access.may_list(user, stranger)
    assert access.may_read_text(user, stranger)
    assert access.may_read_all_captions(principal_of(user))
    assert not access.may_export(user, stranger)


def test_exporting_for_others_needs_both_the_text_and_the_export_permission(
    stranger: TranscriptionSession,
) -> None:
    assert not access.may_export(make_user("export_transcriptionsession"), stranger)
    assert access.may_export(make_user("export_transcriptionsession", "view_captions"), stranger)


def test_the_stop_and_delete_permissions_reach_others_sessions(stranger: TranscriptionSession) -> None:
    assert access.may_stop(make_user("stop_transcriptionsession"), stranger)
    assert access.may_delete(make_user("delete_transcriptionsession"), stranger)


def test_the_console_needs_the_live_permission_even_of_owners() -> None:
    assert access.may_watch_live(make_user("view_live"))
    assert not access.may_watch_live(make_user("view_transcriptionsession"))
    assert not access.may_watch_live(LOCAL)


@pytest.mark.parametrize("gone", ["inactive", "anonymous", "deleted"])
def test_nobody_in_particular_sees_nothing(gone: str, stranger: TranscriptionSession) -> None:
    make_session(owner=None, api_key=None)
    user = make_user()
    make_session(owner=user)
    who: Who = AnonymousUser()
    if gone == "inactive":
        user.is_active = False
        user.save()
        who = user
    elif gone == "deleted":
        who = principal_of(user)
        user.delete()
    for query in EVERY_QUERY:
        assert not query(who).exists()


def test_what_is_not_theirs_and_what_does_not_exist_get_the_same_answer(
    stranger: TranscriptionSession,
) -> None:
    user = make_user()
    with pytest.raises(NotFound) as hidden:
        access.get_session(stranger.public_id, user)
    with pytest.raises(NotFound) as missing:
        access.get_session("nothing", user)
    assert (hidden.value.message, hidden.value.reason) == (missing.value.message, missing.value.reason)


@pytest.mark.parametrize("text", ["", "../../etc/passwd", "a\0b", "a b", "x" * 65, "ä", "a\n"])
def test_what_cannot_be_an_id_is_not_found(text: str) -> None:
    with pytest.raises(NotFound):
        access.get_session(text, make_user("view_captions"))


def test_what_they_see_but_may_not_touch_is_not_allowed(stranger: TranscriptionSession) -> None:
    user = make_user("view_transcriptionsession")
    assert access.get_session(stranger.public_id, user) == stranger
    with pytest.raises(NotAllowed):
        access.get_session(stranger.public_id, user, access.deletable_sessions(user))


def test_a_key_is_used_only_for_its_scopes_and_a_login_for_everything() -> None:
    reader = Principal(kind="key", key_id=1, scopes=frozenset({Scope.SESSIONS_READ}))
    access.require_scope(reader, Scope.SESSIONS_READ)
    with pytest.raises(NotAllowed, match="sessions:write") as refused:
        access.require_scope(reader, Scope.SESSIONS_WRITE)
    assert refused.value.reason == "scope_missing"
    for everybody in (LOCAL, Principal(kind="user", user_id=1)):
        for scope in Scope:
            access.require_scope(everybody, scope)
