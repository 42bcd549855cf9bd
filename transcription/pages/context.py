"""What every template knows."""

from __future__ import annotations

import functools
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils.translation import get_language
from django.utils.translation.trans_real import DjangoTranslation
from django.views.i18n import JSONCatalog

from speechsite.config import get_config


def site(request: HttpRequest) -> dict[str, Any]:
    config = get_config()
    return {
        "project_name": config.project_name,
        "environment": config.environment,
        "api_v1_str": config.api_v1_str,
        "api_docs_url": f"{config.api_v1_str}/docs",
        "js_catalog": js_catalog(get_language() or settings.LANGUAGE_CODE),
    }


@functools.lru_cache(maxsize=64)
def js_catalog(language: str) -> dict[str, Any] | None:
    """The scripts' texts in a language, as the page carries them; None where the scripts' own English stands."""
    view = JSONCatalog(domain="djangojs")
    folders = [str(path) for path in settings.LOCALE_PATHS]
    view.translation = DjangoTranslation(language, domain="djangojs", localedirs=folders)
    catalog = view.get_catalog()
    return {"catalog": catalog, "plural": view.get_plural()} if catalog else None
