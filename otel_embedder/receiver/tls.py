"""The door's certificate, which may be renewed while the door is open."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import grpc

from otel_embedder.credentials.renewed import RenewedFiles
from otel_embedder.credentials.tls_files import read_tls_files
from otel_embedder.telemetry.logs import get_logger

if TYPE_CHECKING:
    from otel_embedder.credentials.tls_files import TlsFiles

TLS_RENEWED = "tls.renewed"
TLS_NOT_RENEWED = "tls.not_renewed"

log = get_logger()


def server_credentials(files: TlsFiles) -> grpc.ServerCredentials:
    """Give credentials for one address that follow the files as they are renewed.

    Args:
        files: certificate and key, and whose certificates clients must have; without authorities
            they need none.

    Raises:
        CredentialsError: the files don't go together, or can't be read.

    """
    renewal = Renewal(files)
    return grpc.dynamic_ssl_server_credentials(
        renewal.configuration(),
        renewal,  # type: ignore[arg-type]  # the stubs forget that it may give None
        require_client_authentication=files.authorities is not None,
    )


class Renewal:
    """Tells gRPC, which asks before each handshake, whether there is a new certificate.

    gRPC asks in threads of its own, so a slow disk keeps no span waiting.
    """

    def __init__(self, files: TlsFiles) -> None:
        """Read the files.

        Raises:
            CredentialsError: they don't go together, or can't be read.

        """
        self._certificate = str(files.certificate)
        read = partial(read_tls_files, files)
        self._files = RenewedFiles(files.paths(), read, kept=self._tell_why)

    def configuration(self) -> grpc.ServerCertificateConfiguration:
        """Give the certificate as gRPC wants it."""
        contents = self._files.current()
        # Without either, gRPC refuses: a server needs both.
        pair = (contents.key or b"", contents.certificate or b"")
        return grpc.ssl_server_certificate_configuration([pair], contents.authorities)

    def __call__(self) -> grpc.ServerCertificateConfiguration | None:
        """Give the new configuration, or None to go on with what there is."""
        if not self._files.look():
            return None
        log.info(TLS_RENEWED, certificate=self._certificate)
        return self.configuration()

    def _tell_why(self, complaint: str) -> None:
        log.warning(TLS_NOT_RENEWED, certificate=self._certificate, error=complaint)
