"""Sends requests to the next hop over OTLP/gRPC.

What is refused for now is sent again while its caller waits, and no longer: the Collector in front
has a queue on disk and sends again as well, and a retry inside a retry multiplies under load.
Bytes are held only while a chunk is on its way, never while it waits to be sent again.
"""

from __future__ import annotations

import asyncio
import math
import time
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Protocol, Self
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from otel_embedder.credentials.tls_files import TlsFiles
from otel_embedder.errors import (
    CredentialsError,
    PermanentExportError,
    RetryableExportError,
    SettingsError,
    TooLargeExportError,
)
from otel_embedder.exporter.answers import Verdict, read_answer
from otel_embedder.exporter.channel import Keepalive, NextHop
from otel_embedder.exporter.delivery import Delivery
from otel_embedder.exporter.patience import Patience, WaitingRoom
from otel_embedder.exporter.send_limit import SendLimit, smaller_than
from otel_embedder.exporter.sender import Sender
from otel_embedder.exporter.splitting import is_head_larger
from otel_embedder.exporter.taken import Progress, TakenSpans
from otel_embedder.otlp.names import EXPORT_METHOD
from otel_embedder.telemetry.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from types import TracebackType

    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

    from otel_embedder.exporter.sender import Way
    from otel_embedder.exporter.settings import NextHopSettings
    from otel_embedder.exporter.splitting import Chunk
    from otel_embedder.fairness import Turns
    from otel_embedder.otlp.call import Metadata
    from otel_embedder.otlp.wire import Arrived, TraceRequest


# Of the time that the caller waits, what our answer needs to travel back.
RESERVE_SECONDS = 0.2
# Of the bytes that may be sent at the same time, what requests may have that wait to be sent again
# without any of it taken.
WAITING_SHARE = 2
# And so many there may be of these.
MAX_WAITING = 32

LOOPBACK = {"localhost", "127.0.0.1", "::1"}
PROXY_UNUSED = "next_hop.proxy_unused"

log = get_logger()


class ExporterMetrics(Protocol):
    """What the exporter tells of its work."""

    def sent(self, *, spans: int) -> None:
        """Count spans that the next hop took."""
        ...

    def sent_bare(self, *, spans: int) -> None:
        """Count spans that were sent without what was to go behind them."""
        ...

    def send_failed(self, *, spans: int) -> None:
        """Count spans that the next hop did not take."""
        ...

    def send_retried(self, *, spans: int) -> None:
        """Count spans that are sent again while their caller waits."""
        ...

    def send_skipped(self, *, spans: int) -> None:
        """Count spans that are not sent again: the next hop took them when they came before."""
        ...


