"""What ends a call: headers, resets and HTTP's statuses as gRPC's. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from urllib.parse import unquote

from grpc import StatusCode
from grpc.aio import Metadata

from transcription.riva.http2.frames import ErrorCode, name_of

Header = tuple[str, str]
Status = tuple[StatusCode, str]

CODES: Mapping[str, StatusCode] = MappingProxyType({str(code.value[0]): code for code in StatusCode})
# doc/http-grpc-status-mapping.md of gRPC: for answers that are not gRPC's own.
HTTP_STATUSES: Mapping[str, StatusCode] = MappingProxyType(
    {
        "400": StatusCode.INTERNAL,
        "401": StatusCode.UNAUTHENTICATED,
        "403": StatusCode.PERMISSION_DENIED,
        "404": StatusCode.UNIMPLEMENTED,
        "429": StatusCode.UNAVAILABLE,
        "502": StatusCode.UNAVAILABLE,
        "503": StatusCode.UNAVAILABLE,
        "504": StatusCode.UNAVAILABLE,
    }
)
# PROTOCOL-HTTP2.md of gRPC, "Errors"; all others are INTERNAL.
RESETS: Mapping[int, StatusCode] = MappingProxyType(
    {
        ErrorCode.REFUSED_STREAM: StatusCode.UNAVAILABLE,
        ErrorCode.CANCEL: StatusCode.CANCELLED,
        ErrorCode.ENHANCE_YOUR_CALM: StatusCode.RESOURCE_EXHAUSTED,
        ErrorCode.INADEQUATE_SECURITY: StatusCode.PERMISSION_DENIED,
    }
)
RESERVED = frozenset(("content-type", "grpc-encoding", "grpc-accept-encoding", "grpc-status", "grpc-message"))


def metadata_of(headers: Iterable[Header]) -> Metadata:
    """What an application put into headers."""
    return Metadata(*[(name, value) for name, value in headers if name[:1] != ":" and name not in RESERVED])


def status_of_trailers(headers: Iterable[Header]) -> Status:
    """The status that the last headers of a stream carry."""
    fields = dict(headers)
    code = fields.get("grpc-status")
    if code is not None:
        return CODES.get(code, StatusCode.UNKNOWN), unquote(fields.get("grpc-message", ""))
    if ":status" in fields and fields[":status"] != "200":
        return status_of_http(fields[":status"])
    return StatusCode.UNKNOWN, "the server ended the stream without a status"


def status_of_http(http_status: str) -> Status:
    """The status of an answer that is none of gRPC's."""
    return HTTP_STATUSES.get(http_status, StatusCode.UNKNOWN), f"the server answered with HTTP status {http_status}"


def status_of_reset(code: int) -> Status:
    """The status of a stream that the server reset."""
    return RESETS.get(code, StatusCode.INTERNAL), f"the server reset the stream: {name_of(code)}"
