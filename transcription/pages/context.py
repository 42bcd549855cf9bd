"""What every template knows."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils.translation import get_language

from speechsite.config import get_config
from speechsite.script_texts import PARTS, script_texts_address


def site(request: HttpRequest) -> dict[str, Any]:
    config = get_config()
    language = get_language() or settings.LANGUAGE_CODE
    return {
        "project_name": config.project_name,
        "environment": config.environment,
        "api_v1_str": config.api_v1_str,
        "api_docs_url": f"{config.api_v1_str}/docs",
        # Not Django's tag, which translates the names.
        "site_languages": settings.LANGUAGES,
        "script_texts": {part: script_texts_address(language, part) for part in PARTS},
    }
