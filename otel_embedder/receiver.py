"""The door: opentelemetry.proto.collector.trace.v1.TraceService/Export.

The answer is given only after the next hop has answered. Until then the spans
are the Collector's: it keeps them in its queue, and sends them again if need be.
"""

from __future__ import annotations

import asyncio
import math
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NoReturn, Protocol

import grpc
import grpc.aio
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from otel_embedder.errors import IncompleteRequestError, OtelEmbedderError
from otel_embedder.logs import get_logger
from otel_embedder.processor import Call
from otel_embedder.status import refusal
from otel_embedder.wire import TraceRequest, parse_request

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection

    from otel_embedder.inbox import Context, Inbox
    from otel_embedder.status import Metadata

    Handler = grpc.RpcMethodHandler[bytes, bytes]

TRACE_SERVICE = "opentelemetry.proto.collector.trace.v1.TraceService"

EMPTY = ExportTraceServiceResponse()

REQUEST_FAILED = "request.failed"
REQUEST_INCOMPLETE = "request.incomplete"

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
        spans = request.span_count()
        try:
            call = call_of(context, self._withheld)
            response = await self._next.consume(request, call) if spans else EMPTY
        except Exception:
            self._metrics.refused(spans=spans)
            raise
        self._metrics.accepted(spans=spans)
        return response.SerializeToString()


@asynccontextmanager
async def ending_badly(context: Context) -> AsyncIterator[None]:
    """End the call with the status that fits, whatever is raised."""
    try:
        yield
    except IncompleteRequestError as error:
        # gRPC may have ended the call already, with a status that makes a Collector drop it.
        log.warning(REQUEST_INCOMPLETE, error=str(error))
        await _refuse(error, context)
    except OtelEmbedderError as error:
        await _refuse(error, context)
    except Exception as error:
        # It would become UNKNOWN, and the Collector would drop the spans.
        log.exception(REQUEST_FAILED)
        await _refuse(error, context)


async def _refuse(error: Exception, context: Context) -> NoReturn:
    answer = refusal(error)
    await context.abort(answer.code, answer.details, answer.trailing_metadata)


def call_of(context: Context, withheld: Collection[str]) -> Call:
    """Give what a request came with."""
    remaining = context.time_remaining()
    now = asyncio.get_running_loop().time()
    # The stubs forget that there may be no deadline.
    deadline = math.inf if remaining is None else now + remaining  # type: ignore[redundant-expr]
    return Call(deadline, passed_on(context, withheld))


def passed_on(context: Context, withheld: Collection[str]) -> Metadata:
    """Give the caller's own headers, such as a tenant's name, but for those withheld."""
    metadata = context.invocation_metadata() or ()
    kept = HOP_BY_HOP.union(withheld)
    return tuple(
        (key, value)
        for key, value in metadata
        if key not in kept and not key.startswith(HOP_BY_HOP_PREFIXES)
    )
