"""Lengths of time and moments as people write them on a command line."""

from __future__ import annotations

import re
from argparse import ArgumentTypeError
from datetime import datetime, time, timedelta

from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime

UNITS = {"h": "hours", "d": "days", "w": "weeks"}
LENGTH_OF_TIME = re.compile(r"([1-9]\d{0,4})([hdw])")


def length_of_time(text: str) -> timedelta:
    """`36h`, `30d` or `12w`. Raises ArgumentTypeError."""
    match = LENGTH_OF_TIME.fullmatch(text)
    if match is None:
        raise ArgumentTypeError(f"{text!r} is no length of time such as 30d, 36h or 12w")
    return timedelta(**{UNITS[match[2]]: int(match[1])})


def moment_of(text: str, *, from_now: int) -> datetime:
    """A length of time from now (from_now 1) or ago (-1), a day (at its beginning), or a moment, of the site's zone.

    Raises ArgumentTypeError.
    """
    if LENGTH_OF_TIME.fullmatch(text):
        return timezone.now() + from_now * length_of_time(text)
    try:
        day = parse_date(text)
        moment = datetime.combine(day, time()) if day is not None else parse_datetime(text)
    except ValueError:
        moment = None
    if moment is None:
        raise ArgumentTypeError(f"{text!r} is neither a length of time such as 90d nor a date such as 2027-01-31")
    return timezone.make_aware(moment) if timezone.is_naive(moment) else moment


def ago(text: str) -> datetime:
    return moment_of(text, from_now=-1)
