"""Sends requests to the next hop over OTLP/gRPC.

As a rule it does not retry. The Collector in front has a queue on disk and retries already; a
retry inside a retry multiplies under load. The exception is the rest of a request of which the
next hop has taken a part: from the Collector that part would come again.
"""

from __future__ import annotations

import asyncio
import math
import time
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Protocol, Self

import grpc.aio
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from tenacity import (
    AsyncRetrying,
    retry_if_exception_type,
    stop_before_delay,
    wait_exponential_jitter,
)

from otel_embedder.credentials.tls_files import TlsFiles
from otel_embedder.errors import (
    CredentialsError,
    PermanentExportError,
    RetryableExportError,
    SettingsError,
    TooLargeExportError,
)
from otel_embedder.exporter.backoff import as_asked_or
from otel_embedder.exporter.byte_lock import ByteLock
from otel_embedder.exporter.channel import Keepalive, NextHop, NextHopChannel
from otel_embedder.exporter.delivery import Delivery
from otel_embedder.exporter.pace import Pace
from otel_embedder.exporter.send_limit import SendLimit
from otel_embedder.otlp.names import EXPORT_METHOD
from otel_embedder.otlp.status import export_error

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from types import TracebackType

    from tenacity import RetryCallState

    from otel_embedder.exporter.settings import NextHopSettings
    from otel_embedder.exporter.splitting import Chunk
    from otel_embedder.otlp.call import Metadata
    from otel_embedder.otlp.wire import TraceRequest


# 0.1, 0.2, 0.4 ... seconds, and up to 0.1 more, so that many requests don't come back together.
BACKOFF = wait_exponential_jitter(multiplier=0.1, max=2, jitter=0.1)
# Of the time that the caller waits, what our answer needs to travel back.
RESERVE_SECONDS = 0.2


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
        """Count spans that are sent again within a request."""
        ...


