"""Any sequence of failures of model and next hop: no span is lost, none is changed.

Only the model and the Collector are false. The Collector does what the real one does: it sends a
request again for as long as the status says so.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count, cycle
from typing import TYPE_CHECKING, cast

import grpc
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from otel_embedder.embedder.stand_in import stand_in
from otel_embedder.exporter.channel import NextHop
from otel_embedder.exporter.exporter import OtlpExporter
from otel_embedder.fairness import Turns
from otel_embedder.otlp.status import RETRYABLE_CODES
from otel_embedder.pipeline.processor import Processor
from otel_embedder.receiver.traces import TraceReceiver
from otel_embedder.text.options import RenderOptions
from otel_embedder.text.rendering import new_renderer
from tests.fuzz.check_receiver import ANNOTATOR, Aborted, OneMessage
from tests.support.door import new_calls, new_messages
from tests.support.fakes import DIMENSION, FakeMetrics, embedding_of
from tests.support.otlp_samples import request, span
from tests.support.peers import KEEPALIVE, MAX_SENDING_BYTES, Answer, FakeNextHop, spans_in

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from otel_embedder.embedder.embedding import Embedding, Wanted
    from otel_embedder.receiver.intake.messages import Context

MAX_BYTES = 1024 * 1024
# What a call may take; so long does the exporter try again by itself.
SECONDS = 0.4

OK = Answer()
REFUSED = Answer(grpc.StatusCode.INVALID_ARGUMENT, "never")
ANSWERS = (
    OK,
    REFUSED,
    Answer(grpc.StatusCode.UNAVAILABLE, "later"),
    Answer(grpc.StatusCode.UNAVAILABLE, "soon", retry_after=0.01),
    Answer(grpc.StatusCode.RESOURCE_EXHAUSTED, "soon", retry_after=0.01),
    Answer(grpc.StatusCode.RESOURCE_EXHAUSTED, "received message larger than max (999 vs. 500)"),
    Answer(grpc.StatusCode.RESOURCE_EXHAUSTED, "received message larger than max"),
    Answer(grpc.StatusCode.ABORTED, "again"),
)

# Spans of a request, as the lengths of their names.
REQUESTS = st.lists(st.lists(st.sampled_from((1, 100, 1_500)), max_size=6), min_size=1, max_size=3)


class MoodyEmbedder:
    """Gives the model's vector, a stand-in or nothing, in turn."""

    def __init__(self, moods: Sequence[str]) -> None:
        self._moods = cycle(moods)

    async def embed(self, wanted: Sequence[Wanted], *, timeout: float) -> list[Embedding | None]:  # noqa: ARG002, ASYNC109 - the protocol's
        return [self._embedding(each.content or "", each.trace_id) for each in wanted]

    def _embedding(self, content: str, trace_id: str) -> Embedding | None:
        match next(self._moods):
            case "model":
                return embedding_of(content)
            case "stand-in":
                return stand_in(trace_id, DIMENSION)
            case _:
                return None


@dataclass(slots=True)
class Collector:
    """Sends requests, again where it may, and counts what it is told is lost."""

    receiver: TraceReceiver
    rejected: int = 0
    codes: list[grpc.StatusCode] = field(default_factory=list)

    async def send(self, official: ExportTraceServiceRequest) -> None:
        code = await self._attempt(official)
        while code in RETRYABLE_CODES:
            code = await self._attempt(official)
        if code is not None:
            self.rejected += len(spans_in(official))

    async def _attempt(self, official: ExportTraceServiceRequest) -> grpc.StatusCode | None:
        context = OneMessage(official.SerializeToString(), seconds=SECONDS)
        try:
            answer = await self.receiver.export(None, cast("Context", context))
        except Aborted:
            return context.code
        response = ExportTraceServiceResponse.FromString(answer)
        self.rejected += response.partial_success.rejected_spans
        return None


@settings(deadline=None, max_examples=50)
@given(
    REQUESTS,
    st.lists(st.sampled_from(ANSWERS), max_size=12),
    st.lists(st.sampled_from(("model", "stand-in", "nothing")), min_size=1, max_size=4),
    st.sampled_from((300, 2_000, 20_000)),
)
def test_no_sequence_of_failures_loses_or_changes_a_span(
    names: list[list[int]], answers: list[Answer], moods: list[str], max_send_bytes: int
) -> None:
    requests = list(requests_of(names))

    collector, next_hop = asyncio.run(sent(requests, answers, moods, max_send_bytes))

    taken, refused = told(next_hop, answers)
    made = {each.span_id: each for official in requests for each in spans_in(official)}
    assert {**refused, **taken} == made
    assert len(made.keys() - taken.keys()) <= collector.rejected


def requests_of(names: list[list[int]]) -> Iterator[ExportTraceServiceRequest]:
    """Give requests of spans with names of these lengths, each of its own id."""
    numbers = count(1)
    for lengths in names:
        spans = [span("n" * length) for length in lengths]
        for each, number in zip(spans, numbers, strict=False):
            each.span_id = number.to_bytes(8)
        yield request(*spans)


async def sent(
    requests: list[ExportTraceServiceRequest],
    answers: list[Answer],
    moods: list[str],
    max_send_bytes: int,
) -> tuple[Collector, FakeNextHop]:
    """Send all requests at the same time; give what the two ends know at last."""
    async with FakeNextHop() as next_hop:
        next_hop.answers = [*answers]
        async with receiving(next_hop, moods, max_send_bytes) as receiver:
            collector = Collector(receiver)
            await asyncio.gather(*map(collector.send, requests))
    return collector, next_hop


@asynccontextmanager
async def receiving(
    next_hop: FakeNextHop, moods: list[str], max_send_bytes: int
) -> AsyncIterator[TraceReceiver]:
    metrics = FakeMetrics()
    hop = NextHop(next_hop.url, headers={}, compression="none", keepalive=KEEPALIVE)
    async with OtlpExporter(
        hop,
        timeout=SECONDS,
        max_send_bytes=max_send_bytes,
        max_sending_bytes=MAX_SENDING_BYTES,
        turns=Turns(seconds=1),
        metrics=metrics,
    ) as exporter:
        processor = Processor(
            new_renderer(RenderOptions()),
            MoodyEmbedder(moods),
            ANNOTATOR,
            exporter,
            embed_timeout=SECONDS,
            turns=Turns(seconds=1),
            metrics=metrics,
        )
        messages = new_messages(metrics, max_bytes=MAX_BYTES)
        yield TraceReceiver(processor, new_calls(metrics), messages, metrics=metrics)


def told(
    next_hop: FakeNextHop, answers: list[Answer]
) -> tuple[dict[bytes, Span], dict[bytes, Span]]:
    """Give the spans that the next hop took and those that it refused for good, without ours."""
    taken: dict[bytes, Span] = {}
    refused: dict[bytes, Span] = {}
    said = [*answers, *[OK] * len(next_hop.requests)]
    for official, answer in zip(next_hop.requests, said, strict=False):
        if answer.code not in RETRYABLE_CODES and answer.retry_after is None:
            spans = {each.span_id: without_ours(each) for each in spans_in(official)}
            (taken if answer is OK else refused).update(spans)
    return taken, refused


def without_ours(annotated: Span) -> Span:
    return Span.FromString(ANNOTATOR.stripped(annotated.SerializeToString()))
