"""What other parts of Django say: logins that fail, rights that change, keys and rules that are made and deleted.

In the transaction of the change, since signals are sent within it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from axes.signals import user_locked_out
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.contrib.auth.signals import user_login_failed
from django.db.models import Model
from django.db.models.signals import m2m_changed, post_delete, post_save, pre_save
from django.http import HttpRequest

from transcription.audit.actors import Actor, actor_of_request
from transcription.audit.models import AuditEvent
from transcription.audit.recording import record, record_once_an_hour
from transcription.models import ApiKey

What = AuditEvent.What
Kind = AuditEvent.ActorKind
FLAGS = ("is_active", "is_staff", "is_superuser")
M2M_ACTIONS = {"post_add": "added", "post_remove": "removed", "pre_clear": "removed"}


def connect() -> None:
    user = get_user_model()
    user_login_failed.connect(login_failed, dispatch_uid="audit_login_failed")
    user_locked_out.connect(locked_out, dispatch_uid="audit_locked_out")
    for through in (user.groups.through, user.user_permissions.through, Group.permissions.through):
        m2m_changed.connect(rights_changed, sender=through, dispatch_uid=f"audit_rights_{through.__name__}")
    pre_save.connect(remember_flags, sender=user, dispatch_uid="audit_flags_before")
    post_save.connect(flags_changed, sender=user, dispatch_uid="audit_flags")
    post_save.connect(key_saved, sender=ApiKey, dispatch_uid="audit_key_saved")
    for model in (user, Group, ApiKey):
        post_delete.connect(deleted, sender=model, dispatch_uid=f"audit_deleted_{model.__name__}")


def login_failed(
    sender: Any, credentials: Mapping[str, Any], request: HttpRequest | None = None, **_facts: Any
) -> None:
    record_once_an_hour(What.LOGIN_FAILED, actor=_tried(credentials.get("username"), request))


def locked_out(sender: Any, request: HttpRequest | None = None, username: str | None = None, **_facts: Any) -> None:
    record_once_an_hour(What.LOCKED_OUT, actor=_tried(username, request))


def _tried(name: Any, request: HttpRequest | None) -> Actor:
    """Whose login was tried. A name that nobody has is not kept: people type their password there."""
    user = get_user_model().objects.filter(username=str(name or "")).first() if "\0" not in str(name) else None
    client = actor_of_request(request) if request is not None else Actor(Kind.NOBODY)
    if user is None:
        return replace(client, kind=Kind.NOBODY, label="", user_id=None)
    return replace(client, kind=Kind.USER, label=user.get_username(), user_id=user.pk)


def rights_changed(
    sender: Any,
    instance: Model,
    action: str,
    reverse: bool,
    model: type[Model],
    pk_set: set[int] | None,
    **_facts: Any,
) -> None:
    """Groups and permissions of a user, or permissions of a group; from either end."""
    if action not in M2M_ACTIONS:
        return
    keys = _keys_before_clearing(sender, instance, model) if action == "pre_clear" else pk_set or set()
    if names := _names(model, keys):
        record(What.RIGHTS_CHANGED, instance, {M2M_ACTIONS[action]: names})


def _names(model: type[Model], keys: set[int]) -> list[str]:
    return sorted(_name(one) for one in model._default_manager.filter(pk__in=keys))


def _keys_before_clearing(through: Any, instance: Model, model: type[Model]) -> set[int]:
    own, other = instance._meta.model_name, model._meta.model_name
    return set(through._default_manager.filter(**{f"{own}_id": instance.pk}).values_list(f"{other}_id", flat=True))


def _name(one: Any) -> str:
    for field in ("codename", "username", "name"):
        if getattr(one, field, None):
            return str(getattr(one, field))
    return str(one.pk)


def remember_flags(sender: type[Model], instance: Any, update_fields: Any = None, **_facts: Any) -> None:
    instance._flags_before = None
    # A login saves its time alone.
    if instance.pk is not None and (update_fields is None or set(FLAGS) & set(update_fields)):
        instance._flags_before = sender._default_manager.filter(pk=instance.pk).values(*FLAGS).first()


def flags_changed(sender: type[Model], instance: Any, created: bool, raw: bool = False, **_facts: Any) -> None:
    before = instance._flags_before
    if created and not raw:
        record(What.MADE, instance, {flag: True for flag in FLAGS if getattr(instance, flag)})
        return
    if before is None:
        return
    changed = {flag: getattr(instance, flag) for flag in FLAGS if getattr(instance, flag) != before[flag]}
    if changed:
        record(What.RIGHTS_CHANGED, instance, changed=changed)


def key_saved(sender: type[Model], instance: ApiKey, created: bool, raw: bool = False, **_facts: Any) -> None:
    if raw:
        return
    facts = {"name": instance.name, "scopes": sorted(instance.scope_set)}
    record(What.MADE if created else What.RIGHTS_CHANGED, instance, facts)


def deleted(sender: type[Model], instance: Model, **_facts: Any) -> None:
    record(What.DELETED, instance)
