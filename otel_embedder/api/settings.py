"""What may be chosen about the page and the API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, Field, FilePath, SecretStr, ValidationInfo

from otel_embedder.credentials.checks import check_token, read_tokens
from otel_embedder.credentials.fields import CertificateFile, key_of
from otel_embedder.fields import RoomSettings, check_host_and_port

if TYPE_CHECKING:
    from pathlib import Path

DEFAULT_LISTEN = "127.0.0.1:4329"


def _address(value: str) -> str:
    check_host_and_port(value)
    return value


def _token_file(value: Path) -> Path:
    read_tokens(value)
    return value


def _token(value: SecretStr | None, others: ValidationInfo) -> SecretStr | None:
    if value is None:
        return value
    if others.data.get("http_token_file"):
        raise ValueError("is of no use beside http_token_file")
    check_token(value.get_secret_value().encode())
    return value


class PageSettings(RoomSettings):
    """Where the page and the API are, and who may look."""

    http_listen: Annotated[str, AfterValidator(_address)] | None = Field(
        None,
        description="HOST:PORT of the page and the API over HTTP, which show what spans say; "
        f"`page` takes {DEFAULT_LISTEN} where nothing is said.",
    )
    http_hosts: str = Field(
        "localhost",
        description="Names by which the page is asked for, with commas, such as that of a proxy; "
        "IP addresses always will do.",
    )
    http_certificate: CertificateFile | None = Field(
        None, description="PEM file of the page's certificate; a renewed one is picked up."
    )
    http_key: Annotated[FilePath | None, key_of("http_certificate")] = Field(
        None, description="PEM file of its private key, without a password."
    )
    http_token_file: Annotated[FilePath, AfterValidator(_token_file)] | None = Field(
        None,
        description="File of the tokens, one a line, of which whoever looks must bring one; a "
        "renewed file is picked up.",
    )
    http_token: Annotated[SecretStr | None, AfterValidator(_token)] = Field(
        None,
        description="The one token that whoever looks must bring; as a flag it shows in the list "
        "of processes.",
    )
    http_insecure: bool = Field(
        False,
        description="Let other hosts look without TLS or without a token, as behind a proxy that "
        "sees to both.",
    )
