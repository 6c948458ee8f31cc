"""Certificates and keys in PEM files.

While they are renewed a key lies for a moment beside the certificate of another.
What is given here always belongs together.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from otel_embedder.credentials.checks import check_certificates, check_key_pair
from otel_embedder.errors import CredentialsError

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Where the PEM files of one side of a TLS connection lie.

    Attributes:
        authorities: the authorities to trust; None is the system's own.
        certificate: the certificate to show, with those between it and its authority, or None.
        key: the certificate's private key, not encrypted; None if there is no certificate.

    """

    authorities: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    def paths(self) -> tuple[Path, ...]:
        """Give the files that there are."""
        return tuple(filter(None, (self.authorities, self.certificate, self.key)))


@dataclass(frozen=True, slots=True)
class TlsContents:
    """What the files hold; None where there is no file."""

    authorities: bytes | None = None
    certificate: bytes | None = None
    key: bytes | None = field(default=None, repr=False)


def read_tls_files(files: TlsFiles) -> TlsContents:
    """Read the files, and make sure that they can be used together.

    Raises:
        CredentialsError: one can't be read or isn't PEM, the key is another certificate's, or they
            were being written.

    """
    try:
        contents = _read(files)
        # OpenSSL reads the files by itself: only if they are still the same does its word count.
        _check(files)
        if _read(files) != contents:
            raise CredentialsError("the certificates are being written")
    except OSError as error:
        raise CredentialsError(f"{error.filename} can't be read: {error.strerror}") from error
    return contents


def _read(files: TlsFiles) -> TlsContents:
    paths = (files.authorities, files.certificate, files.key)
    return TlsContents(*(path.read_bytes() if path else None for path in paths))


def _check(files: TlsFiles) -> None:
    try:
        if files.authorities:
            check_certificates(files.authorities)
    except ValueError as error:
        raise CredentialsError(f"{files.authorities} {error}") from error
    try:
        if files.certificate and files.key:
            check_key_pair(files.certificate, files.key)
    except ValueError as error:
        raise CredentialsError(f"{files.key} {error}") from error
