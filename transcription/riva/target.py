"""Where a Riva is and how it wants to be greeted. Hosted, self-hosted and embedded differ by settings only."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import SecretStr

from speechsite.config import Config, ConfigError

Metadata = tuple[tuple[str, str], ...]
Transport = Literal["http2", "grpcio"]


@dataclass(frozen=True, slots=True)
class RivaTarget:
    """One address. Certificates and keys are PEM bytes; metadata goes with every call.

    root_certificates: whom to trust, the system's roots if None. client_certificate and client_key: for
    mutual TLS, both or neither. What is secret does not show in repr. transport: what carries the calls.
    """

    address: str
    use_tls: bool = False
    root_certificates: bytes | None = field(default=None, repr=False)
    client_certificate: bytes | None = field(default=None, repr=False)
    client_key: bytes | None = field(default=None, repr=False)
    metadata: Metadata = field(default=(), repr=False)
    transport: Transport = "http2"

    @property
    def uses_grpcio(self) -> bool:
        """grpcio knows TLS and every way to name an address; the leaner transport knows HOST:PORT."""
        host = self.address.rpartition(":")[0]
        # dns:///host, ipv4:10.0.0.1; but [::1]
        has_scheme = ":" in host and not host.startswith("[")
        return self.transport == "grpcio" or self.use_tls or has_scheme

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must never appear in a text that leaves this edge."""
        values = [value for _, value in self.metadata]
        return tuple([value.removeprefix("Bearer ") for value in values] + values)


def targets_from_config(config: Config) -> list[RivaTarget]:
    """The addresses of RIVA_SERVER with its credentials, or the embedded recogniser's, which needs none.

    Raises ConfigError naming the variable whose file cannot be read or whose value cannot be sent.
    """
    if not config.riva_server:
        return [RivaTarget(address, transport=config.riva_transport) for address in config.recogniser_addresses]
    uses_tls = config.recogniser_uses_tls
    root = _read("RIVA_ROOT_CERTIFICATES", config.riva_root_certificates) if uses_tls else None
    certificate = _read("RIVA_CLIENT_CERTIFICATE", config.riva_client_certificate) if uses_tls else None
    key = _read("RIVA_CLIENT_KEY", config.riva_client_key) if uses_tls else None
    metadata = _metadata(config)
    return [
        RivaTarget(address, uses_tls, root, certificate, key, metadata, config.riva_transport)
        for address in config.recogniser_addresses
    ]


def _metadata(config: Config) -> Metadata:
    pairs = []
    if key := _sendable("RIVA_API_KEY", config.riva_api_key):
        pairs.append(("authorization", f"Bearer {key}"))
    if function_id := _sendable("RIVA_FUNCTION_ID", config.riva_function_id):
        pairs.append(("function-id", function_id))
    if version_id := _sendable("RIVA_FUNCTION_VERSION_ID", config.riva_function_version_id):
        pairs.append(("function-version-id", version_id))
    return tuple(pairs)


def _sendable(variable: str, value: str | SecretStr) -> str:
    text = (value.get_secret_value() if isinstance(value, SecretStr) else value).strip()
    if not text.isascii() or (text and not text.isprintable()):
        raise ConfigError(f"{variable}: only printable ASCII characters can be sent")
    return text


def _read(variable: str, path: Path | None) -> bytes | None:
    if path is None:
        return None
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{variable}: {path} cannot be read ({error.strerror})") from None
