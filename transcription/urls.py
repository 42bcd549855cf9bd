"""Addresses of the pages."""

from __future__ import annotations

from django.contrib.auth.views import LogoutView
from django.urls import URLPattern, URLResolver, path

from transcription.console import live_pages
from transcription.daily.views import day_numbers, day_numbers_csv
from transcription.pages import views
from transcription.past import pages as past
from transcription.past import view_pages as saved
from transcription.phrases.views import phrase_set
from transcription.reruns.views import session_again, session_rerun
from transcription.rest.page import api_page, document, example_file
from transcription.retention import views as retention

urlpatterns: list[URLPattern | URLResolver] = [
    path("", views.record, name="record"),
    path("phrases/<int:number>/", phrase_set, name="phrase_set"),
    path("api/", api_page, name="api_page"),
    path("api/docs/<slug:name>/", document, name="document"),
    path("api/examples/<str:name>", example_file, name="example_file"),
    path("console/", views.live, name="live"),
    path("console/numbers/", day_numbers, name="day_numbers"),
    path("console/numbers.csv", day_numbers_csv, name="day_numbers_csv"),
    path("console/table/", live_pages.live_table, name="live_table"),
    path("console/last-hour/", live_pages.last_hour, name="last_hour"),
    path("console/test-session/", live_pages.start_test_session, name="start_test_session"),
    path("console/health/", views.health, name="health"),
    path("console/sessions/", past.sessions, name="sessions"),
    path("console/chosen/", past.sessions_do, name="sessions_do"),
    path("console/views/", saved.views, name="saved_views"),
    path("console/views/save/", saved.view_save, name="saved_view_save"),
    path("console/views/<int:number>/", saved.view_change, name="saved_view_change"),
    path("console/sessions/<slug:public_id>/", views.session, name="session"),
    path("console/sessions/<slug:public_id>/timeline/", live_pages.session_timeline, name="session_timeline"),
    path("console/sessions/<slug:public_id>/export/", views.session_export_form, name="session_export_form"),
    path("console/sessions/<slug:public_id>/export.<str:format>", views.session_export, name="session_export"),
    path("console/sessions/<slug:public_id>/again/", session_again, name="session_again"),
    path("console/sessions/<slug:public_id>/again/<slug:rerun_id>/", session_rerun, name="session_rerun"),
    path("console/sessions/<slug:public_id>/stop/", views.session_stop, name="session_stop"),
    path("console/sessions/<slug:public_id>/delete/", views.session_delete, name="session_delete"),
    path("console/sessions/<slug:public_id>/protect/", retention.session_protect, name="session_protect"),
    path("console/sessions/<slug:public_id>/unprotect/", retention.session_unprotect, name="session_unprotect"),
    path("login/", views.LogIn.as_view(), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
]
