"""The exporter under test, and a request through it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from otel_embedder.exporter.channel import NextHop
from otel_embedder.exporter.exporter import MAX_WAITING, OtlpExporter
from otel_embedder.fairness import Turns
from otel_embedder.otlp.wire import parse_request
from tests.support.fakes import FakeMetrics
from tests.support.peers import KEEPALIVE, MAX_SENDING_BYTES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
        ExportTraceServiceRequest,
        ExportTraceServiceResponse,
    )

    from otel_embedder.exporter.settings import Compression
    from otel_embedder.otlp.call import Metadata


def exporting(
    url: str,
    *,
    metrics: FakeMetrics | None = None,
    headers: Mapping[str, str] | None = None,
    compression: Compression = "none",
    timeout: float = 10,
    max_send_bytes: int = 4_000_000,
    max_sending_bytes: int = MAX_SENDING_BYTES,
    max_waiting: int = MAX_WAITING,
) -> OtlpExporter:
    """Give an exporter to enter."""
    return OtlpExporter(
        NextHop(url, headers=headers or {}, compression=compression, keepalive=KEEPALIVE),
        timeout=timeout,
        max_send_bytes=max_send_bytes,
        max_sending_bytes=max_sending_bytes,
        max_waiting=max_waiting,
        turns=Turns(),
        metrics=metrics or FakeMetrics(),
    )


async def send(
    exporter: OtlpExporter,
    message: ExportTraceServiceRequest,
    *,
    deadline: float = math.inf,
    metadata: Metadata = (),
) -> ExportTraceServiceResponse:
    """Send a request as it is, without vectors."""
    parsed = parse_request(message.SerializeToString())
    return await exporter.export(parsed, deadline=deadline, metadata=metadata)
