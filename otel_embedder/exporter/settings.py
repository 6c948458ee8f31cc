"""What may be chosen about the next hop, and about where the sidecar tells of itself."""

from __future__ import annotations

import re
from typing import Annotated, Literal
from urllib.parse import SplitResult, unquote, urlsplit

from pydantic import AfterValidator, BeforeValidator, ByteSize, Field, FilePath, PositiveFloat

from otel_embedder.credentials.fields import CertificateFile, key_of
from otel_embedder.fields import (
    MAX_MESSAGE_BYTES,
    MAX_PORT,
    MAX_SECONDS,
    EmptyForNone,
    RoomSettings,
    check_host_and_port,
)

# By OTLP's specification: of OTLP/gRPC, and of OTLP/HTTP.
USUAL_PORT = 4317
HTTP_PATHS = {"/v1/traces", "/v1/metrics"}

Compression = Literal["none", "gzip"]


def _url(value: str) -> str:
    url = urlsplit(value)
    if url.scheme in {"http", "https"} and url.hostname and not _has_port(url.netloc):
        raise ValueError(f"needs a port, such as {_usual(url)}")
    if url.path.rstrip("/") in HTTP_PATHS:
        raise ValueError(
            f"is OTLP/HTTP's, and only OTLP/gRPC is spoken here: {_usual(url)}, where that is its "
            "port there"
        )
    is_plain = url.path in {"", "/"} and not (url.query or url.fragment or url.username)
    if url.scheme not in {"http", "https"} or not url.hostname or not is_plain:
        raise ValueError("must be http://HOST:PORT, or https://HOST:PORT for TLS")
    try:
        check_host_and_port(url.netloc)
    except ValueError as error:
        raise ValueError(f"needs a port up to {MAX_PORT}, such as {_usual(url)}") from error
    return value


def _usual(url: SplitResult) -> str:
    """Give the address of the same host with the port that OTLP/gRPC mostly has."""
    host = url.hostname or ""
    return f"{url.scheme}://{f'[{host}]' if ':' in host else host}:{USUAL_PORT}"


def _has_port(netloc: str) -> bool:
    return netloc.rpartition("]")[2].rpartition(":")[1] == ":"


def _pairs(value: object) -> object:
    """Read `key=value,key2=value2` with values URL-encoded, as OTEL_EXPORTER_OTLP_HEADERS."""
    if not isinstance(value, str):
        return value
    pairs = [pair.partition("=") for pair in value.split(",") if pair.strip()]
    if not all(equals for _, equals, _ in pairs):
        raise ValueError("must be KEY=VALUE,KEY=VALUE")
    return {key.strip(): _unquoted(key.strip(), text.strip()) for key, _, text in pairs}


def _unquoted(key: str, text: str) -> str:
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"the value of {key} is not UTF-8; write it URL-encoded as UTF-8"
        ) from error


def _metadata(headers: dict[str, str]) -> dict[str, str]:
    """Make sure that gRPC takes the headers: it fails each call with what it does not."""
    lowered = {key.lower(): text for key, text in headers.items()}
    for key, text in lowered.items():
        if not re.fullmatch(r"[0-9a-z_.-]+", key) or key.startswith("grpc-"):
            raise ValueError(f"{key!r} is no name for a header: letters, digits, _ . and - are")
        if not re.fullmatch(r"[\x20-\x7e]*", text) or key.endswith("-bin"):
            raise ValueError(f"the value of {key} must be printable ASCII")
    return lowered


def _attributes(pairs: dict[str, str]) -> dict[str, str]:
    """Make sure that OTLP can tell these attributes."""
    for key, text in pairs.items():
        if not key:
            raise ValueError("has a value without a key; must be KEY=VALUE,KEY=VALUE")
        for what, said in (("key", key), ("value", text)):
            try:
                said.encode()
            except UnicodeEncodeError as error:
                raise ValueError(
                    f"the {what} of {key!a} is not UTF-8; write it as UTF-8"
                ) from error
    return pairs


OtlpUrl = Annotated[str, AfterValidator(_url)]
Headers = Annotated[
    dict[str, str], BeforeValidator(_pairs), AfterValidator(_metadata), EmptyForNone()
]
Attributes = Annotated[
    dict[str, str], BeforeValidator(_pairs), AfterValidator(_attributes), EmptyForNone()
]


