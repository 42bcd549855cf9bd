"""Structured logs."""

from __future__ import annotations

from typing import Any

from speechsite.config import Config


def logging_config(config: Config) -> dict[str, Any]:
    """Django's LOGGING."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "handlers": {"console": {"class": "logging.StreamHandler"}},
        "root": {"handlers": ["console"], "level": config.log_level},
    }
