"""Every setting of the service, typed, with its unit, bounds and default.

Values come from the environment, then from `.env` in the project's folder. `docs/settings.md` and
`.env.example` describe each one; a test keeps them complete. `settings.py` is plain assignments from here.
"""

from __future__ import annotations

import functools
import os
import secrets
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

BASE_DIR = Path(__file__).resolve().parent.parent
# ENV_FILE names another file than `.env`; empty: none, so that tests see nothing of the developer's own.
ENV_FILE = os.environ.get("ENV_FILE", str(BASE_DIR / ".env")) or None
EMBEDDED_RECOGNISER_ADDRESS = "127.0.0.1:50051"
LOOPBACK_HOSTS = ("127.0.0.1", "localhost", "::1")
MIN_SECRET_KEY_CHARACTERS = 32
# 32 random hexadecimal digits have about 14 different ones, and fewer than this not once in millions of keys.
MIN_DIFFERENT_CHARACTERS = 8

CommaList = Annotated[list[str], NoDecode]


class ConfigError(Exception):
    """A setting is wrong. The message names each variable; the start must stop."""


class Config(BaseSettings):
    """The settings, by the names of their environment variables in lower case."""

    model_config = SettingsConfigDict(env_file=ENV_FILE, env_ignore_empty=True, extra="ignore")

    # The site
    project_name: str = "Speechsite"
    version: str = "0.1.0"
    api_v1_str: Annotated[str, Field(pattern=r"^(/[A-Za-z0-9_-]+)+$")] = "/api/v1"
    environment: Literal["development", "production"] = "development"
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    workers: Annotated[int, Field(ge=1, le=256)] = 1
    secret_key: SecretStr = SecretStr("")
    allowed_hosts: CommaList = []
    allowed_origins: CommaList = []
    forwarded_allow_ips: CommaList = []
    data_dir: Path = BASE_DIR / "var"
    database_url: str = ""
    redis_url: str = ""
    time_zone: str = "UTC"
    log_format: Literal["auto", "console", "json"] = "auto"
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    # The recogniser
    riva_server: CommaList = []
    riva_api_key: SecretStr = SecretStr("")
    riva_function_id: str = ""
    riva_function_version_id: str = ""
    riva_use_tls: bool | None = None
    riva_root_certificates: Path | None = None
    riva_client_certificate: Path | None = None
    riva_client_key: Path | None = None
    riva_transport: Literal["http2", "grpcio"] = "http2"
    riva_chunk_ms: Annotated[int, Field(ge=0, le=2000)] = 0
    write_tick_ms: Annotated[float, Field(ge=0, le=100)] = 5
    asr_max_streams: Annotated[int, Field(ge=1, le=1000)] = 8
    asr_model_path: Path | None = None
    asr_threads: Annotated[int, Field(ge=0, le=64)] = 0

    # Work that no request waits for
    run_jobs_in_process: bool = True
    file_jobs_at_once: Annotated[int, Field(ge=0, le=100)] = 1
    max_file_jobs_per_owner: Annotated[int, Field(ge=1)] = 20

    # Files
    max_upload_bytes: Annotated[int, Field(ge=1024)] = 512 * 1024 * 1024
    max_uploads_at_once: Annotated[int, Field(ge=1, le=1000)] = 16
    min_free_disk_bytes: Annotated[int, Field(ge=0)] = 1024 * 1024 * 1024
    max_file_audio_minutes: Annotated[float, Field(gt=0, le=24 * 60)] = 240
    max_file_request_audio_minutes: Annotated[float, Field(gt=0, le=24 * 60)] = 30
    max_file_streams: Annotated[int, Field(ge=1, le=1000)] = 32
    file_request_timeout_seconds: Annotated[float, Field(gt=0, le=24 * 3600)] = 600

    # Audio that is kept
    keep_audio: Literal["off", "ask", "on"] = "ask"
    recording_format: Literal["flac", "wav"] = "flac"
    retain_audio_days: Annotated[int, Field(ge=0, le=36500)] = 0
    recordings_storage: str = ""
    recordings_storage_options: dict[str, Any] = {}
    max_audio_listeners: Annotated[int, Field(ge=0, le=10_000)] = 20

    # Retention
    retain_sessions_days: Annotated[int, Field(ge=0, le=36500)] = 0
    audit_log_days: Annotated[int, Field(ge=0, le=36500)] = 365

    # Webhooks
    webhook_allow_http: bool | None = None
    webhook_allowed_networks: CommaList = []
    webhook_log_days: Annotated[int, Field(ge=3, le=3650)] = 30

    # Limits
    max_concurrent_sessions: Annotated[int, Field(ge=1)] = 150
    max_sessions_per_owner: Annotated[int, Field(ge=0)] = 5
    max_waiting_connections_per_address: Annotated[int, Field(ge=0)] = 20
    max_subscriptions_per_owner: Annotated[int, Field(ge=0)] = 100
    max_subscriptions_per_session: Annotated[int, Field(ge=0)] = 1000
    session_timeout_minutes: Annotated[float, Field(gt=0, le=24 * 60)] = 30
    console_capacity_warn_share: Annotated[float, Field(ge=0, le=1)] = 0.8
    console_capacity_danger_share: Annotated[float, Field(ge=0, le=1)] = 0.95
    console_slow_latency_ms: Annotated[int, Field(ge=0)] = 1000
    console_slow_backlog_ms: Annotated[int, Field(ge=0)] = 2000
    resume_window_seconds: Annotated[float, Field(ge=0, le=24 * 3600)] = 600
    start_timeout_seconds: Annotated[float, Field(gt=0)] = 10
    idle_timeout_seconds: Annotated[float, Field(gt=0)] = 60
    max_audio_message_bytes: Annotated[int, Field(ge=1024, le=1024 * 1024)] = 64 * 1024
    max_text_message_bytes: Annotated[int, Field(ge=1024, le=1024 * 1024)] = 16 * 1024

    @field_validator(
        "allowed_hosts", "allowed_origins", "forwarded_allow_ips", "riva_server", "webhook_allowed_networks",
        mode="before",
    )  # fmt: skip
    @classmethod
    def _split_commas(cls, value: object) -> object:
        if isinstance(value, str):
            return [part.strip() for part in value.split(",") if part.strip()]
        return value

    @field_validator("allowed_origins")
    @classmethod
    def _origins_are_whole(cls, value: list[str]) -> list[str]:
        for origin in value:
            parts = urlsplit(origin)
            if parts.scheme not in ("http", "https") or not parts.netloc or parts.path or parts.query:
                raise ValueError(f"{origin!r} is not an origin such as https://app.example.org")
        return value

    @field_validator("riva_server")
    @classmethod
    def _addresses_have_ports(cls, value: list[str]) -> list[str]:
        for address in value:
            host, colon, port = address.rpartition(":")
            if not (colon and host and port.isdigit() and 0 < int(port) < 65536):
                raise ValueError(f"{address!r} is not HOST:PORT")
        return value

    @field_validator("forwarded_allow_ips")
    @classmethod
    def _proxies_are_addresses(cls, value: list[str]) -> list[str]:
        for proxy in value:
            if proxy != "*":
                try:
                    ip_network(proxy)
                except ValueError:
                    raise ValueError(f"{proxy!r} is no address or network such as 10.0.0.0/8") from None
        return value

    @field_validator("webhook_allowed_networks")
    @classmethod
    def _networks_are_networks(cls, value: list[str]) -> list[str]:
        for network in value:
            try:
                ip_network(network)
            except ValueError:
                raise ValueError(f"{network!r} is no network such as 10.0.0.0/8") from None
        return value

    @field_validator("time_zone")
    @classmethod
    def _time_zone_is_known(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ValueError, OSError, ZoneInfoNotFoundError):
            raise ValueError(f"{value!r} is no time zone such as Europe/Berlin") from None
        return value

    @field_validator("riva_root_certificates", "riva_client_certificate", "riva_client_key", "asr_model_path")
    @classmethod
    def _file_exists(cls, value: Path | None) -> Path | None:
        if value is not None and not value.exists():
            raise ValueError(f"{value} does not exist")
        return value

    @field_validator("database_url")
    @classmethod
    def _database_is_known(cls, value: str) -> str:
        if value and urlsplit(value).scheme not in ("sqlite", "postgres", "postgresql"):
            raise ValueError("must start with sqlite:// or postgresql://")
        return value

    @field_validator("redis_url")
    @classmethod
    def _redis_is_known(cls, value: str) -> str:
        if value and urlsplit(value).scheme not in ("redis", "rediss", "unix"):
            raise ValueError("must start with redis:// or rediss://")
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if (self.riva_client_certificate is None) != (self.riva_client_key is None):
            raise ValueError("RIVA_CLIENT_CERTIFICATE and RIVA_CLIENT_KEY must be set together")
        if self.environment == "production":
            problems = self.unsafe_in_production()
            if problems:
                raise ValueError("; ".join(problems))
        return self

    def unsafe_in_production(self) -> list[str]:
        """What must not stand in the production profile, a sentence each, naming the variable."""
        problems = []
        key = self.secret_key.get_secret_value()
        if len(key) < MIN_SECRET_KEY_CHARACTERS:
            problems.append(f"SECRET_KEY must be set to at least {MIN_SECRET_KEY_CHARACTERS} random characters")
        elif len(set(key)) < MIN_DIFFERENT_CHARACTERS:
            problems.append(
                f"SECRET_KEY must be random: it has fewer than {MIN_DIFFERENT_CHARACTERS} different characters"
            )
        if not self.allowed_hosts:
            problems.append("ALLOWED_HOSTS must name the hosts this site answers for")
        if "*" in self.allowed_hosts:
            problems.append("ALLOWED_HOSTS must not contain *")
        if not self.database_url:
            problems.append("DATABASE_URL must be set (sqlite:///PATH says that SQLite is meant)")
        return problems

    @property
    def is_production(self) -> bool:
        return self.environment == "production"

    @property
    def webhooks_may_use_http(self) -> bool:
        """WEBHOOK_ALLOW_HTTP if set; otherwise in development only."""
        return not self.is_production if self.webhook_allow_http is None else self.webhook_allow_http

    @property
    def webhook_networks(self) -> list[str]:
        """Networks that are not public and may be delivered to; in development also this machine, if none are set."""
        if self.webhook_allowed_networks or self.is_production:
            return self.webhook_allowed_networks
        return ["127.0.0.0/8", "::1/128"]

    @property
    def recogniser_addresses(self) -> list[str]:
        """Where the recogniser is; the embedded one's default address when none is set."""
        return self.riva_server or [EMBEDDED_RECOGNISER_ADDRESS]

    @property
    def recogniser_uses_tls(self) -> bool:
        """RIVA_USE_TLS if set; otherwise TLS for the hosted service and wherever certificates are named."""
        if self.riva_use_tls is not None:
            return self.riva_use_tls
        if self.riva_root_certificates or self.riva_client_certificate:
            return True
        return any(address.endswith(":443") for address in self.riva_server)

    def make_data_dir(self) -> None:
        """A new one is its owner's alone: transcripts and keys lie in it."""
        self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)

    def development_secret_key(self) -> str:
        """The key of the development profile: made once, kept in DATA_DIR, readable by its owner only."""
        path = self.data_dir / "secret_key"
        self.make_data_dir()
        try:
            with open(path, "x", opener=_private_opener) as file:
                file.write(secrets.token_urlsafe(48))
        except FileExistsError:
            pass
        return path.read_text()


def _private_opener(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def describe(error: ValidationError) -> str:
    """One line for each wrong setting, naming its environment variable."""
    lines = []
    for problem in error.errors(include_url=False):
        message = problem["msg"].removeprefix("Value error, ")
        name = ".".join(str(part) for part in problem["loc"]).upper()
        lines.append(f"{name}: {message}" if name else message)
    return "\n".join(lines)


@functools.lru_cache(maxsize=1)
def get_config() -> Config:
    """The settings of this process.

    Raises ConfigError, whose text names each wrong variable.
    """
    try:
        return Config()
    except ValidationError as error:
        raise ConfigError(describe(error)) from None