class NextHopSettings(RoomSettings):
    """Where the spans go, and how."""

    next_hop: OtlpUrl = Field(
        "http://127.0.0.1:4337",
        description="http:// or https:// HOST:PORT to send the spans on to.",
    )
    next_hop_headers: Headers = Field(
        {},
        description="KEY=VALUE,... to send along as gRPC metadata, values URL-encoded; empty for "
        "none.",
    )
    next_hop_compression: Compression = Field("none", description="none or gzip.")
    next_hop_certificate: CertificateFile | None = Field(
        None, description="PEM file of the authorities to trust for https://, else the system's."
    )
    next_hop_client_certificate: CertificateFile | None = Field(
        None, description="PEM file of the certificate to show to the next hop, if it wants one."
    )
    # Behind its certificate, which it has to fit.
    next_hop_client_key: Annotated[FilePath | None, key_of("next_hop_client_certificate")] = Field(
        None, description="PEM file of that certificate's private key, not encrypted."
    )
    next_hop_timeout: PositiveFloat = Field(
        10.0, le=MAX_SECONDS, description="Seconds that one request to the next hop may take."
    )
    next_hop_keepalive: PositiveFloat = Field(
        310.0,
        ge=1,
        le=MAX_SECONDS,
        description="Seconds of silence, while a request waits for its answer, before a ping. Most "
        "servers hang up on whoever pings more often than every 300 s.",
    )
    next_hop_keepalive_timeout: PositiveFloat = Field(
        20.0,
        ge=1,
        le=MAX_SECONDS,
        description="Seconds without an acknowledgement, of a ping or of anything sent, after "
        "which the next hop is connected to anew.",
    )
    max_send_bytes: ByteSize = Field(
        ByteSize(4 * 1024 * 1024 - 4096),
        ge=1024,
        le=MAX_MESSAGE_BYTES,
        description="Largest request sent on, in bytes; a larger one is split between spans.",
    )


class TelemetrySettings(RoomSettings):
    """Where the sidecar's own metrics and spans are sent by OTLP/gRPC, and how."""

    metrics_otlp_endpoint: OtlpUrl | None = Field(
        None,
        description="http:// or https:// HOST:PORT to push the metrics to by OTLP/gRPC; whether "
        "they are scraped as well is metrics_listen's business.",
    )
    metrics_otlp_interval: PositiveFloat = Field(
        60.0,
        ge=1,
        le=MAX_SECONDS,
        description="Seconds after which the metrics are pushed again.",
    )
    traces_otlp_endpoint: OtlpUrl | None = Field(
        None,
        description="http:// or https:// HOST:PORT to send spans of the sidecar's own work to by "
        "OTLP/gRPC, one a request and one a stage of it; needs otel-embedder[telemetry].",
    )
    traces_otlp_ratio: float = Field(
        1.0,
        ge=0,
        le=1,
        description="Share of the requests that get spans of their own; where a caller's "
        "traceparent says whether, that counts.",
    )
    telemetry_headers: Headers = Field(
        {},
        description="KEY=VALUE,... to send along with the sidecar's own metrics and spans; values "
        "are URL-encoded; empty for none.",
    )
    telemetry_resource: Attributes = Field(
        {},
        description="KEY=VALUE,... that these say of who sends them, as OTEL_RESOURCE_ATTRIBUTES "
        "has it, such as k8s.pod.name=...; empty for none.",
    )
    telemetry_certificate: CertificateFile | None = Field(
        None, description="PEM file of the authorities to trust for these, else the system's."
    )
    telemetry_client_certificate: CertificateFile | None = Field(
        None, description="PEM file of the certificate to show with these, if one is wanted."
    )
    # Behind its certificate, which it has to fit.
    telemetry_client_key: Annotated[FilePath | None, key_of("telemetry_client_certificate")] = (
        Field(None, description="PEM file of that certificate's private key, not encrypted.")
    )
    telemetry_timeout: PositiveFloat = Field(
        10.0, le=MAX_SECONDS, description="Seconds that one message with these may take."
    )
