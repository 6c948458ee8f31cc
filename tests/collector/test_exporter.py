"""The exporter in front of a real Collector, whose words for "too large" are grpc-go's."""

from __future__ import annotations

import asyncio
import math
import random
from typing import TYPE_CHECKING

import pytest

from otel_embedder.exporter.channel import NextHop
from otel_embedder.exporter.exporter import OtlpExporter
from otel_embedder.fairness import Turns
from otel_embedder.otlp.wire import parse_request
from tests.bench.requests import PASSTHROUGH_YAML
from tests.support.fakes import FakeMetrics
from tests.support.otlp_samples import request, span
from tests.support.peers import KEEPALIVE, MAX_SENDING_BYTES
from tests.support.processes import Sink, running_collector, span_ids

if TYPE_CHECKING:
    from otel_embedder.exporter.settings import Compression

pytestmark = pytest.mark.collector

MIB = 1024 * 1024
LIMIT_1_MIB = "receivers::otlp::protocols::grpc::max_recv_msg_size_mib: 1"


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_what_a_collector_finds_too_large_reaches_it_in_smaller_pieces(
    compression: Compression,
) -> None:
    spans = [span(f"span {number}", {"body": random.randbytes(1_500)}) for number in range(2_000)]
    encoded = request(*spans).SerializeToString()
    metrics = FakeMetrics()
    with Sink() as sink:
        environment = {"OTELCOL_BACKEND_ENDPOINT": sink.address}
        with running_collector(PASSTHROUGH_YAML, environment, overrides=[LIMIT_1_MIB]) as collector:
            url = f"http://{collector.address}"
            next_hop = NextHop(url, headers={}, compression=compression, keepalive=KEEPALIVE)
            limit = asyncio.run(exported(encoded, next_hop, metrics))

    assert limit == MIB
    assert len(sink.requests) <= len(encoded) // MIB + 2
    assert span_ids(sink.requests) == span_ids([encoded])
    assert metrics.counts == {"sent": 2_000}


async def exported(encoded: bytes, next_hop: NextHop, metrics: FakeMetrics) -> int:
    """Send a request; give what the exporter then takes for the next hop's limit."""
    async with OtlpExporter(
        next_hop,
        timeout=10,
        max_send_bytes=4 * MIB,
        max_sending_bytes=MAX_SENDING_BYTES,
        turns=Turns(),
        metrics=metrics,
    ) as exporter:
        await exporter.export(parse_request(encoded), deadline=math.inf, metadata=())
        return exporter.send_limit()
