"""What a subscriber asks for, in the query of the address."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import parse_qsl

from django.utils.translation import gettext as _
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from transcription.errors import BadMessage

MAX_QUERY_CHARACTERS = 1000
MAX_PARAMETERS = 10
MAX_NAME_CHARACTERS = 100
MAX_SEGMENT = 2**31 - 1


class SubscriptionOptions(BaseModel):
    """What a subscription brings."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    after: Annotated[int, Field(ge=-1, le=MAX_SEGMENT)] | None = Field(
        default=None,
        description="index of the last segment you hold whose `tail` is false; -1 for none. Everything after it "
        "comes. Without it the last 100 segments come",
    )
    interims: bool = Field(default=True, description="send `interim`")
    words: bool = Field(default=False, description="send the words of segments, with their times")
    progress: bool = Field(default=False, description="send `progress`")


def parse_options(query: str) -> SubscriptionOptions:
    """Raises BadMessage naming the parameter that is wrong or unknown."""
    try:
        if len(query) > MAX_QUERY_CHARACTERS:
            raise ValueError(query)
        given = dict(parse_qsl(query, keep_blank_values=True, max_num_fields=MAX_PARAMETERS))
    except ValueError:
        raise BadMessage(_("The query is too long."), reason="bad_field") from None
    try:
        return SubscriptionOptions.model_validate(given)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        name = str(problem["loc"][0])[:MAX_NAME_CHARACTERS]
        reason = "unknown_field" if problem["type"] == "extra_forbidden" else "bad_field"
        raise BadMessage(f"{name}: {problem['msg']}.", reason=reason, field=name) from None
