"""The page's certificate, which is shown anew when somebody renews it."""

from __future__ import annotations

import ssl
import threading
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from otel_embedder.credentials.renewed import RenewedFiles
from otel_embedder.credentials.tls_files import read_tls_files
from otel_embedder.errors import CredentialsError, SettingsError
from otel_embedder.telemetry.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_embedder.credentials.tls_files import TlsFiles

PAGE_TLS_RENEWED = "page.tls_renewed"
PAGE_TLS_NOT_RENEWED = "page.tls_not_renewed"
LOOK_SECONDS = 10.0

log = get_logger()


@contextmanager
def tls_context(files: TlsFiles, *, look_seconds: float = LOOK_SECONDS) -> Iterator[ssl.SSLContext]:
    """Give what shows a certificate, and look after it as long as it is shown.

    Args:
        files: certificate and key.
        look_seconds: how long after a renewal the old one may be shown.

    Raises:
        SettingsError: they can't be read any more.

    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        renewed = RenewedFiles(files.paths(), partial(read_tls_files, files), kept=_tell_why)
        _show(context, files)
    except CredentialsError as error:
        raise SettingsError([f"http_certificate, http_key: {error}"]) from error
    over = threading.Event()
    looking = threading.Thread(
        target=_look, args=(context, files, renewed, over, look_seconds), name="tls", daemon=True
    )
    looking.start()
    try:
        yield context
    finally:
        over.set()
        looking.join()


def _look(
    context: ssl.SSLContext,
    files: TlsFiles,
    renewed: RenewedFiles[object],
    over: threading.Event,
    look_seconds: float,
) -> None:
    while not over.wait(look_seconds):
        if not renewed.look():
            continue
        try:
            _show(context, files)
        except CredentialsError as error:
            _tell_why(str(error))
        else:
            log.info(PAGE_TLS_RENEWED, certificate=str(files.certificate))


def _show(context: ssl.SSLContext, files: TlsFiles) -> None:
    """Show what the files hold from the next handshake on.

    Raises:
        CredentialsError: they were renewed once more this moment.

    """
    try:
        context.load_cert_chain(files.certificate or "", files.key, password="")
    except (OSError, ssl.SSLError) as error:
        raise CredentialsError(
            f"{files.certificate} or {files.key} can't be used: {error}"
        ) from error


def _tell_why(complaint: str) -> None:
    log.warning(PAGE_TLS_NOT_RENEWED, error=complaint)
