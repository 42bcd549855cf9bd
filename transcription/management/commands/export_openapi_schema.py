"""Write the HTTP API's OpenAPI document."""

from __future__ import annotations

from ninja import NinjaAPI
from ninja.management.commands.export_openapi_schema import Command as NinjaCommand


class Command(NinjaCommand):
    help = "Write the OpenAPI document of the HTTP API, to generate clients from."

    def _get_api_instance(self, api_path: str | None = None) -> NinjaAPI:
        api: NinjaAPI = super()._get_api_instance(api_path or "transcription.rest.api.api")
        return api
