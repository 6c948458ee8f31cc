"""The channel to the next hop.

gRPC reads certificates once, when a channel is made. So when their files are renewed
a new channel takes the place of the old one, which closes when its calls are done.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

import grpc
import grpc.aio

from otel_embedder.credentials.renewed import RenewedFiles
from otel_embedder.credentials.tls_files import TlsContents, TlsFiles, read_tls_files
from otel_embedder.telemetry.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from otel_embedder.exporter.settings import Compression
    from otel_embedder.otlp.call import Metadata

    Call = grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]

CERTIFICATES_RENEWED = "next_hop.certificates_renewed"
CERTIFICATES_KEPT = "next_hop.certificates_kept"

# Certificates are renewed well before the old ones end.
LOOK_SECONDS = 10.0

COMPRESSIONS = {"none": grpc.Compression.NoCompression, "gzip": grpc.Compression.Gzip}

CHANNEL_OPTIONS = (
    # The answer is small, but an error's details may not be.
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    # The next hop is an address that was chosen, often on loopback. A proxy for
    # the web, which gRPC would take from the environment, is not on the way.
    ("grpc.enable_http_proxy", 0),
    # gRPC's own retries would hide from the Collector what happens.
    ("grpc.enable_retries", 0),
    # A next hop that restarts should be found again in a second, not in two minutes.
    ("grpc.initial_reconnect_backoff_ms", 250),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    # And where it has moved, its name should be looked up again as soon.
    ("grpc.dns_min_time_between_resolutions_ms", 2_000),
    # A name may stand for several addresses: use all of them, and do without one that is away.
    ("grpc.service_config", json.dumps({"loadBalancingConfig": [{"round_robin": {}}]})),
    # Equal channels of a process share connections: a renewed one is to make its own.
    ("grpc.use_local_subchannel_pool", 1),
    # A next hop allows no pings on a connection that nobody uses.
    ("grpc.keepalive_permit_without_calls", 0),
)
MILLISECONDS_PER_SECOND = 1_000

log = get_logger()


@dataclass(frozen=True, slots=True)
class Keepalive:
    """When to find out whether the other end is still there.

    Attributes:
        interval: seconds of silence, while a call waits, before a ping. Who pings more often than
            the next hop allows, which is every 300 s by gRPC's default, is hung up on.
        timeout: seconds until a ping, or anything else that was sent, must be acknowledged.

    """

    interval: float
    timeout: float

    def options(self) -> tuple[tuple[str, int], ...]:
        """Give the channel's options."""
        timeout = round(self.timeout * MILLISECONDS_PER_SECOND)
        return (
            ("grpc.keepalive_time_ms", round(self.interval * MILLISECONDS_PER_SECOND)),
            # The one is TCP's own limit, the other that of pings, which would be a minute.
            ("grpc.keepalive_timeout_ms", timeout),
            ("grpc.http2.ping_timeout_ms", timeout),
        )


@dataclass(frozen=True, slots=True)
class NextHop:
    """Where the spans go, and how.

    Attributes:
        url: http://HOST:PORT, or https://HOST:PORT for TLS.
        headers: gRPC metadata to send along.
        compression: none or gzip.
        keepalive: when to ping.
        files: the certificates to trust and to show, for https://.
        look_seconds: how often to look whether the certificates were renewed.

    """

    url: str
    headers: Mapping[str, str]
    compression: Compression
    keepalive: Keepalive
    files: TlsFiles = field(default_factory=TlsFiles)
    look_seconds: float = LOOK_SECONDS

    def tls_files(self) -> TlsFiles:
        """Give the files that matter: without TLS none does."""
        return self.files if urlsplit(self.url).scheme == "https" else TlsFiles()


class NextHopChannel:
    """The way to the next hop: one channel, beside those that still have calls to finish."""

    def __init__(self, next_hop: NextHop) -> None:
        self._next_hop = next_hop
        self._calls: Counter[grpc.aio.Channel] = Counter()

    async def __aenter__(self) -> Self:
        self._files = await asyncio.to_thread(_renewed, self._next_hop)
        self._channel = _open(self._next_hop, self._files.current())
        self._watcher = asyncio.create_task(self._watch())
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._watcher.cancel()
        await asyncio.wait([self._watcher])
        for channel in {self._channel, *self._calls}:
            await channel.close()

    async def call(
        self,
        method: str,
        encoded: bytes,
        *,
        timeout: float,  # noqa: ASYNC109 - gRPC tells the next hop, too
        metadata: Metadata,
    ) -> bytes:
        """Call a method by its full name with an encoded request; give the encoded answer, if any.

        Raises:
            grpc.aio.AioRpcError: the next hop did not say OK, or nothing within `timeout` seconds.

        """
        channel = self._channel
        self._calls[channel] += 1
        try:
            export: Call = channel.unary_unary(method)
            answer = await export(encoded, timeout=timeout, metadata=metadata)
            # An OK without a message, which gRPC takes for an answer, is an OK.
            return answer or b""
        finally:
            self._calls[channel] -= 1
            await self._close_if_done(channel)

    async def _close_if_done(self, channel: grpc.aio.Channel) -> None:
        if channel is not self._channel and not self._calls[channel]:
            del self._calls[channel]
            await channel.close()

    async def _watch(self) -> None:
        while self._next_hop.tls_files().paths():
            await asyncio.sleep(self._next_hop.look_seconds)
            if await asyncio.to_thread(self._files.look):
                await self._renew()

    async def _renew(self) -> None:
        old = self._channel
        self._channel = _open(self._next_hop, self._files.current())
        await self._close_if_done(old)
        log.info(CERTIFICATES_RENEWED, next_hop=self._next_hop.url)


def _renewed(next_hop: NextHop) -> RenewedFiles[TlsContents]:
    files, kept = next_hop.tls_files(), partial(_tell_why, next_hop.url)
    return RenewedFiles(files.paths(), partial(read_tls_files, files), kept=kept)


def _tell_why(url: str, complaint: str) -> None:
    # There may be others than that of the spans: where the sidecar tells of itself.
    log.warning(CERTIFICATES_KEPT, next_hop=url, reason=complaint)


def _open(next_hop: NextHop, contents: TlsContents) -> grpc.aio.Channel:
    url = urlsplit(next_hop.url)
    options = (*CHANNEL_OPTIONS, *next_hop.keepalive.options())
    compression = COMPRESSIONS[next_hop.compression]
    if url.scheme == "http":
        return grpc.aio.insecure_channel(url.netloc, options, compression)
    credentials = grpc.ssl_channel_credentials(
        contents.authorities, contents.key, contents.certificate
    )
    return grpc.aio.secure_channel(url.netloc, credentials, options, compression)
