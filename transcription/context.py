"""What every template knows."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from speechsite.config import get_config


def site(request: HttpRequest) -> dict[str, Any]:
    config = get_config()
    return {"project_name": config.project_name, "environment": config.environment}
