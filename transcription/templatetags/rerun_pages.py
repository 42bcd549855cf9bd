"""Rates as the pages write them."""

from __future__ import annotations

from django import template

from transcription.daily.plots import write_share

register = template.Library()


@register.filter
def rate(value: float | None) -> str:
    """0.0625 as `6.2 %`; nothing measured as a dash."""
    return write_share(value)
