"""The server behind the door: where it listens, who is let in, and what a connection may cost."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2_grpc
from grpc_health.v1.health import SERVICE_NAME as HEALTH_SERVICE

from otel_embedder.credentials.tls_files import TlsFiles
from otel_embedder.credentials.tokens import tokens_of
from otel_embedder.errors import CredentialsError, SettingsError
from otel_embedder.receiver.addresses import (
    SOCKET_PREFIX,
    addresses,
    no_such_address,
    remove_dead,
    share,
    socket_path,
)
from otel_embedder.receiver.closing import Closing, EndingStreams
from otel_embedder.receiver.health import HealthServicer
from otel_embedder.receiver.intake.inflate import SmallRequests
from otel_embedder.receiver.reflection import add_reflection
from otel_embedder.receiver.tls import server_credentials
from otel_embedder.receiver.tokens import Access, TokenCheck

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from otel_embedder.receiver.settings import ListenSettings, ServerSettings

COMMON_OPTIONS = (
    # The Collector pings every 10 s if told so; grpcio's default takes a ping more
    # often than every five minutes for abuse and hangs up.
    ("grpc.http2.min_ping_interval_without_data_ms", 1_000),
    ("grpc.keepalive_permit_without_calls", 1),
    # A host that went without a word is noticed in a minute and a half, not in two hours.
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    # Who connects must say something, with TLS or without. The default is two minutes.
    ("grpc.server_handshake_timeout_ms", 10_000),
    # More calls at once wait at the client's end; they are not refused.
    ("grpc.max_concurrent_streams", 1_000),
    # Above 8 KiB of headers grpcio refuses at random, and the Collector drops. So one clear
    # bound, above what a Collector passes on of its own callers.
    ("grpc.max_metadata_size", 64 * 1024),
    ("grpc.absolute_max_metadata_size", 64 * 1024),
    # The receiver inflates what is compressed, within bounds; see `inflate`.
    ("grpc.per_message_decompression", 0),
    # What comes before anybody reads it: 64 KiB a call. With the probe it can be megabytes.
    ("grpc.http2.bdp_probe", 0),
)
# A second sidecar on the same port should fail, not share it in silence.
SERVER_OPTIONS = (*COMMON_OPTIONS, ("grpc.so_reuseport", 0))
# But for those whose supervisor keeps it for them.
WORKER_OPTIONS = (*COMMON_OPTIONS, ("grpc.so_reuseport", 1))


@asynccontextmanager
async def listening(
    handlers: Sequence[grpc.GenericRpcHandler],
    settings: ServerSettings,
    closing: Closing,
    *,
    options: Sequence[tuple[str, int]] = SERVER_OPTIONS,
    health: HealthServicer | None = None,
) -> AsyncIterator[int]:
    """Listen, with health and reflection; give the first port, 0 if there are only Unix sockets.

    Args:
        handlers: what is served.
        settings: where to listen, and for whom.
        closing: is begun when the server is to stop; what is in flight has its time all the same.
        options: gRPC's own.
        health: tells how it is; None is one that needs to know nothing else.

    Raises:
        ListenError: an address can't be had.
        SettingsError: the certificate or the tokens can't be read any more.

    """
    health = health or HealthServicer()
    server = _server(handlers, settings, closing, options, health)
    tls = _tls_files(settings)
    ports = [_bind(server, address, tls) for address in addresses(settings.listen)]
    await health.begin()
    await server.start()
    try:
        yield next(filter(None, ports), 0)
    finally:
        await health.enter_graceful_shutdown()
        closing.begin()
        await server.stop(settings.shutdown_timeout)


def _server(
    handlers: Sequence[grpc.GenericRpcHandler],
    settings: ListenSettings,
    closing: Closing,
    options: Sequence[tuple[str, int]],
    health: HealthServicer,
) -> grpc.aio.Server:
    """Give the server with all its services."""
    limit = ("grpc.max_receive_message_length", int(settings.max_receive_bytes))
    interceptors = (*_token_checks(settings), SmallRequests(), EndingStreams(closing))
    server = grpc.aio.server(options=(*options, limit), interceptors=interceptors)
    server.add_generic_rpc_handlers(handlers)
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    add_reflection(server, (*_names(handlers), HEALTH_SERVICE))
    return server


def _names(handlers: Sequence[grpc.GenericRpcHandler]) -> list[str]:
    named = (each for each in handlers if isinstance(each, grpc.ServiceRpcHandler))
    return [each.service_name() for each in named]


def access(settings: ListenSettings) -> Access:
    """Give who may call: whoever knows the token, where one is asked for."""
    return Access(tokens_of(settings.bearer_token, settings.bearer_token_file))


def _token_checks(settings: ListenSettings) -> tuple[TokenCheck, ...]:
    try:
        # Who probes the health has no token.
        return access(settings).checks(open_services=(HEALTH_SERVICE,))
    except CredentialsError as error:
        raise SettingsError([f"bearer_token_file: {error}"]) from error


def _tls_files(settings: ListenSettings) -> TlsFiles | None:
    if settings.tls_certificate is None:
        return None
    return TlsFiles(settings.tls_client_authority, settings.tls_certificate, settings.tls_key)


def _bind(server: grpc.aio.Server, address: str, tls: TlsFiles | None) -> int:
    """Listen on one address; give its port, 0 if it is a Unix socket."""
    path = socket_path(address)
    if path is None:
        return _bind_port(server, address, tls)
    remove_dead(path)
    _bind_port(server, f"{SOCKET_PREFIX}{path}", None)  # the file's mode says who may connect
    share(path)
    return 0


def _bind_port(server: grpc.aio.Server, address: str, tls: TlsFiles | None) -> int:
    try:
        if tls is None:
            return server.add_insecure_port(address)
        return server.add_secure_port(address, _credentials(tls))
    except RuntimeError as error:
        raise no_such_address(address) from error


def _credentials(tls: TlsFiles) -> grpc.ServerCredentials:
    try:
        return server_credentials(tls)
    except CredentialsError as error:
        raise SettingsError([f"tls_certificate, tls_key: {error}"]) from error
