"""Vectors never cost a span: without memory or time for them, spans go bare, and that is told."""

from __future__ import annotations

import asyncio
import gc
import math
from typing import TYPE_CHECKING

import grpc
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Status
from structlog.testing import capture_logs

from otel_embedder.annotation.annotator import Annotator
from otel_embedder.annotation.standing import Origin, Standing
from otel_embedder.annotation.work import Work
from otel_embedder.embedder.fallback import FallbackEmbedder
from otel_embedder.embedder.stand_in import StandIn
from otel_embedder.errors import BusyError, EmbeddingFailedError
from otel_embedder.fairness import Turns
from otel_embedder.otlp.call import Call
from otel_embedder.otlp.wire import parse_request
from otel_embedder.pipeline.attaching import Attaching, Encoded
from otel_embedder.pipeline.bare import (
    QUIET_SECONDS,
    VECTORS_COMPLETE,
    VECTORS_LEFT_OUT,
    BareSpans,
)
from otel_embedder.pipeline.processor import Processor
from otel_embedder.receiver.admission import Admission
from otel_embedder.text.options import RenderOptions
from otel_embedder.text.rendering import new_renderer
from tests.support.fakes import (
    DIMENSION,
    FAKE_MODEL,
    BrokenEmbedder,
    FakeExporter,
    FakeMetrics,
    FakeSpanEmbedder,
    embedding_of,
)
from tests.support.in_process import sidecar_in_process, tiny_model
from tests.support.otlp_samples import request, span
from tests.support.peers import FakeNextHop, spans_in
from tests.support.wire import spans_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
        ExportTraceServiceRequest,
        ExportTraceServiceResponse,
    )
    from opentelemetry.proto.trace.v1.trace_pb2 import Span

    from otel_embedder.otlp.call import Metadata
    from otel_embedder.otlp.wire import Arrived, TraceRequest
    from otel_embedder.pipeline.processor import SpanEmbedder

pytestmark = pytest.mark.timeout(120)

OPTIONS = RenderOptions(profile="template")
# An embedding as attributes, of the fakes' model and in bytes: so many bytes at least.
VECTOR_BYTES = 4 * DIMENSION


def annotator(*, attach_text: bool = False) -> Annotator:
    return Annotator(
        Origin(FAKE_MODEL, OPTIONS.version()),
        encoding="bytes",
        prefix="embedding.",
        attach_text=attach_text,
        max_remembered=0,
    )


def processing(
    exporter: FakeExporter, metrics: FakeMetrics, embedder: SpanEmbedder | None = None
) -> Processor:
    return Processor(
        new_renderer(OPTIONS),
        embedder or FakeSpanEmbedder(),
        annotator(),
        exporter,
        embed_timeout=3,
        turns=Turns(seconds=0),
        metrics=metrics,
    )


def without_a_model(metrics: FakeMetrics) -> FallbackEmbedder:
    return FallbackEmbedder(
        BrokenEmbedder(EmbeddingFailedError("broken")),
        dimension=lambda: DIMENSION,
        on_failure="fallback",
        quiet_seconds=0,
        turns=Turns(),
        metrics=metrics,
    )


def parsed(*spans: Span) -> TraceRequest:
    return parse_request(request(*spans).SerializeToString())


def of_traces(spans: int, traces: int) -> TraceRequest:
    return parsed(*(span(trace_id=(1 + each % traces).to_bytes(16)) for each in range(spans)))


def is_bare(sent: Span) -> bool:
    return not any(pair.key.startswith("embedding.") for pair in sent.attributes)


class Purse:
    """Has so many bytes to give."""

    def __init__(self, size: float) -> None:
        self.left = size
        self.asked: list[int] = []

    def grow(self, more: int) -> None:
        self.asked.append(more)
        if more > self.left:
            raise BusyError("too much at once", retry_after=1)
        self.left -= more


async def test_a_stand_in_is_encoded_once_a_trace_and_counted_once() -> None:
    metrics, exporter, purse = FakeMetrics(), Keeping(), Purse(math.inf)
    await processing(exporter, metrics, without_a_model(metrics)).consume(
        of_traces(spans=300, traces=3), Call(math.inf, (), purse.grow)
    )

    assert len({id(one.added) for one in spans_of(exporter.kept[0])}) == 3
    assert len(purse.asked) == 3
    assert sum(purse.asked) > 3 * VECTOR_BYTES


async def test_a_vector_that_many_spans_share_is_counted_once_a_request() -> None:
    exporter, purse = Keeping(), Purse(math.inf)
    processor = processing(exporter, FakeMetrics())
    for _ in range(2):
        await processor.consume(
            parsed(span("a"), span("b"), span("a")), Call(math.inf, (), purse.grow)
        )

    assert len(purse.asked) == 4


