"""Wrong settings end the start with sentences that name the variables."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from speechsite.config import BASE_DIR, Config, describe

SAFE = {
    "ENVIRONMENT": "production",
    "SECRET_KEY": "for-tests-only-" * 3,
    "ALLOWED_HOSTS": "speech.example.org",
    "DATABASE_URL": "sqlite://",
}

WRONG = [
    ("ENVIRONMENT", "staging"),
    ("API_V1_STR", "api"),
    ("PORT", "70000"),
    ("PORT", "http"),
    ("WORKERS", "0"),
    ("ALLOWED_ORIGINS", "app.example.org"),
    ("ALLOWED_ORIGINS", "https://app.example.org/path"),
    ("FORWARDED_ALLOW_IPS", "proxy.example.org"),
    ("DATABASE_URL", "mysql://somewhere/name"),
    ("REDIS_URL", "http://somewhere"),
    ("TIME_ZONE", "Berlin"),
    ("LOG_FORMAT", "xml"),
    ("LOG_LEVEL", "LOUD"),
    ("RIVA_SERVER", "somewhere"),
    ("RIVA_SERVER", "somewhere:50051, elsewhere:99999"),
    ("RIVA_USE_TLS", "maybe"),
    ("RIVA_ROOT_CERTIFICATES", "/nowhere/ca.pem"),
    ("RIVA_CLIENT_CERTIFICATE", "/nowhere/client.pem"),
    ("RIVA_CLIENT_KEY", "/nowhere/client.key"),
    ("ASR_MAX_STREAMS", "0"),
    ("ASR_MODEL_PATH", "/nowhere"),
    ("ASR_THREADS", "-1"),
    ("WEBHOOK_ALLOWED_NETWORKS", "10.0.0.0/8, intranet"),
    ("WEBHOOK_ALLOWED_NETWORKS", "10.0.0.1/8"),
    ("WEBHOOK_LOG_DAYS", "1"),
    ("MAX_CONCURRENT_SESSIONS", "0"),
    ("SESSION_TIMEOUT_MINUTES", "0"),
    ("SESSION_TIMEOUT_MINUTES", "2000"),
    ("START_TIMEOUT_SECONDS", "-1"),
    ("IDLE_TIMEOUT_SECONDS", "never"),
    ("MAX_AUDIO_MESSAGE_BYTES", "1"),
    ("MAX_TEXT_MESSAGE_BYTES", "99999999"),
]


def read(monkeypatch: pytest.MonkeyPatch, settings: dict[str, str]) -> Config:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    return Config()


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_it_names_the_variable_that_is_wrong(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    with pytest.raises(ValidationError) as caught:
        read(monkeypatch, {name: value})

    assert describe(caught.value).startswith(f"{name}: ")


def test_it_names_every_wrong_variable_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValidationError) as caught:
        read(monkeypatch, {"PORT": "x", "WORKERS": "x"})

    assert [line.split(":")[0] for line in describe(caught.value).splitlines()] == ["PORT", "WORKERS"]


def test_a_client_certificate_wants_its_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    certificate = tmp_path / "client.pem"
    certificate.touch()

    with pytest.raises(ValidationError) as caught:
        read(monkeypatch, {"RIVA_CLIENT_CERTIFICATE": str(certificate)})

    assert "RIVA_CLIENT_KEY" in describe(caught.value)


def test_production_starts_with_safe_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read(monkeypatch, SAFE).is_production


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SECRET_KEY", ""),
        ("SECRET_KEY", "short"),
        ("SECRET_KEY", "x" * 50),
        ("SECRET_KEY", "secrets" * 10),
        ("ALLOWED_HOSTS", ""),
        ("ALLOWED_HOSTS", "*"),
        ("ALLOWED_HOSTS", "speech.example.org,*"),
        ("DATABASE_URL", ""),
    ],
)
def test_production_refuses_an_unsafe_setting(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    with pytest.raises(ValidationError) as caught:
        read(monkeypatch, {**SAFE, name: value})

    assert name in describe(caught.value)


def test_secrets_are_not_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    config = read(monkeypatch, {**SAFE, "RIVA_API_KEY": "nvapi-very-secret"})

    assert "very-secret" not in repr(config)
    assert SAFE["SECRET_KEY"] not in repr(config)


def test_the_development_key_is_made_once_and_is_private(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    config = read(monkeypatch, {"DATA_DIR": str(tmp_path / "data")})

    assert config.development_secret_key() == config.development_secret_key()
    assert (tmp_path / "data" / "secret_key").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, False),
        ({"RIVA_SERVER": "riva.example.org:50051"}, False),
        ({"RIVA_SERVER": "grpc.nvcf.nvidia.com:443"}, True),
        ({"RIVA_SERVER": "grpc.nvcf.nvidia.com:443", "RIVA_USE_TLS": "false"}, False),
        ({"RIVA_SERVER": "riva.example.org:50051", "RIVA_USE_TLS": "true"}, True),
    ],
)
def test_tls_follows_the_address_unless_it_is_set(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], expected: bool
) -> None:
    assert read(monkeypatch, settings).recogniser_uses_tls is expected


@pytest.mark.parametrize(
    ("name", "value"), [("PORT", "never"), ("ENVIRONMENT", "production"), ("DATA_DIR", "/dev/null/data")]
)
def test_a_command_ends_with_a_sentence_and_no_traceback(name: str, value: str) -> None:
    outcome = subprocess.run(
        [sys.executable, BASE_DIR / "manage.py", "serve"],
        env={**os.environ, name: value},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert outcome.returncode == 1
    assert "Traceback" not in outcome.stderr
    assert ("SECRET_KEY" if name == "ENVIRONMENT" else name) in outcome.stderr


def test_in_production_webhooks_are_encrypted_and_public_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    config = read(monkeypatch, SAFE)
    assert (config.webhooks_may_use_http, config.webhook_networks) == (False, [])
    config = read(monkeypatch, {"WEBHOOK_ALLOW_HTTP": "true", "WEBHOOK_ALLOWED_NETWORKS": "10.0.0.0/8"})
    assert (config.webhooks_may_use_http, config.webhook_networks) == (True, ["10.0.0.0/8"])


def test_in_development_webhooks_may_go_to_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    config = read(monkeypatch, {"ENVIRONMENT": "development"})
    assert config.webhooks_may_use_http
    assert config.webhook_networks == ["127.0.0.0/8", "::1/128"]
    assert read(monkeypatch, {"WEBHOOK_ALLOWED_NETWORKS": "10.0.0.0/8"}).webhook_networks == ["10.0.0.0/8"]
