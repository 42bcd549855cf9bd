"""What django-axes says of people who are locked out. It brings these texts along in some languages only."""

from __future__ import annotations

from django.utils.translation import gettext_noop as _

WORDS = (
    _("access attempt"),
    _("access attempts"),
    _("Attempt Time"),
    _("IP Address"),
    _("User Agent"),
    _("Username"),
    _("Path"),
    _("Failed Logins"),
    _("Locked Out"),
    _("Not set"),
    _("Form Data"),
    _("GET Data"),
    _("POST Data"),
    _("Meta Data"),
    _("HTTP Accept"),
    _("Clean up expired attempts"),
)