class OtlpExporter:
    """The client of the next hop."""

    def __init__(  # noqa: PLR0913 - each is a bound of its own
        self,
        next_hop: NextHop,
        *,
        timeout: float,
        max_send_bytes: int,
        max_sending_bytes: int,
        max_waiting: int = MAX_WAITING,
        turns: Turns,
        metrics: ExporterMetrics,
    ) -> None:
        """Prepare to connect.

        Args:
            next_hop: where the spans go, and how.
            timeout: seconds that one call may take.
            max_send_bytes: how large one is at most, unless the next hop takes less.
            max_sending_bytes: how much is encoded at the same time. A vector makes a span some ten
                times as large, so the rest waits.
            max_waiting: how many requests may wait to be sent again of which nothing was taken.
            turns: of whatever keeps the event loop busy.
            metrics: who counts.

        """
        self._sender = Sender(next_hop, timeout=timeout, max_sending_bytes=max_sending_bytes)
        self._timeout = timeout
        self._waiting = WaitingRoom(
            max_requests=max_waiting, max_bytes=max_sending_bytes // WAITING_SHARE
        )
        self._limit = SendLimit(max_send_bytes, clock=time.monotonic)
        self._taken = TakenSpans(clock=time.monotonic)
        self._turns = turns
        self._metrics = metrics

    async def __aenter__(self) -> Self:
        await self._sender.__aenter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._sender.__aexit__(exc_type, exc, traceback)

    def send_limit(self) -> int:
        """Give the bytes that a request may have at the moment."""
        return self._limit.current()

    def room(self, size: int, *, deadline: float) -> float:
        """Give how many bytes of so many get through by then; infinite as long as it is unknown.

        Args:
            size: the bytes that a request has.
            deadline: the event loop's time at which its caller stops waiting.

        """
        seconds = deadline - RESERVE_SECONDS - asyncio.get_running_loop().time()
        return self._sender.room(seconds, call_bytes=min(size, self._limit.current()))

    async def export(
        self,
        request: TraceRequest,
        *,
        deadline: float,
        metadata: Metadata,
        arrived: Arrived | None = None,
    ) -> ExportTraceServiceResponse:
        """Send a request, in several where it is too large; sum up what was rejected.

        What the next hop does not take for now is sent again by and by, until the caller stops
        waiting; or, if that is never, for as long as one call may take. What it took of a request
        that fails in the end is left out when the same spans come again.

        Args:
            request: the spans.
            deadline: the event loop's time at which the caller stops waiting.
            metadata: the caller's own headers; the configured ones go before them.
            arrived: is called with each part of it that the next hop took all of, at once.

        Raises:
            RetryableExportError: the next hop did not take all of them: send all of it again.
            PermanentExportError: the next hop refused all of them for good. What it so refuses of
                a request in several is summed up as rejected, and the rest is sent all the same.

        """
        progress = Progress(self._taken, metadata, self._turns)
        try:
            left = await progress.left_of(request)
            self._count_skipped(request.spans - left.spans)
            way = self._sender.way(left.size, deadline, metadata)
            return await self._deliver(Delivery(left, progress, arrived), way)
        except BaseException:
            # Whoever hangs up comes again as well.
            await progress.remember()
            raise

    async def forward(
        self, method: str, encoded: bytes, *, deadline: float, metadata: Metadata
    ) -> bytes:
        """Send another signal's request on as it is; give the next hop's answer as it is.

        Args:
            method: the full name, such as
                /opentelemetry.proto.collector.logs.v1.LogsService/Export.
            encoded: the request.
            deadline: the event loop's time at which the caller stops waiting.
            metadata: the caller's own headers; the configured ones go before them.

        Raises:
            RetryableExportError: the next hop did not take it.
            PermanentExportError: the next hop refused it for good.

        """
        way = self._sender.way(len(encoded), deadline, metadata)
        return await self._sender.send(method, way.size, lambda: encoded, way)

    async def _deliver(self, delivery: Delivery, way: Way) -> ExportTraceServiceResponse:
        while not delivery.is_over():
            # A function of its own, so that one chunk is gone before the next is cut.
            await self._deliver_chunk(delivery, way)
        return delivery.answer()

    async def _deliver_chunk(self, delivery: Delivery, way: Way) -> None:
        chunk = self._next_chunk(delivery)
        try:
            answer = await self._send(chunk, way, is_first=not delivery.has_accepted)
            delivery.accept(chunk, answer)
        except PermanentExportError as error:
            # The Collector drops a request as a whole, the parts that might pass with it.
            self._refused(delivery, chunk, error)

    def _next_chunk(self, delivery: Delivery) -> Chunk:
        chunk = delivery.next_chunk(self._limit.current())
        if chunk.bare_spans:
            self._metrics.sent_bare(spans=chunk.bare_spans)
        return chunk

    async def _send(self, chunk: Chunk, way: Way, *, is_first: bool) -> Verdict:
        """Send a chunk, again if need be, for as long as there is patience."""
        # Encoded anew each time: to wait for the next would hold the bytes of this one.
        spans, size, encode = chunk.request.spans, chunk.request.size, chunk.request.encode
        with self._patience(way, is_first=is_first) as patience:
            while True:
                try:
                    answer = await self._sender.send(EXPORT_METHOD, size, encode, way)
                except RetryableExportError as error:
                    pause = patience.pause(error)
                    if pause is None:
                        self._metrics.send_failed(spans=spans)
                        raise
                else:
                    self._metrics.sent(spans=spans)
                    return read_answer(answer, spans=spans)
                self._metrics.send_retried(spans=spans)
                await asyncio.sleep(pause)

    def _patience(self, way: Way, *, is_first: bool) -> Patience:
        """Tell how long a chunk is sent again: the first, only where the caller says how long."""
        until = way.deadline - RESERVE_SECONDS
        if way.deadline == math.inf:
            until = _now() + (0 if is_first else self._timeout)
        # Of what was taken in part the rest always may wait: such requests do not become more.
        room = self._waiting if is_first else None
        return Patience(until, _now, room, way.size)

    def _refused(self, delivery: Delivery, chunk: Chunk, error: PermanentExportError) -> None:
        if isinstance(error, TooLargeExportError) and self._cut_smaller(delivery, chunk, error):
            return
        self._metrics.send_failed(spans=chunk.request.spans)
        delivery.refuse(chunk, error)

    def _cut_smaller(self, delivery: Delivery, chunk: Chunk, error: TooLargeExportError) -> bool:
        """Let what was too large be sent otherwise; tell whether there is a way left."""
        request, told = chunk.request, error.limit
        refused = request.encoded_size()
        if told is not None and told > refused:
            # So it is somebody else's limit, who got something else.
            return False
        if request.spans == 1:
            return self._strip(delivery, request)
        if told and is_head_larger(request, than=told):
            # However small it is cut, each piece has all of that.
            return False
        self._limit.lower(refused=refused, told=told)
        smaller = smaller_than(refused, told)
        if smaller == told:
            delivery.limit(smaller)
        delivery.put_back(request, smaller)
        return True

    def _strip(self, delivery: Delivery, request: TraceRequest) -> bool:
        """Let a lone span be sent without what goes behind it, if it was not yet."""
        if request.is_bare():
            return False
        self._metrics.sent_bare(spans=1)
        delivery.put_back(request.bare())
        return True

    def _count_skipped(self, spans: int) -> None:
        if spans:
            self._metrics.send_skipped(spans=spans)


