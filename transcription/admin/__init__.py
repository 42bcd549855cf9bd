"""The admin: records of the past, for people who look after the service. What is live is on the console.

Facts and the machine's text are read-only. Of a segment the current text, the speaker and whether it was
reviewed can be corrected, with history; of a session its title. Django finds what is registered through this package.
"""

from __future__ import annotations

from django.conf import settings
from django.contrib import admin
from django.utils.translation import gettext_lazy

from transcription.admin import keys, locked_out, phrase_sets, recordings, segments, sessions, usage, workers
from transcription.files import admin as file_jobs

__all__ = ["file_jobs", "keys", "locked_out", "phrase_sets", "recordings", "segments", "sessions", "usage", "workers"]

admin.site.site_header = settings.CONFIG.project_name
admin.site.site_title = settings.CONFIG.project_name
admin.site.index_title = gettext_lazy("Records")
