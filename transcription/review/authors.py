"""Whose work it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from django.contrib.auth import get_user_model
from django.contrib.auth.models import User

from transcription.identity.principals import Principal
from transcription.review.models import MAX_AUTHOR_CHARACTERS


@dataclass(frozen=True, slots=True)
class Author:
    """holder: tells one from another, whatever they are called. name: for people."""

    user_id: int | None
    holder: str
    name: str

    @classmethod
    def of_user(cls, user: User) -> Self:
        name = user.get_full_name() or user.get_username()
        return cls(user.pk, f"user:{user.pk}", name[:MAX_AUTHOR_CHARACTERS])

    @classmethod
    def of(cls, principal: Principal) -> Self:
        name, user_id = principal.label, principal.user_id
        if principal.kind == "user" and user_id is not None:
            user = get_user_model().objects.filter(pk=user_id).first()
            return cls(user_id, f"user:{user_id}", name[:MAX_AUTHOR_CHARACTERS]) if user is None else cls.of_user(user)
        if principal.key_id is not None:
            return cls(user_id, f"key:{principal.key_id}", name[:MAX_AUTHOR_CHARACTERS])
        holder = f"user:{user_id}" if user_id is not None else principal.kind
        return cls(user_id, holder, (name or principal.kind)[:MAX_AUTHOR_CHARACTERS])
