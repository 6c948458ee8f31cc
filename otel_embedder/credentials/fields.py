"""Settings that name such files; what is wrong with a file is seen before it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, FilePath, SecretStr, ValidationInfo

from otel_embedder.credentials.checks import (
    check_certificates,
    check_key_pair,
    check_token,
    read_tokens,
)

if TYPE_CHECKING:
    from pathlib import Path


def _certificates(file: Path) -> Path:
    check_certificates(file)
    return file


CertificateFile = Annotated[FilePath, AfterValidator(_certificates)]


def _tokens(file: Path) -> Path:
    read_tokens(file)
    return file


TokenFile = Annotated[FilePath, AfterValidator(_tokens)]


def key_of(field: str) -> AfterValidator:
    """Give the check of a field for the private key of the certificate that `field` names.

    It stands behind that field, so that there is a certificate to compare the key with.
    """

    def check(key: Path | None, others: ValidationInfo) -> Path | None:
        # A wrong certificate is complained of itself, and is not among the others.
        certificate = others.data.get(field, key)
        if certificate and not key:
            raise ValueError(f"must be given, as {field} is")
        if key and not certificate:
            raise ValueError(f"is of no use without {field}")
        if certificate and key and field in others.data:
            check_key_pair(certificate, key)
        return key

    return AfterValidator(check)


def token_beside(field: str) -> AfterValidator:
    """Give the check of a field for the one token, where `field` may name a file of them.

    It stands behind that field, so that both are never given.
    """

    def check(token: SecretStr | None, others: ValidationInfo) -> SecretStr | None:
        if token is None:
            return token
        if others.data.get(field):
            raise ValueError(f"is of no use beside {field}")
        # An empty one must not come to mean that none is wanted.
        check_token(token.get_secret_value().encode())
        return token

    return AfterValidator(check)