def _now() -> float:
    return asyncio.get_running_loop().time()


class WatchingMetrics(ExporterMetrics, Protocol):
    """What else is told of an exporter, whenever somebody asks."""

    def watch_send_limit(self, limit: Callable[[], int]) -> None:
        """Tell how large a request may be at the moment."""
        ...


@asynccontextmanager
async def otlp_exporter(
    settings: NextHopSettings,
    metrics: WatchingMetrics,
    *,
    max_sending_bytes: int,
    max_waiting: int = MAX_WAITING,
    turns: Turns,
) -> AsyncIterator[OtlpExporter]:
    """Run the client of the next hop.

    Args:
        settings: where that is, and how to send.
        metrics: who counts.
        max_sending_bytes: how much is encoded at the same time.
        max_waiting: how many requests may wait to be sent again of which nothing was taken.
        turns: of whatever keeps the event loop busy.

    Raises:
        SettingsError: the certificates can't be used any more.

    """
    exporter = OtlpExporter(
        _next_hop(settings),
        timeout=settings.next_hop_timeout,
        max_send_bytes=settings.max_send_bytes,
        max_sending_bytes=max_sending_bytes,
        max_waiting=max_waiting,
        turns=turns,
        metrics=metrics,
    )
    metrics.watch_send_limit(exporter.send_limit)
    _tell_of_proxy(settings.next_hop)
    async with AsyncExitStack() as stack:
        try:
            await stack.enter_async_context(exporter)
        except CredentialsError as error:
            fields = "next_hop_certificate, next_hop_client_certificate, next_hop_client_key"
            raise SettingsError([f"{fields}: {error}"]) from error
        yield exporter


def _tell_of_proxy(next_hop: str) -> None:
    """Tell of a proxy for the web that the environment names: it is not on the way."""
    url = urlsplit(next_hop)
    host = url.hostname or ""
    proxies = getproxies()
    named = [kind for kind in (url.scheme, "grpc", "all") if kind in proxies]
    if named and not (host in LOOPBACK or proxy_bypass(host)):
        hint = f"{named[0].upper()}_PROXY is set, and not used: spans go straight to the next hop"
        log.warning(PROXY_UNUSED, next_hop=next_hop, hint=hint)


def _next_hop(settings: NextHopSettings) -> NextHop:
    return NextHop(
        settings.next_hop,
        headers=settings.next_hop_headers,
        compression=settings.next_hop_compression,
        keepalive=Keepalive(settings.next_hop_keepalive, settings.next_hop_keepalive_timeout),
        files=TlsFiles(
            authorities=settings.next_hop_certificate,
            certificate=settings.next_hop_client_certificate,
            key=settings.next_hop_client_key,
        ),
    )
