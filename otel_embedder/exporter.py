"""Sends spans to the next hop over OTLP/gRPC.

It does not retry. The Collector in front has a queue on disk and retries
already; a retry inside a retry multiplies under load.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self
from urllib.parse import urlsplit

import grpc
import grpc.aio
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from otel_embedder.errors import PermanentExportError
from otel_embedder.status import Metadata, export_error
from otel_embedder.wire import TraceRequest, bare_spans, split

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import TracebackType

    from otel_embedder.choices import Compression

Export = grpc.aio.UnaryUnaryMultiCallable[bytes, ExportTraceServiceResponse]

EXPORT_METHOD = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"

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
)


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


@dataclass(frozen=True, slots=True)
class NextHop:
    """Where the spans go, and how.

    Attributes:
        url: http://HOST:PORT, or https://HOST:PORT for TLS.
        headers: gRPC metadata to send along.
        compression: none or gzip.
        certificate: the file of the authorities to trust; None is the system's own.

    """

    url: str
    headers: Mapping[str, str]
    compression: Compression
    certificate: Path | None


class OtlpExporter:
    """One channel to the next hop."""

    def __init__(
        self, next_hop: NextHop, *, timeout: float, max_send_bytes: int, metrics: ExporterMetrics
    ) -> None:
        self._next_hop = next_hop
        self._timeout = timeout
        self._max_send_bytes = max_send_bytes
        self._metrics = metrics

    async def __aenter__(self) -> Self:
        self._channel = _channel(self._next_hop)
        # Requests are bytes already, so there is nothing to serialise.
        self._export: Export = self._channel.unary_unary(
            EXPORT_METHOD, response_deserializer=ExportTraceServiceResponse.FromString
        )
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._channel.close()

    async def export(
        self, request: TraceRequest, *, deadline: float, metadata: Metadata
    ) -> ExportTraceServiceResponse:
        """Send a request, in several where it is too large; sum up what was rejected.

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
        chunks = split(request, self._max_send_bytes)
        if bare := bare_spans(request, chunks):
            self._metrics.sent_bare(spans=bare)
        headers = self._headers(metadata)
        total = ExportTraceServiceResponse()
        refusals: list[PermanentExportError] = []
        for chunk in chunks:
            try:
                _add(await self._send(chunk, deadline, headers), total)
            except PermanentExportError as error:
                # The Collector drops a request as a whole, the parts that might pass with it.
                refusals.append(error)
                _add(_rejection(chunk, error), total)
        if len(refusals) == len(chunks):
            raise refusals[0]
        return total

    async def _send(
        self, chunk: TraceRequest, deadline: float, metadata: Metadata
    ) -> ExportTraceServiceResponse:
        spans = chunk.span_count()
        timeout = min(self._timeout, deadline - asyncio.get_running_loop().time())
        try:
            answer = await self._export(chunk.encode(), timeout=timeout, metadata=metadata)
            # grpcio gives None for an answer that it can't read. Its status was OK.
            answer = answer or ExportTraceServiceResponse()
        except grpc.aio.AioRpcError as error:
            self._metrics.send_failed(spans=spans)
            raise export_error(error) from error
        self._metrics.sent(spans=spans)
        return answer

    def _headers(self, metadata: Metadata) -> Metadata:
        configured = self._next_hop.headers
        passed_on = ((key, value) for key, value in metadata if key not in configured)
        return (*configured.items(), *passed_on)


def _rejection(chunk: TraceRequest, error: PermanentExportError) -> ExportTraceServiceResponse:
    response = ExportTraceServiceResponse()
    response.partial_success.rejected_spans = chunk.span_count()
    response.partial_success.error_message = str(error)
    return response


def _add(answer: ExportTraceServiceResponse, total: ExportTraceServiceResponse) -> None:
    rejected, message = answer.partial_success.rejected_spans, answer.partial_success.error_message
    if rejected:
        total.partial_success.rejected_spans += rejected
    if message:
        messages = filter(None, (total.partial_success.error_message, message))
        total.partial_success.error_message = "; ".join(messages)


def _channel(next_hop: NextHop) -> grpc.aio.Channel:
    url = urlsplit(next_hop.url)
    compression = COMPRESSIONS[next_hop.compression]
    if url.scheme == "http":
        return grpc.aio.insecure_channel(url.netloc, CHANNEL_OPTIONS, compression)
    authorities = next_hop.certificate.read_bytes() if next_hop.certificate else None
    credentials = grpc.ssl_channel_credentials(authorities)
    return grpc.aio.secure_channel(url.netloc, credentials, CHANNEL_OPTIONS, compression)
