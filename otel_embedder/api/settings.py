"""What may be chosen about the page and the API."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, FilePath, SecretStr

from otel_embedder.credentials.fields import CertificateFile, TokenFile, key_of, token_beside
from otel_embedder.fields import RoomSettings, check_host_and_port

DEFAULT_LISTEN = "127.0.0.1:4329"


def _address(value: str) -> str:
    check_host_and_port(value)
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
    http_token_file: TokenFile | None = Field(
        None,
        description="File of the tokens, one a line, of which whoever looks must bring one; a "
        "renewed file is picked up.",
    )
    http_token: Annotated[SecretStr | None, token_beside("http_token_file")] = Field(
        None,
        description="The one token that whoever looks must bring; as a flag it shows in the list "
        "of processes.",
    )
    http_insecure: bool = Field(
        False,
        description="Let other hosts look without TLS or without a token, as behind a proxy that "
        "sees to both.",
    )