async def test_with_its_text_each_text_has_its_own_encoding() -> None:
    encoded, one = Encoded(annotator(attach_text=True), Purse(math.inf).grow), embedding_of("a")

    assert encoded.with_text
    assert encoded[one, "a"] is encoded[one, "a"]
    assert encoded[one, "a"] != encoded[one, "b"]
    assert encoded[one] is encoded[one]


async def test_where_there_is_no_memory_spans_go_bare_and_none_is_refused() -> None:
    metrics, exporter, purse = FakeMetrics(), FakeExporter(), Purse(2.5 * VECTOR_BYTES)
    names = ["a", "b", "c", "d", "a"]
    await processing(exporter, metrics).consume(
        parsed(*map(span, names)), Call(math.inf, (), purse.grow)
    )
    went = spans_in(exporter.requests[0])

    assert [(one.name, is_bare(one)) for one in went] == [
        *(("a", False), ("b", False), ("c", True), ("d", True), ("a", False)),
    ]
    assert metrics.counts["left_bare memory"] == 2
    assert len(purse.asked) == 3  # nor is it asked for again


async def test_large_requests_without_a_model_stay_within_what_may_be_in_flight() -> None:
    metrics, exporter = FakeMetrics(), Keeping()
    door = Admission(max_requests=10, max_bytes=1_000_000, metrics=metrics)
    processor = processing(exporter, metrics, without_a_model(metrics))

    async def send() -> None:
        with door.admit() as admitted:
            sent = of_traces(spans=1_000, traces=1_000)
            admitted.grow(sent.size)
            await processor.consume(sent, Call(math.inf, (), admitted.attach))

    exporter.hold()
    tasks = [asyncio.create_task(send()) for _ in range(5)]
    await exporter.has_kept(5)

    assert door.bytes() <= 1_000_000
    added = {id(one.added): len(one.added) for each in exporter.kept for one in spans_of(each)}
    assert sum(added.values()) <= 1_000_000
    exporter.release()
    await asyncio.gather(*tasks)
    assert door.bytes() == 0


class Keeping(FakeExporter):
    """Keeps the requests themselves; can be held up."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[TraceRequest] = []
        self.objects: list[int] = []
        self._free = asyncio.Event()
        self._free.set()
        self._came = asyncio.Condition()

    def hold(self) -> None:
        self._free.clear()

    def release(self) -> None:
        self._free.set()

    async def has_kept(self, requests: int) -> None:
        """Wait until so many requests have come."""
        async with self._came:
            await self._came.wait_for(lambda: len(self.kept) >= requests)

    async def export(
        self,
        request: TraceRequest,
        *,
        deadline: float,
        metadata: Metadata,
        arrived: Arrived | None = None,
    ) -> ExportTraceServiceResponse:
        self.kept.append(request)
        self.objects.append(sum(isinstance(each, Work | StandIn) for each in gc.get_objects()))
        async with self._came:
            self._came.notify_all()
        await self._free.wait()
        return await super().export(request, deadline=deadline, metadata=metadata, arrived=arrived)


async def test_what_was_to_be_done_is_forgotten_before_the_next_hop_takes_its_time() -> None:
    metrics, exporter = FakeMetrics(), Keeping()
    processor = processing(exporter, metrics, without_a_model(metrics))
    gc.collect()
    before = sum(isinstance(each, Work | StandIn) for each in gc.get_objects())
    await processor.consume(of_traces(spans=500, traces=500), Call(math.inf, ()))

    assert exporter.objects == [before]


@pytest.mark.parametrize("kept", [0, 1, 2, 3])
async def test_what_would_not_get_through_in_time_goes_bare_errors_last(kept: int) -> None:
    metrics, exporter = FakeMetrics(), FakeExporter()
    sent = request(span("a"), span("b"), span("failed", code=Status.STATUS_CODE_ERROR))
    size = parse_request(sent.SerializeToString()).size
    exporter.has_room = size + (kept + 0.5) * (VECTOR_BYTES + 200)
    await processing(exporter, metrics).consume(
        parse_request(sent.SerializeToString()), Call(math.inf, ())
    )
    went = spans_in(exporter.requests[0])

    assert [one.name for one in went if not is_bare(one)] == {
        0: [],
        1: ["failed"],
        2: ["b", "failed"],
        3: ["a", "b", "failed"],
    }[kept]
    assert metrics.counts["left_bare sending"] == 3 - kept


async def test_a_request_that_gets_through_keeps_all_its_vectors() -> None:
    metrics, exporter = FakeMetrics(), FakeExporter()
    sent = parsed(*(span(f"operation {number}") for number in range(100)))
    exporter.has_room = sent.size + 100 * (VECTOR_BYTES + 200)
    await processing(exporter, metrics).consume(sent, Call(math.inf, ()))

    assert not any(map(is_bare, spans_in(exporter.requests[0])))
    assert metrics.counts == {}


async def attaching_until(until: float, spans: int) -> tuple[Attaching, TraceRequest]:
    sent = parsed(*map(span, "a" * spans))
    works = [Work(one, Standing.NONE, one.encoded, "a") for one in spans_of(sent)]
    turn = Turns(seconds=0).task()
    attaching = Attaching(sent, Encoded(annotator(), Purse(math.inf).grow), turn)
    async with turn:
        await attaching.attach(works, [embedding_of("a")] * spans, until=until)
    return attaching, sent


async def test_attaching_has_an_end_and_the_rest_goes_bare() -> None:
    attaching, sent = await attaching_until(-math.inf, spans=200)
    bare = [one for one in spans_of(sent) if not one.added]

    assert 0 < len(bare) < 200
    assert attaching.bare == {"attaching": len(bare)}
    assert len(sent.encode()) <= sent.size


async def test_attaching_that_ends_in_time_is_whole() -> None:
    attaching, sent = await attaching_until(math.inf, spans=200)

    assert all(one.added for one in spans_of(sent))
    assert attaching.bare == {}


async def test_a_request_of_one_span_is_done_before_any_of_five_large_ones() -> None:
    exporter = FakeExporter()
    processor = processing(exporter, FakeMetrics())
    large = [parsed(*map(span, "l" * 2_000)) for _ in range(5)]
    tasks = [asyncio.create_task(processor.consume(each, Call(math.inf, ()))) for each in large]
    for _ in range(20):
        await asyncio.sleep(0)
    await processor.consume(parsed(span("small")), Call(math.inf, ()))
    done = [spans_in(each)[0].name for each in exporter.requests]
    await asyncio.gather(*tasks)

    assert done == ["small"]
    assert len(exporter.requests) == 6


class Clock:
    """Stands still until a test sets it on."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def events(logs: Sequence[object]) -> list[object]:
    return [line["event"] for line in logs if isinstance(line, dict)]


