"""What may be chosen about the door."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import (
    AfterValidator,
    ByteSize,
    Field,
    FilePath,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    ValidationInfo,
)

from otel_embedder.credentials.checks import check_certificates
from otel_embedder.credentials.fields import CertificateFile, TokenFile, key_of, token_beside
from otel_embedder.fields import MAX_MESSAGE_BYTES, MAX_SECONDS, RoomSettings
from otel_embedder.receiver.addresses import addresses, check_address

if TYPE_CHECKING:
    from pathlib import Path


def _addresses(value: str) -> str:
    for address in addresses(value):
        check_address(address)
    return value


def _client_authority(value: Path | None, others: ValidationInfo) -> Path | None:
    if value:
        check_certificates(value)
        if others.data.get("tls_certificate", value) is None:
            raise ValueError("is of no use without tls_certificate and tls_key")
    return value


class ListenSettings(RoomSettings):
    """Where to listen, whom to let in, and how much to take in."""

    listen: Annotated[str, AfterValidator(_addresses)] = Field(
        "127.0.0.1:4327",
        description="HOST:PORT or unix:PATH to receive OTLP/gRPC on; several with commas.",
    )
    # Each of these behind those that have a say in what it may be.
    tls_certificate: CertificateFile | None = Field(
        None, description="PEM file of the certificate to show; a renewed one is picked up."
    )
    tls_key: Annotated[FilePath | None, key_of("tls_certificate")] = Field(
        None, description="PEM file of its private key, without a password."
    )
    tls_client_authority: Annotated[FilePath | None, AfterValidator(_client_authority)] = Field(
        None, description="PEM file of the authorities that clients must have a certificate of."
    )
    listen_insecure: bool = Field(
        False, description="Let other hosts send without TLS, as within a pod or a safe network."
    )
    bearer_token_file: TokenFile | None = Field(
        None,
        description="File of the tokens, one a line, of which senders must bring one; a renewed "
        "file is picked up.",
    )
    bearer_token: Annotated[SecretStr | None, token_beside("bearer_token_file")] = Field(
        None,
        description="The one token that senders must bring; as a flag it shows in the list of "
        "processes.",
    )
    max_receive_bytes: ByteSize = Field(
        ByteSize(64 * 1024 * 1024),
        ge=1024,
        le=MAX_MESSAGE_BYTES,
        description="Largest request taken in, decompressed; in bytes, or with a unit (64MiB).",
    )
    assumed_deadline: PositiveFloat = Field(
        10.0,
        le=MAX_SECONDS,
        description="Seconds that a caller waits for its answer who sends no deadline, as OTLP has "
        "it; from arrival.",
    )
    max_inflight_requests: PositiveInt = Field(
        256, description="Requests in flight at most; more are refused for a while."
    )
    max_inflight_bytes: ByteSize = Field(
        ByteSize(64 * 1024 * 1024),
        ge=1024,
        description="Bytes that the requests in flight have at most, decompressed; a request that "
        "is alone may have more.",
    )


class ServerSettings(ListenSettings):
    """The door, from its opening to its end."""

    shutdown_timeout: PositiveFloat = Field(
        20.0,
        le=MAX_SECONDS,
        description="Seconds that requests in flight have to finish after SIGTERM.",
    )
    workers: PositiveInt = Field(
        1,
        le=64,
        description="Processes that share the work on several cores, the connections dealt out "
        "among them; see docs/scale.md.",
    )
