"""Settings that name such files; what is wrong with a file is seen before it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, FilePath, ValidationInfo

from otel_embedder.credentials.checks import check_certificates, check_key_pair

if TYPE_CHECKING:
    from pathlib import Path


def _certificates(file: Path) -> Path:
    check_certificates(file)
    return file


CertificateFile = Annotated[FilePath, AfterValidator(_certificates)]


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