class OtlpExporter:
    """The client of the next hop."""

    def __init__(
        self,
        next_hop: NextHop,
        *,
        timeout: float,
        max_send_bytes: int,
        max_sending_bytes: int,
        metrics: ExporterMetrics,
    ) -> None:
        """Prepare to connect.

        Args:
            next_hop: where the spans go, and how.
            timeout: seconds that one call may take.
            max_send_bytes: how large one is at most, unless the next hop takes less.
            max_sending_bytes: how much is encoded at the same time. A vector makes a span some ten
                times as large, so the rest waits: whoever came first is sent whole, and first.
            metrics: who counts.

        """
        self._configured_headers = next_hop.headers
        self._channel = NextHopChannel(next_hop)
        self._timeout = timeout
        self._sending = ByteLock(max_sending_bytes)
        self._limit = SendLimit(max_send_bytes, clock=time.monotonic)
        self._pace = Pace(max_seconds=timeout, clock=time.monotonic)
        self._metrics = metrics

    async def __aenter__(self) -> Self:
        await self._channel.__aenter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._channel.__aexit__(exc_type, exc, traceback)

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
        return self._pace.room(seconds, call_bytes=min(size, self._limit.current()))

    async def export(
        self, request: TraceRequest, *, deadline: float, metadata: Metadata
    ) -> ExportTraceServiceResponse:
        """Send a request, in several where it is too large; sum up what was rejected.

        Once the next hop has taken a part, what it does not take for now is sent again by and by,
        until the caller stops waiting; or, if that is never, for as long as one call may take.

        Args:
            request: the spans.
            deadline: the event loop's time at which the caller stops waiting.
            metadata: the caller's own headers; the configured ones go before them.

        Raises:
            RetryableExportError: the next hop did not take all of them. Of a request in several,
                the first may have been taken: to send it again makes duplicates, never a loss.
            PermanentExportError: the next hop refused all of them for good. What it so refuses of
                a request in several is summed up as rejected, and the rest is sent all the same.

        """
        size = min(request.size, self._limit.current())
        async with self._holding(size, deadline):
            return await self._deliver(Delivery(request), deadline, self._headers(metadata))

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
        async with self._holding(len(encoded), deadline):
            return await self._call(method, encoded, deadline, self._headers(metadata))

    @asynccontextmanager
    async def _holding(self, size: int, deadline: float) -> AsyncIterator[None]:
        """Hold bytes in what is being sent; wait for them no longer than the caller does."""
        async with AsyncExitStack() as held:
            try:
                async with asyncio.timeout_at(None if deadline == math.inf else deadline):
                    await held.enter_async_context(self._sending.held(size))
            except TimeoutError as error:
                raise RetryableExportError(
                    "others were being sent for as long as the caller waits"
                ) from error
            yield

    async def _deliver(
        self, delivery: Delivery, deadline: float, headers: Metadata
    ) -> ExportTraceServiceResponse:
        while not delivery.is_over():
            # A function of its own, so that one chunk is gone before the next is encoded.
            await self._deliver_chunk(delivery, deadline, headers)
        return delivery.answer()

    async def _deliver_chunk(self, delivery: Delivery, deadline: float, headers: Metadata) -> None:
        chunk = self._next_chunk(delivery)
        try:
            patiently = delivery.has_accepted
            delivery.accept(await self._send(chunk, deadline, headers, patiently=patiently))
        except PermanentExportError as error:
            # The Collector drops a request as a whole, the parts that might pass with it.
            self._refused(delivery, chunk, error)

    def _next_chunk(self, delivery: Delivery) -> Chunk:
        chunk = delivery.next_chunk(self._limit.current())
        if chunk.bare_spans:
            self._metrics.sent_bare(spans=chunk.bare_spans)
        return chunk

    async def _send(
        self, chunk: Chunk, deadline: float, headers: Metadata, *, patiently: bool
    ) -> ExportTraceServiceResponse:
        spans = chunk.request.spans
        attempt = partial(self._attempt, chunk.encoded, deadline, headers)
        try:
            answer = await (self._retrying(spans, deadline)(attempt) if patiently else attempt())
        except RetryableExportError as error:
            self._metrics.send_failed(spans=spans)
            # What has retried is in the traceback and holds the error: the chunk would stay in
            # memory until the garbage is collected.
            raise error.with_traceback(None)  # noqa: B904 - it is the same error
        self._metrics.sent(spans=spans)
        return answer

    def _retrying(self, spans: int, deadline: float) -> AsyncRetrying:
        def count_retry(_: RetryCallState) -> None:
            self._metrics.send_retried(spans=spans)

        return AsyncRetrying(
            retry=retry_if_exception_type(RetryableExportError),
            stop=stop_before_delay(self._patience(deadline)),
            wait=as_asked_or(BACKOFF),
            before_sleep=count_retry,
            reraise=True,
        )

    def _patience(self, deadline: float) -> float:
        """Give the seconds in which to send a chunk again."""
        if deadline == math.inf:
            return self._timeout
        return deadline - RESERVE_SECONDS - asyncio.get_running_loop().time()

    async def _attempt(
        self, encoded: bytes, deadline: float, headers: Metadata
    ) -> ExportTraceServiceResponse:
        answer = await self._call(EXPORT_METHOD, encoded, deadline, headers)
        try:
            return ExportTraceServiceResponse.FromString(answer)
        except DecodeError:
            # Its status was OK: the spans are there.
            return ExportTraceServiceResponse()

    async def _call(self, method: str, encoded: bytes, deadline: float, headers: Metadata) -> bytes:
        timeout = min(self._timeout, deadline - asyncio.get_running_loop().time())
        try:
            with self._pace.learning(len(encoded)):
                return await self._channel.call(method, encoded, timeout=timeout, metadata=headers)
        except grpc.aio.AioRpcError as error:
            raise export_error(error) from error

    def _refused(self, delivery: Delivery, chunk: Chunk, error: PermanentExportError) -> None:
        if isinstance(error, TooLargeExportError) and (smaller := self._smaller(chunk, error)):
            delivery.put_back(smaller)
            return
        self._metrics.send_failed(spans=chunk.request.spans)
        delivery.refuse(chunk, error)

    def _smaller(self, chunk: Chunk, error: TooLargeExportError) -> TraceRequest | None:
        """Give what to try in the place of a chunk that was too large; None if all was tried."""
        request = chunk.request
        if request.spans > 1:
            # With the limit lowered, it will be split.
            self._limit.lower(refused=len(chunk.encoded), told=error.limit)
            return request
        if request.is_bare():
            return None
        self._metrics.sent_bare(spans=1)
        return request.bare()

    def _headers(self, metadata: Metadata) -> Metadata:
        configured = self._configured_headers
        passed_on = ((key, value) for key, value in metadata if key not in configured)
        return (*configured.items(), *passed_on)


class WatchingMetrics(ExporterMetrics, Protocol):
    """What else is told of an exporter, whenever somebody asks."""

    def watch_send_limit(self, limit: Callable[[], int]) -> None:
        """Tell how large a request may be at the moment."""
        ...


@asynccontextmanager
async def otlp_exporter(
    settings: NextHopSettings, metrics: WatchingMetrics, *, max_sending_bytes: int
) -> AsyncIterator[OtlpExporter]:
    """Run the client of the next hop.

    Args:
        settings: where that is, and how to send.
        metrics: who counts.
        max_sending_bytes: how much is encoded at the same time.

    Raises:
        SettingsError: the certificates can't be used any more.

    """
    exporter = OtlpExporter(
        _next_hop(settings),
        timeout=settings.next_hop_timeout,
        max_send_bytes=settings.max_send_bytes,
        max_sending_bytes=max_sending_bytes,
        metrics=metrics,
    )
    metrics.watch_send_limit(exporter.send_limit)
    async with AsyncExitStack() as stack:
        try:
            await stack.enter_async_context(exporter)
        except CredentialsError as error:
            fields = "next_hop_certificate, next_hop_client_certificate, next_hop_client_key"
            raise SettingsError([f"{fields}: {error}"]) from error
        yield exporter


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