def test_a_shortage_is_told_of_when_it_begins_and_when_it_ends() -> None:
    clock, metrics = Clock(), FakeMetrics()
    bare = BareSpans(metrics, clock=clock)
    with capture_logs() as logs:
        bare.note({})
        bare.note({"sending": 3})
        bare.note({"memory": 2, "sending": 1})
        bare.note({})
        clock.seconds += QUIET_SECONDS
        bare.note({})
        bare.note({})
        bare.note({"attaching": 1})

    assert events(logs) == [VECTORS_LEFT_OUT, VECTORS_COMPLETE, VECTORS_LEFT_OUT]
    assert (logs[0]["shortage"], logs[0]["spans"]) == ("sending", 3)
    assert metrics.counts == {
        "left_bare sending": 4,
        "left_bare memory": 2,
        "left_bare attaching": 1,
    }


def numbered(spans: int) -> ExportTraceServiceRequest:
    return request(*(span("GET", {"number": f"{each}"}) for each in range(spans)))


def numbers(sent: Sequence[Span]) -> set[str]:
    return {
        pair.value.string_value for one in sent for pair in one.attributes if pair.key == "number"
    }


async def test_through_a_slow_next_hop_all_spans_get_at_the_second_try_and_that_is_told(
    tiny_bert: Path,
) -> None:
    async with (
        FakeNextHop(bytes_a_second=150_000) as next_hop,
        sidecar_in_process(
            next_hop.url, **tiny_model(tiny_bert), max_send_bytes=150_000
        ) as sidecar,
    ):
        sent = numbered(1_500)
        with capture_logs() as logs:
            with pytest.raises(grpc.aio.AioRpcError):
                await sidecar.client.export(sent, timeout=3)
            first = next_hop.spans()
            next_hop.requests.clear()
            await sidecar.client.export(sent, timeout=3)
        second = next_hop.spans()

    assert 0 < len(numbers(first)) < 1_500
    assert numbers(first) | numbers(second) == numbers(spans_in(sent))
    bare = sum(map(is_bare, second))
    assert bare
    left_bare = sidecar.metrics.value("left_bare_spans_total", shortage="sending")
    skipped = sidecar.metrics.value("exporter_skipped_spans_total")
    assert bare <= left_bare <= bare + skipped
    assert events(logs).count(VECTORS_LEFT_OUT) == 1
