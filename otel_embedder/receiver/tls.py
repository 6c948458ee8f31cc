"""The door's certificate, which may be renewed while the door is open."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc

from otel_embedder.credentials.checks import state_of
from otel_embedder.credentials.tls_files import read_tls_files
from otel_embedder.errors import CredentialsError
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
        _configuration(files),
        renewal,  # type: ignore[arg-type]  # the stubs forget that it may give None
        require_client_authentication=files.authorities is not None,
    )


class Renewal:
    """Tells gRPC, which asks before each handshake, whether there is a new certificate.

    gRPC asks in threads of its own, one at a time, so a slow disk keeps no span waiting.
    """

    def __init__(self, files: TlsFiles) -> None:
        self._files = files
        paths = (files.authorities, files.certificate, files.key)
        self._paths = tuple(path for path in paths if path)
        self._state = state_of(self._paths)

    def __call__(self) -> grpc.ServerCertificateConfiguration | None:
        """Give the new configuration, or None to go on with what there is."""
        # Taken before the files are read: what changes meanwhile is seen the next time.
        state = state_of(self._paths)
        if state == self._state:
            return None
        self._state = state
        return self._renewed()

    def _renewed(self) -> grpc.ServerCertificateConfiguration | None:
        try:
            configuration = _configuration(self._files)
        except CredentialsError as error:
            log.warning(TLS_NOT_RENEWED, certificate=str(self._files.certificate), error=str(error))
            return None
        log.info(TLS_RENEWED, certificate=str(self._files.certificate))
        return configuration


def _configuration(files: TlsFiles) -> grpc.ServerCertificateConfiguration:
    contents = read_tls_files(files)
    # Without either, gRPC refuses: a server needs both.
    pair = (contents.key or b"", contents.certificate or b"")
    return grpc.ssl_server_certificate_configuration([pair], contents.authorities)
