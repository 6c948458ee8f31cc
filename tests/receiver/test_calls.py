"""A whole sidecar, and calls that have been through it before."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import grpc
import grpc.aio
import pytest

from otel_embedder.otlp.names import EXPORT_METHOD, OTHER_SERVICES
from otel_embedder.receiver.intake.hops import HOPS_KEY
from otel_embedder.settings import load_settings
from otel_embedder.sidecar.sidecar import running
from otel_embedder.telemetry.metrics import Metrics
from tests.support.fakes import PATIENCE
from tests.support.otlp_samples import request, span
from tests.support.peers import Client, FakeNextHop, retry_after
from tests.support.tiny_bert import write_tiny_bert

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from otel_embedder.otlp.call import Metadata

    Stream = grpc.aio.StreamUnaryMultiCallable[bytes, bytes]

pytestmark = pytest.mark.timeout(120)


@asynccontextmanager
async def sidecar(
    directory: Path, next_hop: FakeNextHop, metrics: Metrics
) -> AsyncIterator[Client]:
    """Run a sidecar, and give a client of it."""
    settings = load_settings(
        {
            "listen": "127.0.0.1:0",
            "next_hop": next_hop.url,
            "metrics_listen": "",
            "model": str(write_tiny_bert(directory / "tiny-bert")),
            "model_cache": directory / "cache",
        }
    )
    async with running(settings, metrics) as port, Client(port) as client:
        yield client


async def silence(client: Client, method: str, metadata: Metadata) -> grpc.aio.AioRpcError:
    """Open a call, send nothing, and give the status that ends it."""
    export: Stream = client.channel.stream_unary(method)
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await export(metadata=metadata, timeout=PATIENCE)
    return raised.value


async def test_what_comes_round_is_refused_before_its_message_is_read(
    tmp_path: Path, next_hop: FakeNextHop
) -> None:
    methods = [EXPORT_METHOD, *(f"/{service}/Export" for service in OTHER_SERVICES)]
    metrics = Metrics()
    async with sidecar(tmp_path, next_hop, metrics) as client:
        await client.export(request(span()))
        [passed_on] = next_hop.metadata
        own = tuple(pair for pair in passed_on if pair[0] == HOPS_KEY)
        refusals = [await silence(client, method, own) for method in methods]

    assert [refusal.code() for refusal in refusals] == [grpc.StatusCode.UNAVAILABLE] * len(methods)
    assert all("have come back to where they were" in str(one.details()) for one in refusals)
    assert [retry_after(refusal) for refusal in refusals] == [30] * len(methods)
    assert len(next_hop.requests) == 1
    # Nobody knows how many spans they would have brought.
    assert metrics.value("receiver_refused_spans_total") == 0
