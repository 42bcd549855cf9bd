"""Targets: hosted, self-hosted and embedded differ by settings only."""

from __future__ import annotations

from pathlib import Path

import pytest

from speechsite.config import EMBEDDED_RECOGNISER_ADDRESS, Config, ConfigError
from transcription.riva.target import RivaTarget, targets_from_config

KEY = "nvapi-0123456789abcdef"


def config(**settings: object) -> Config:
    return Config.model_validate(settings)


def test_without_a_server_it_is_the_embedded_recogniser_in_plain() -> None:
    assert targets_from_config(config(riva_server="", riva_api_key=KEY)) == [RivaTarget(EMBEDDED_RECOGNISER_ADDRESS)]


def test_the_hosted_service_gets_tls_and_its_three_headers() -> None:
    [target] = targets_from_config(
        config(
            riva_server="grpc.nvcf.nvidia.com:443",
            riva_api_key=KEY + "\n",
            riva_function_id="function",
            riva_function_version_id="version",
        )
    )
    assert target.use_tls
    assert target.metadata == (
        ("authorization", f"Bearer {KEY}"),
        ("function-id", "function"),
        ("function-version-id", "version"),
    )


def test_a_self_hosted_riva_may_be_plain() -> None:
    assert targets_from_config(config(riva_server="riva:50051, riva2:50051")) == [
        RivaTarget("riva:50051"),
        RivaTarget("riva2:50051"),
    ]


def test_certificates_are_read_and_bring_tls(tmp_path: Path) -> None:
    files = {name: tmp_path / name for name in ("root", "certificate", "key")}
    for name, path in files.items():
        path.write_bytes(name.encode())
    [target] = targets_from_config(
        config(
            riva_server="riva:50051",
            riva_root_certificates=files["root"],
            riva_client_certificate=files["certificate"],
            riva_client_key=files["key"],
        )
    )
    assert target == RivaTarget("riva:50051", True, b"root", b"certificate", b"key")


def test_repr_shows_no_secret() -> None:
    target = RivaTarget(
        "riva:443",
        True,
        b"root",
        b"certificate",
        b"PRIVATE",
        (("authorization", f"Bearer {KEY}"), ("function-id", "f")),
    )
    assert KEY not in repr(target)
    assert "PRIVATE" not in repr(target)
    assert KEY in target.secrets


def test_a_certificate_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="RIVA_ROOT_CERTIFICATES"):
        targets_from_config(config(riva_server="riva:50051", riva_root_certificates=tmp_path))


@pytest.mark.parametrize("value", ["käse", "one\ntwo"])
def test_a_key_that_cannot_be_a_header_is_named_and_not_shown(value: str) -> None:
    with pytest.raises(ConfigError, match="RIVA_API_KEY") as raised:
        targets_from_config(config(riva_server="riva:50051", riva_api_key=value))
    assert value not in str(raised.value)


@pytest.mark.parametrize(
    ("target", "uses_grpcio"),
    [
        (RivaTarget("riva:50051"), False),
        (RivaTarget("10.0.0.1:50051"), False),
        (RivaTarget("[::1]:50051"), False),
        (RivaTarget("riva:50051", transport="grpcio"), True),
        (RivaTarget("riva:443", use_tls=True), True),
        (RivaTarget("dns:///riva:50051"), True),
        (RivaTarget("ipv4:10.0.0.1:50051"), True),
        (RivaTarget("ipv6:[::1]:50051"), True),
    ],
)
def test_tls_and_other_ways_to_name_an_address_go_by_grpcio(target: RivaTarget, uses_grpcio: bool) -> None:
    assert target.uses_grpcio is uses_grpcio


@pytest.mark.parametrize("transport", ["http2", "grpcio"])
@pytest.mark.parametrize("server", ["", "riva:50051"])
def test_the_transport_that_is_set_carries_the_calls(server: str, transport: str) -> None:
    [target] = targets_from_config(config(riva_server=server, riva_transport=transport))
    assert target.uses_grpcio is (transport == "grpcio")


def test_a_transport_that_nobody_knows_is_refused() -> None:
    with pytest.raises(ValueError, match="riva_transport"):
        config(riva_transport="carrier pigeon")
