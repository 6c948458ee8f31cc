"""The door: opentelemetry.proto.collector.trace.v1.TraceService/Export.

The answer is given only after the next hop has answered. Until then the spans
are the Collector's: it keeps them in its queue, and sends them again if need be.
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, NoReturn, Protocol

import grpc
import grpc.aio
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from otel_embedder.errors import OtelEmbedderError
from otel_embedder.logs import get_logger
from otel_embedder.processor import Call
from otel_embedder.status import refusal
from otel_embedder.wire import TraceRequest, parse_request

if TYPE_CHECKING:
    from otel_embedder.status import Metadata

    Handler = grpc.RpcMethodHandler[bytes, bytes]
    Context = grpc.aio.ServicerContext[bytes, bytes]

TRACE_SERVICE = "opentelemetry.proto.collector.trace.v1.TraceService"

EMPTY = ExportTraceServiceResponse()

REQUEST_FAILED = "request.failed"

# Metadata that belongs to one connection, not to the request.
HOP_BY_HOP = {"user-agent", "content-type", "te", "host"}
HOP_BY_HOP_PREFIXES = ("grpc-", ":")

log = get_logger()


class Consumer(Protocol):
    """The next stage."""

    async def consume(self, request: TraceRequest, call: Call) -> ExportTraceServiceResponse:
        """Take a request, or raise what became of it."""
        ...


class ReceiverMetrics(Protocol):
    """What the receiver tells of its work."""

    def accepted(self, *, spans: int) -> None:
        """Count spans that were passed on."""
        ...

    def refused(self, *, spans: int) -> None:
        """Count spans that were not."""
        ...


class TraceReceiver:
    """Takes requests in as bytes and answers when they are done with."""

    def __init__(self, next_: Consumer, *, metrics: ReceiverMetrics) -> None:
        self._next = next_
        self._metrics = metrics

    def rpc_handler(self) -> grpc.GenericRpcHandler:
        """Give the handler to add to a server. It reads the bytes itself, to choose the status."""
        export: Handler = grpc.unary_unary_rpc_method_handler(self.export)
        return grpc.method_handlers_generic_handler(TRACE_SERVICE, {"Export": export})

    async def export(self, encoded: bytes, context: Context) -> bytes:
        """Answer an ExportTraceServiceRequest, or end the call with the status that fits."""
        spans = 0
        try:
            request = parse_request(encoded)
            spans = request.span_count()
            response = await self._consume(request, context) if spans else EMPTY
        except OtelEmbedderError as error:
            await self._refuse(error, spans, context)
        except Exception as error:
            # It would become UNKNOWN, and the Collector would drop the spans.
            log.exception(REQUEST_FAILED, spans=spans)
            await self._refuse(error, spans, context)
        self._metrics.accepted(spans=spans)
        return response.SerializeToString()

    async def _consume(self, request: TraceRequest, context: Context) -> ExportTraceServiceResponse:
        remaining = context.time_remaining()
        now = asyncio.get_running_loop().time()
        # The stubs forget that there may be no deadline.
        deadline = math.inf if remaining is None else now + remaining  # type: ignore[redundant-expr]
        return await self._next.consume(request, Call(deadline, passed_on(context)))

    async def _refuse(self, error: Exception, spans: int, context: Context) -> NoReturn:
        self._metrics.refused(spans=spans)
        answer = refusal(error)
        await context.abort(answer.code, answer.details, answer.trailing_metadata)


def passed_on(context: Context) -> Metadata:
    """Give the caller's own headers, such as a tenant's name."""
    metadata = context.invocation_metadata() or ()
    return tuple(
        (key, value)
        for key, value in metadata
        if key not in HOP_BY_HOP and not key.startswith(HOP_BY_HOP_PREFIXES)
    )
