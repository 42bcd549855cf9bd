"""What comes with the file of a job. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from django.utils.translation import gettext as _

from transcription.errors import BadConfig
from transcription.files.engine import options_of_file
from transcription.files.openai_options import keywords_of, model_name, one_of
from transcription.languages import choose_language
from transcription.options import parse_config

# Settled by the file itself, or of no use where nobody listens.
OF_THE_FILE = ("encoding", "sample_rate_hertz", "audio_channel_count", "enable_interim_results", "words_in_interims")
FIELDS = ("language", "model", "keywords", "keywords[]", "title", "config")
# Of OpenAI's form; they have no effect there either.
WITHOUT_EFFECT = ("prompt", "temperature", "response_format", "timestamp_granularities", "timestamp_granularities[]")


def parse_job_options(fields: Mapping[str, Sequence[str]], offered: Sequence[str], *, file_name: str) -> dict[str, Any]:
    """The options of the job's session. offered: the languages of the recogniser, empty if it does not say.

    `config`: a JSON object with options as in `start_transcription`; the other fields count before it. Raises BadConfig
    naming the field.
    """
    for name in fields:
        if name not in FIELDS + WITHOUT_EFFECT:
            raise BadConfig(_("%(name)s: unknown field.") % {"name": name[:64]}, field=name[:64])
    config = _config(one_of(fields, "config"))
    if language := one_of(fields, "language"):
        config["language"] = choose_language(language, offered)
    elif "language" not in config:
        config["language"] = choose_language("", offered)
    if model := one_of(fields, "model"):
        config["model"] = model_name(model)
    if keywords := keywords_of(fields):
        config["speech_contexts"] = [{"phrases": list(keywords)}]
    if title := one_of(fields, "title") or config.get("title") or file_name:
        config["title"] = title
    parse_config(options_of_file(config))
    return config


def _config(text: str) -> dict[str, Any]:
    if not text:
        return {}
    try:
        config = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        config = None
    if not isinstance(config, dict):
        raise BadConfig(_("config: must be a JSON object."), field="config")
    for name in OF_THE_FILE:
        if name in config:
            raise BadConfig(_("config.%(name)s: is the file's own.") % {"name": name}, field=f"config.{name}")
    return config


def _refuse(constant: str) -> None:
    """NaN and its like are no JSON."""
    raise ValueError(constant)
