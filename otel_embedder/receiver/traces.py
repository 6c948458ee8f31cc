"""The door: opentelemetry.proto.collector.trace.v1.TraceService/Export.

The answer is given only after the next hop has answered. Until then the spans
are the Collector's: it keeps them in its queue, and sends them again if need be.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Protocol

import grpc
import grpc.aio
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from otel_embedder.otlp.names import EXPORT_METHOD, TRACE_SERVICE

if TYPE_CHECKING:
    from otel_embedder.otlp.call import Call
    from otel_embedder.otlp.wire import TraceRequest
    from otel_embedder.receiver.calls import Calls
    from otel_embedder.receiver.intake.messages import Context, Messages

    Handler = grpc.RpcMethodHandler[bytes, bytes]


EMPTY = ExportTraceServiceResponse()


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

    def cancelled(self, *, spans: int) -> None:
        """Count spans whose caller left before the answer."""
        ...


class TraceReceiver:
    """Takes requests in as bytes and answers when they are done with."""

    def __init__(
        self,
        next_: Consumer,
        calls: Calls,
        messages: Messages,
        *,
        metrics: ReceiverMetrics,
    ) -> None:
        """Take in for the next stage.

        Args:
            next_: the next stage.
            calls: what tells of each call all but its message.
            messages: what reads the messages.
            metrics: who counts.

        """
        self._next = next_
        self._calls = calls
        self._messages = messages
        self._metrics = metrics

    def rpc_handler(self) -> grpc.GenericRpcHandler:
        """Give the handler to add to a server.

        To gRPC it is one for streams, which leaves the reading to us. On the wire that is the same.
        """
        export: Handler = grpc.stream_unary_rpc_method_handler(self.export)
        return grpc.method_handlers_generic_handler(TRACE_SERVICE, {"Export": export})

    async def export(self, _: object, context: Context) -> bytes:
        """Answer an ExportTraceServiceRequest, or end the call with the status that fits."""
        return await self._calls.answered(context, EXPORT_METHOD, partial(self._export, context))

    async def _export(self, context: Context, call: Call) -> bytes:
        async with self._messages.received(context) as message:
            request = await self._messages.parsed(message)
            call.trace.took(spans=request.spans, own=request.own_spans())
            bounded = call.bounded(message.attach)
            del message  # nobody needs its bytes any more
            return await self._answer(request, bounded)

    async def _answer(self, request: TraceRequest, call: Call) -> bytes:
        spans = request.spans
        try:
            response = await self._next.consume(request, call) if spans else EMPTY
        except Exception:
            self._metrics.refused(spans=spans)
            raise
        except asyncio.CancelledError:
            self._metrics.cancelled(spans=spans)
            raise
        self._metrics.accepted(spans=spans)
        return response.SerializeToString()
