"""What the files must be by which one proves who one is: certificates, keys, tokens."""

from __future__ import annotations

import re
import ssl
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

# gRPC's metadata takes nothing else, and a space would end the token.
TOKEN = re.compile(rb"[\x21-\x7e]+")


def check_certificates(file: Path) -> None:
    """Make sure that a file holds certificates.

    Raises:
        ValueError: it does not, or can't be read.

    """
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(file)
    except ssl.SSLError as error:
        raise ValueError("must be a PEM file with certificates") from error
    except OSError as error:
        raise ValueError(f"can't be read: {error.strerror}") from error


def check_key_pair(certificate: Path, key: Path) -> None:
    """Make sure that a private key belongs to a certificate.

    Raises:
        ValueError: it does not, or one of them can't be read.

    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # Without a word about it, OpenSSL would ask for a password on the terminal.
        context.load_cert_chain(certificate, key, password="")
    except ssl.SSLError as error:
        raise ValueError(
            f"must be the private key of the certificate in {certificate}, as PEM and without a "
            f"password ({error.reason or error})"
        ) from error
    except OSError as error:
        raise ValueError(f"{key} or {certificate} can't be read: {error.strerror}") from error


def read_tokens(file: Path) -> tuple[bytes, ...]:
    """Give the tokens in a file, one a line.

    Raises:
        ValueError: it holds none, or can't be read.

    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise ValueError(f"can't be read: {error.strerror}") from error
    tokens = tuple(line.strip() for line in content.splitlines() if line.strip())
    if not tokens:
        raise ValueError("must hold a token, or several, one a line")
    for token in tokens:
        check_token(token)
    return tokens


def check_token(token: bytes) -> None:
    """Make sure that a token can come in a header.

    Raises:
        ValueError: it can't.

    """
    if not TOKEN.fullmatch(token):
        raise ValueError("a token must be printable ASCII without spaces")
