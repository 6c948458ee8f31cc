"""Whoever wants to know what a sidecar tells of itself: a real server for metrics and spans."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import grpc
import grpc.aio
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from otel_embedder.otlp.names import METRICS_METHOD, TRACE_SERVICE
from tests.support.export_server import ExportServer
from tests.support.fakes import PATIENCE
from tests.support.peers import spans_in

if TYPE_CHECKING:
    from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
    from opentelemetry.proto.trace.v1.trace_pb2 import Span

    from otel_embedder.otlp.call import Metadata
    from tests.support.export_server import Handler

    Context = grpc.aio.ServicerContext[bytes, bytes]

METRICS_SERVICE = METRICS_METHOD.split("/")[1]


class Listener(ExportServer):
    """Keeps what it is told, and answers with the codes that it was given, then with OK."""

    def __init__(self, *codes: grpc.StatusCode, rejected: int = 0) -> None:
        self.metrics: list[ExportMetricsServiceRequest] = []
        self.traces: list[ExportTraceServiceRequest] = []
        self.metadata: list[Metadata] = []
        self.answered = 0
        self._codes = [*codes]
        self._answer = ExportTraceServiceResponse()
        if rejected:
            self._answer.partial_success.rejected_spans = rejected
            self._answer.partial_success.error_message = "no room"
        self._came = asyncio.Condition()
        self._may_answer = asyncio.Event()
        self._may_answer.set()

    def handlers(self) -> dict[str, Handler]:
        """Take metrics and spans."""
        return {
            METRICS_SERVICE: grpc.unary_unary_rpc_method_handler(self._take_metrics),
            TRACE_SERVICE: grpc.unary_unary_rpc_method_handler(self._take_traces),
        }

    def hang(self) -> None:
        """Answer nobody any more."""
        self._may_answer.clear()

    def go_on(self) -> None:
        """Answer again, and whoever waits."""
        self._may_answer.set()

    async def heard(self, messages: int = 1) -> None:
        """Wait until so many messages have come in all."""
        async with asyncio.timeout(PATIENCE), self._came:
            await self._came.wait_for(lambda: len(self.metadata) >= messages)

    def last_metrics(self) -> dict[str, Metric]:
        """Give the metrics of the last message, by their names."""
        [resource] = self.metrics[-1].resource_metrics
        [scope] = resource.scope_metrics
        return {metric.name: metric for metric in scope.metrics}

    def spans(self) -> list[Span]:
        """Give all spans, in the order that they came."""
        return [span for request in self.traces for span in spans_in(request)]

    async def _take_metrics(self, encoded: bytes, context: Context) -> bytes:
        self.metrics.append(ExportMetricsServiceRequest.FromString(encoded))
        return await self._answered(context)

    async def _take_traces(self, encoded: bytes, context: Context) -> bytes:
        self.traces.append(ExportTraceServiceRequest.FromString(encoded))
        return await self._answered(context)

    async def _answered(self, context: Context) -> bytes:
        async with self._came:
            self.metadata.append(tuple(context.invocation_metadata() or ()))
            self._came.notify_all()
        await self._may_answer.wait()
        if self._codes and (code := self._codes.pop(0)) is not grpc.StatusCode.OK:
            await context.abort(code, "not now")
        self.answered += 1
        return self._answer.SerializeToString()
