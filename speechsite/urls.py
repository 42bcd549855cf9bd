"""Addresses of the whole site."""

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path

from speechsite.config import get_config
from speechsite.script_texts import serve_script_texts
from transcription.rest.api import api

urlpatterns: list[URLPattern | URLResolver] = [
    path(f"{get_config().api_v1_str.removeprefix('/')}/", api.urls),
    path("v1/realtime/", include("transcription.rest.realtime_secrets")),
    path("admin/", admin.site.urls),
    path("i18n/<slug:language>/<slug:part>.<slug:tag>.js", serve_script_texts, name="script_texts"),
    path("i18n/", include("django.conf.urls.i18n")),
    path("", include("transcription.urls")),
]

handler400 = "transcription.pages.views.bad_request"
handler403 = "transcription.pages.views.permission_denied"
handler404 = "transcription.pages.views.page_not_found"
handler500 = "transcription.pages.views.server_error"
