"""The door: opentelemetry.proto.collector.trace.v1.TraceService/Export.

The answer is given only after the next hop has answered. Until then the spans
are the Collector's: it keeps them in its queue, and sends them again if need be.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import grpc
import grpc.aio
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from otel_embedder.otlp.names import TRACE_SERVICE
from otel_embedder.otlp.wire import TraceRequest, parse_request
from otel_embedder.receiver.calls import call_of, ending_badly
from otel_embedder.telemetry.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import Collection

    from otel_embedder.otlp.call import Call
    from otel_embedder.receiver.messages import Context, Inbox

    Handler = grpc.RpcMethodHandler[bytes, bytes]


EMPTY = ExportTraceServiceResponse()


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

    def __init__(
        self,
        next_: Consumer,
        inbox: Inbox,
        *,
        metrics: ReceiverMetrics,
        withheld: Collection[str] = (),
    ) -> None:
        """Take in for the next stage.

        Args:
            next_: the next stage.
            inbox: what reads the messages.
            metrics: who counts.
            withheld: the caller's headers that are meant for this sidecar alone.

        """
        self._next = next_
        self._inbox = inbox
        self._metrics = metrics
        self._withheld = withheld

    def rpc_handler(self) -> grpc.GenericRpcHandler:
        """Give the handler to add to a server.

        To gRPC it is one for streams, which leaves the reading to us. On the wire that is the same.
        """
        export: Handler = grpc.stream_unary_rpc_method_handler(self.export)
        return grpc.method_handlers_generic_handler(TRACE_SERVICE, {"Export": export})

    async def export(self, _: object, context: Context) -> bytes:
        """Answer an ExportTraceServiceRequest, or end the call with the status that fits."""
        async with ending_badly(context), self._inbox.message(context) as encoded:
            request = parse_request(encoded)
            del encoded  # the request has copies of its spans
            return await self._answer(request, context)

    async def _answer(self, request: TraceRequest, context: Context) -> bytes:
        spans = request.spans
        try:
            call = call_of(context, self._withheld)
            response = await self._next.consume(request, call) if spans else EMPTY
        except Exception:
            self._metrics.refused(spans=spans)
            raise
        self._metrics.accepted(spans=spans)
        return response.SerializeToString()
