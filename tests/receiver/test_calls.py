"""A whole sidecar, and calls that have been through it before."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import grpc
import grpc.aio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_embedder.otlp.call import NoTraces
from otel_embedder.otlp.names import EXPORT_METHOD, OTHER_SERVICES
from otel_embedder.receiver.calls import Calls
from otel_embedder.receiver.intake.headers import Headers
from otel_embedder.receiver.intake.hops import HOPS_KEY, Hops
from otel_embedder.settings import load_settings
from otel_embedder.sidecar.sidecar import running
from otel_embedder.telemetry.metrics import Metrics
from tests.support.fakes import PATIENCE, FakeMetrics
from tests.support.otlp_samples import request, span
from tests.support.peers import Client, FakeNextHop, retry_after
from tests.support.tiny_bert import write_tiny_bert

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from otel_embedder.otlp.call import Call, Metadata

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


class Bringing:
    """A call with headers, as gRPC tells of it; nobody waits for its answer for a set time."""

    def __init__(self, metadata: Metadata) -> None:
        self._metadata = metadata

    def invocation_metadata(self) -> Metadata:
        return self._metadata

    def time_remaining(self) -> None:
        return None


HEADERS = st.tuples(
    st.sampled_from(["x-tenant", "x-token", "user-agent", "connection", "x-id-bin", HOPS_KEY]),
    st.sampled_from(["a", "b", "\x7f", b"a", b"\xff"]),
)


@given(st.lists(st.lists(HEADERS, max_size=3).map(tuple), max_size=6))
def test_each_call_has_the_headers_that_it_brought(brought: list[Metadata]) -> None:
    hops, headers = Hops(), Headers(withheld={"x-token"})
    calls = Calls(
        hops, headers, assumed_deadline=PATIENCE, metrics=FakeMetrics(), traces=NoTraces()
    )
    passed_on: list[Metadata] = []

    async def answer(call: Call) -> bytes:
        passed_on.append(call.metadata)
        return b""

    async def call_all() -> None:
        for metadata in brought:
            context = Bringing(metadata)
            await calls.answered(context, EXPORT_METHOD, answer)  # type: ignore[arg-type]  # all that is asked

    asyncio.run(call_all())

    assert passed_on == [hops.with_own(headers.passed_on(metadata)) for metadata in brought]
