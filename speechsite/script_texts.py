"""The scripts' texts in the language of the page: a script of its own, which browsers keep.

English needs none, since the scripts bring it along. The recording page, which must be light, gets only what its
modules say.
"""

from __future__ import annotations

import functools
import hashlib
import json
import posixpath
import re
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.urls import reverse
from django.utils.cache import patch_cache_control
from django.utils.translation.trans_real import DjangoTranslation
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import condition, require_safe
from django.views.i18n import JSONCatalog

from speechsite.config import BASE_DIR

TAG_CHARACTERS = 12
KEPT_S = 365 * 24 * 3600
SCRIPTS = BASE_DIR / "static" / "js"
# Which modules a part is for, with all that they import; the whole is for every other page.
WHOLE = "all"
PARTS: dict[str, tuple[str, ...]] = {WHOLE: (), "record": ("record.js", "header.js")}
IMPORT = re.compile(r'from "(\.{1,2}/[\w/-]+\.js)"')


@dataclass(frozen=True)
class ScriptTexts:
    script: str
    tag: str


def script_texts(language: str, part: str = WHOLE) -> ScriptTexts | None:
    """None for a language or part that is not ours, and where there is nothing to translate."""
    return _read_texts(language, part) if language in dict(settings.LANGUAGES) and part in PARTS else None


@functools.cache
def _read_texts(language: str, part: str) -> ScriptTexts | None:
    view = JSONCatalog(domain="djangojs")
    # Ours alone: with the whole of Django's it would be thrice as long.
    view.translation = DjangoTranslation(language, domain="djangojs", localedirs=list(map(str, settings.LOCALE_PATHS)))
    catalog = _said_by(PARTS[part], view.get_catalog())
    if not catalog:
        return None
    texts = json.dumps({"catalog": catalog, "plural": view.get_plural()}, ensure_ascii=False, separators=(",", ":"))
    script = f"globalThis.speechsiteTexts = {texts};\n"
    return ScriptTexts(script, hashlib.sha256(script.encode()).hexdigest()[:TAG_CHARACTERS])


def _said_by(modules: tuple[str, ...], catalog: dict[str, Any]) -> dict[str, Any]:
    """What of a catalogue stands in these modules or in what they import; all of it where no module is named."""
    if not modules:
        return catalog
    sources: dict[str, str] = {}
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name not in sources:
            sources[name] = (SCRIPTS / name).read_text(encoding="utf-8")
            imported = IMPORT.findall(sources[name])
            waiting += [posixpath.normpath(posixpath.join(posixpath.dirname(name), path)) for path in imported]
    everything = "\n".join(sources.values())
    return {text: said for text, said in catalog.items() if json.dumps(text, ensure_ascii=False) in everything}


def script_texts_address(language: str, part: str = WHOLE) -> str | None:
    """The address changes with the texts, so that a browser may keep what it got for good."""
    texts = script_texts(language, part)
    return None if texts is None else reverse("script_texts", args=[language, part, texts.tag])


def _entity_tag(request: HttpRequest, language: str, part: str, tag: str) -> str | None:
    texts = script_texts(language, part)
    return None if texts is None else f'"{texts.tag}"'


@gzip_page
@require_safe
@condition(etag_func=_entity_tag)
def serve_script_texts(request: HttpRequest, language: str, part: str, tag: str) -> HttpResponseBase:
    texts = script_texts(language, part)
    if texts is None:
        raise Http404
    response = HttpResponse(texts.script, content_type="text/javascript; charset=utf-8")
    if tag == texts.tag:
        patch_cache_control(response, public=True, max_age=KEPT_S, immutable=True)
    else:
        # While workers are being replaced a page of the new ones may ask an old one, or the other way round.
        patch_cache_control(response, no_cache=True)
    return response
