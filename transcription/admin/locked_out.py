"""People who are locked out after wrong passwords; deleting the entry lets them in."""

from __future__ import annotations

from axes.models import AccessFailureLog, AccessLog
from django.contrib import admin

# Of django-axes only who is locked out is kept.
for unused in (AccessLog, AccessFailureLog):
    admin.site.unregister(unused)
