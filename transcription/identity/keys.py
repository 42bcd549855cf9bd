"""Whether the credentials somebody came with are still good. Plain functions for a database thread."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY, get_user_model, load_backend
from django.contrib.auth.base_user import AbstractBaseUser
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _

from transcription.errors import NotAuthenticated
from transcription.identity.key_models import ApiKey
from transcription.identity.principals import Principal

T = TypeVar("T")

# Of ids in one query.
MAX_ASKED_AT_ONCE = 500


def why_unusable(key: ApiKey, now: datetime) -> NotAuthenticated | None:
    """What to tell somebody with this key; None if it is good. now: by the database's clock."""
    if key.revoked_at is not None:
        return NotAuthenticated(_("This key was revoked."), reason="key_revoked")
    if key.expires_at is not None and key.expires_at <= now:
        return NotAuthenticated(_("This key has expired."), reason="key_expired")
    if key.owner is not None and not key.owner.is_active:
        return NotAuthenticated(_("The account of this key is closed."), reason="account_closed")
    return None


def find_withdrawn(principals: Sequence[Principal]) -> list[NotAuthenticated | None]:
    """For each of the principals None, or what to tell somebody who may not speak any more. A few queries for all.

    A key, or the key of a token: deleted, revoked, expired or of a closed account. A login: logged out, run out, or of
    another password since. Anybody else with an account: closed or deleted.
    """
    keys = _problems_of_keys({p.key_id for p in principals if p.key_id is not None})
    logins = _living_logins({p.login for p in principals if p.login})
    users = _active_users({p.user_id for p in principals if p.user_id is not None})

    def problem_of(principal: Principal) -> NotAuthenticated | None:
        if principal.key_id is not None:
            return keys.get(principal.key_id)
        if principal.user_id is None:
            return None
        if principal.user_id not in users:
            return NotAuthenticated(_("This account is closed."), reason="account_closed")
        if principal.login and logins.get(principal.login) != principal.user_id:
            return NotAuthenticated(_("You are logged out. Log in again."), reason="logged_out")
        return None

    return [problem_of(principal) for principal in principals]


def user_of_login(session_key: str) -> AbstractBaseUser | None:
    """The person of a login cookie: Django's own rules, but nothing is written."""
    session = _session_store()(session_key)
    facts = {name: session.get(name) for name in (SESSION_KEY, BACKEND_SESSION_KEY, HASH_SESSION_KEY)}
    user: AbstractBaseUser | None = _user_of(facts, _find_user)
    return user


def _problems_of_keys(ids: set[int]) -> dict[int, NotAuthenticated]:
    gone = NotAuthenticated(_("This key was deleted."), reason="key_revoked")
    problems = dict.fromkeys(ids, gone)
    for some in _pieces(ids):
        for key in ApiKey.objects.select_related("owner").annotate(now=Now()).filter(pk__in=some):
            problem = why_unusable(key, key.now)
            if problem is None:
                del problems[key.pk]
            else:
                problems[key.pk] = problem
    return problems


def _active_users(ids: set[int]) -> set[int]:
    users: set[int] = set()
    for some in _pieces(ids):
        users.update(get_user_model().objects.filter(pk__in=some, is_active=True).values_list("pk", flat=True))
    return users


def _living_logins(session_keys: set[str]) -> dict[str, Any]:
    """The user's id of each login that is still good."""
    find_user = functools.lru_cache(maxsize=None)(_find_user)  # of this one look
    store = _session_store()
    found = {}
    for some in _pieces(session_keys):
        rows = store.get_model_class().objects.filter(session_key__in=some, expire_date__gt=timezone.now())
        for row in rows:
            user = _user_of(store().decode(row.session_data), find_user)
            if user is not None:
                found[row.session_key] = user.pk
    return found


def _session_store() -> Any:
    return import_string(f"{settings.SESSION_ENGINE}.SessionStore")


def _find_user(backend_path: str, user_id: Any) -> AbstractBaseUser | None:
    user: AbstractBaseUser | None = load_backend(backend_path).get_user(user_id)
    return user


def _user_of(facts: Mapping[str, Any], find_user: Callable[[str, Any], AbstractBaseUser | None]) -> Any:
    backend_path = facts.get(BACKEND_SESSION_KEY) or ""
    if facts.get(SESSION_KEY) is None or backend_path not in settings.AUTHENTICATION_BACKENDS:
        return None
    user = find_user(backend_path, get_user_model()._meta.pk.to_python(facts[SESSION_KEY]))
    if user is None:
        return None
    kept_hash = facts.get(HASH_SESSION_KEY) or ""
    hashes = [user.get_session_auth_hash(), *user.get_session_auth_fallback_hash()]
    return user if any(constant_time_compare(kept_hash, known) for known in hashes) else None


def _pieces(ids: set[T]) -> Iterable[list[T]]:
    listed = list(ids)
    return (listed[start : start + MAX_ASKED_AT_ONCE] for start in range(0, len(listed), MAX_ASKED_AT_ONCE))
