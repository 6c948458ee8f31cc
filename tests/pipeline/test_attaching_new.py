"""The vector on the first span of each text in a window, and what leads to it on the others."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from otel_embedder.annotation.annotator import Annotator
from otel_embedder.annotation.first_sight import FirstSights
from otel_embedder.annotation.standing import Origin
from otel_embedder.annotation.text_id import text_id
from otel_embedder.embedder.stand_in import stand_in
from otel_embedder.errors import BusyError, RetryableExportError
from otel_embedder.fairness import Turns
from otel_embedder.otlp.call import Call
from otel_embedder.otlp.wire import parse_request
from otel_embedder.pipeline.processor import Processor
from otel_embedder.text.options import RenderOptions
from otel_embedder.text.rendering import new_renderer
from tests.support.fakes import (
    DIMENSION,
    FAKE_MODEL,
    FakeClock,
    FakeExporter,
    FakeMetrics,
    FakeSpanEmbedder,
    FakeTaken,
    embedding_of,
)
from tests.support.in_process import sidecar_in_process, tiny_model
from tests.support.otlp_samples import request, span
from tests.support.peers import spans_in

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
    from opentelemetry.proto.common.v1.common_pb2 import AnyValue
    from opentelemetry.proto.trace.v1.trace_pb2 import Span

    from otel_embedder.embedder.embedding import Embedding, Wanted
    from otel_embedder.pipeline.processor import SpanEmbedder
    from tests.support.peers import FakeNextHop

pytestmark = pytest.mark.timeout(120)

WINDOW = 10.0
OPTIONS = RenderOptions()
ORIGIN = Origin(FAKE_MODEL, OPTIONS.version())


class Sidecar(NamedTuple):
    """A processor that attaches each vector once a window, and what it sends to."""

    processor: Processor
    exporter: FakeExporter
    clock: FakeClock
    metrics: FakeMetrics

    async def consume(
        self, *spans: Span, grow: Callable[[int], None] = lambda _: None
    ) -> list[Span]:
        """Give the spans as they went on."""
        encoded = request(*spans).SerializeToString()
        await self.processor.consume(parse_request(encoded), Call(math.inf, (), grow))
        return spans_in(self.exporter.requests[-1])


def sidecar(
    exporter: FakeExporter | None = None,
    embedder: SpanEmbedder | None = None,
    taken: FakeTaken | None = None,
) -> Sidecar:
    clock, metrics = FakeClock(), FakeMetrics()
    exporter = exporter or FakeExporter()
    processor = Processor(
        new_renderer(OPTIONS),
        embedder or FakeSpanEmbedder(),
        Annotator(
            ORIGIN, encoding="bytes", prefix="embedding.", attach_text=False, max_remembered=100
        ),
        exporter,
        embed_timeout=3,
        turns=Turns(seconds=0),
        metrics=metrics,
        taken=taken,
        sights=FirstSights(window=WINDOW, clock=clock),
    )
    return Sidecar(processor, exporter, clock, metrics)


def ours(annotated: Span) -> dict[str, AnyValue]:
    return {
        pair.key.removeprefix("embedding."): pair.value
        for pair in annotated.attributes
        if pair.key.startswith("embedding.")
    }


def brings(annotated: Span) -> bool:
    """Tell whether a span has a vector; it says so itself."""
    found = ours(annotated)
    assert (
        ("vector" in found) is found["first_seen"].bool_value
        if "first_seen" in found
        else ("vector" not in found)
    )
    return "vector" in found


async def test_the_first_span_of_a_text_brings_its_vector_and_the_others_its_id() -> None:
    one = sidecar()
    went = await one.consume(span("pay"), span("ship"), span("pay"), span("pay"))
    first, *_, other = map(ours, went)

    assert [brings(each) for each in went] == [True, True, False, False]
    assert set(first) == {
        *("vector", "model_name", "source", "text_version", "text_id", "first_seen"),
    }
    assert other == {"text_id": first["text_id"]}


async def test_what_has_arrived_is_not_sent_again_until_its_window_is_over() -> None:
    one = sidecar()
    went = []
    for _ in range(4):
        went += await one.consume(span("pay"))
        one.clock.now += WINDOW / 2

    assert [brings(each) for each in went] == [True, False, True, False]


async def test_after_a_failure_a_vector_is_due_again() -> None:
    failing = FakeExporter(RetryableExportError("busy"))
    one = sidecar(failing)
    for _ in range(2):
        with pytest.raises(RetryableExportError):
            await one.consume(span("pay"))

    assert [brings(each) for sent in failing.requests for each in spans_in(sent)] == [True, True]


async def test_what_the_next_hop_may_have_rejected_is_due_again() -> None:
    answer = ExportTraceServiceResponse()
    answer.partial_success.rejected_spans = 1
    one = sidecar(FakeExporter(answer))
    went = [*await one.consume(span("pay"), span("ship")), *await one.consume(span("pay"))]

    assert [brings(each) for each in went] == [True, True, True]


class StandInEmbedder(FakeSpanEmbedder):
    """Has no model."""

    async def embed(self, wanted: Sequence[Wanted], *, timeout: float) -> list[Embedding | None]:  # noqa: ARG002, ASYNC109 - the protocol's
        return [stand_in(each.trace_id, DIMENSION) for each in wanted]


async def test_a_stand_in_always_travels_and_says_nothing_of_being_first() -> None:
    one = sidecar(embedder=StandInEmbedder())
    went = [*await one.consume(span("pay"), span("pay")), *await one.consume(span("pay"))]

    assert all("vector" in ours(each) and "first_seen" not in ours(each) for each in went)
    assert {ours(each)["source"].string_value for each in went} == {"fallback"}


class FailingLater(FakeSpanEmbedder):
    """Has a model for one request."""

    def __init__(self) -> None:
        super().__init__()
        self.wanted: list[int] = []

    async def embed(self, wanted: Sequence[Wanted], *, timeout: float) -> list[Embedding | None]:  # noqa: ASYNC109 - the protocol's
        self.wanted.append(len(wanted))
        if len(self.wanted) == 1:
            return await super().embed(wanted, timeout=timeout)
        return [stand_in(each.trace_id, DIMENSION) for each in wanted]


async def test_a_span_leads_to_a_vector_that_has_arrived_whatever_becomes_of_the_model() -> None:
    embedder = FailingLater()
    one = sidecar(embedder=embedder)
    await one.consume(span("pay"))
    [known, new, again] = await one.consume(span("pay"), span("ship"), span("pay"))

    assert [*ours(known)] == [*ours(again)] == ["text_id"]
    assert ours(new)["source"].string_value == "fallback"
    assert embedder.wanted == [1, 1]


async def test_who_wants_to_know_what_passed_is_told_each_vector() -> None:
    taken = FakeTaken()
    one = sidecar(taken=taken)
    await one.consume(span("pay"))
    await one.consume(span("pay"), span("ship"), span("pay"))
    [_, passed] = taken.whole

    assert len(passed.works) == len(passed.embeddings) == 3
    for work, embedding in zip(passed.works, passed.embeddings, strict=True):
        assert work.content is not None
        assert embedding is not None
        assert (embedding.vector == embedding_of(work.content).vector).all()


async def test_a_vector_that_does_not_get_through_in_time_is_due_again() -> None:
    exporter = FakeExporter()
    one = sidecar(exporter)
    exporter.has_room = 100
    [slow] = await one.consume(span("pay"))
    exporter.has_room = math.inf
    [fast] = await one.consume(span("pay"))

    assert ours(slow) == {}
    assert brings(fast)


async def test_where_there_is_no_memory_for_a_vector_there_is_for_what_leads_to_it() -> None:
    def grow(size: int) -> None:
        if size > 1_000:
            raise BusyError("no room", retry_after=1)

    one = sidecar()
    full = await one.consume(span("pay"), span("pay"), span("ship"), grow=grow)
    went = await one.consume(span("pay"), span("ship"))

    assert [brings(each) for each in full] == [False] * 3
    assert [brings(each) for each in went] == [True, True]
    assert one.metrics.counts["left_bare memory"] == 2


async def test_what_another_sidecar_left_to_its_first_span_stays_or_gets_its_vector() -> None:
    first, second = sidecar(), sidecar()
    await first.consume(span("pay"))
    [refers] = await first.consume(span("pay"))
    [brought] = await second.consume(refers)
    [stays] = await second.consume(refers)

    assert not brings(refers)
    assert brings(brought)
    assert stays == refers
    assert list(brought.attributes[: len(refers.attributes)]) != list(refers.attributes)
    assert len(brought.attributes) == 6


async def test_an_id_of_another_model_is_not_left_on_a_span() -> None:
    one = sidecar()
    outdated = span("pay", {"embedding.text_id": "9f0c9f0c9f0c9f0c"})
    went = [*await one.consume(span("pay")), *await one.consume(outdated)]
    first, other = map(ours, went)

    assert other == {"text_id": first["text_id"]}


async def test_a_stand_in_does_not_take_the_place_of_what_leads_to_a_vector() -> None:
    first, second = sidecar(), sidecar(embedder=StandInEmbedder())
    await first.consume(span("pay"))
    [refers] = await first.consume(span("pay"))

    assert await second.consume(refers) == [refers]


async def test_what_comes_again_without_its_vector_is_no_echo_and_what_comes_back_is_one() -> None:
    first, second = sidecar(), sidecar()
    await first.consume(span("pay", trace_id=bytes(15) + b"1"))
    [refers] = await first.consume(span("pay"))
    for _ in range(2):
        await second.consume(refers)
    assert second.metrics.counts["came_back"] == 0

    await first.consume(refers)
    assert first.metrics.counts["came_back"] == 1


async def test_a_sidecar_attaches_so_if_it_is_told_to_and_counts_what_arrived(
    tiny_bert: Path, next_hop: FakeNextHop
) -> None:
    async with sidecar_in_process(next_hop.url, **tiny_model(tiny_bert), attach="new") as one:
        for _ in range(2):
            await one.client.export(request(span("pay"), span("ship"), span("pay")))

    assert [brings(each) for each in next_hop.spans()] == [True, True, *[False] * 4]
    assert one.metrics.value("first_seen_spans_total") == 2
    assert one.metrics.value("first_seen_bytes") > 0


class Flaky(FakeExporter):
    """Takes a request, fails, or takes all but one span, as it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.fate = "taken"

    async def export(self, *args: object, **kwargs: object) -> ExportTraceServiceResponse:
        self._response: ExportTraceServiceResponse | Exception = ExportTraceServiceResponse()
        if self.fate == "failed":
            self._response = RetryableExportError("away")
        elif self.fate == "in part":
            self._response.partial_success.rejected_spans = 1
        return await super().export(*args, **kwargs)  # type: ignore[arg-type]  # passed on


TEXTS = [f"{verb} {noun}" for verb in ("pay", "ship") for noun in ("book", "lamp", "coat")]
REQUESTS = st.lists(
    st.tuples(
        st.lists(st.sampled_from(TEXTS), min_size=1, max_size=8),
        st.sampled_from(["taken", "failed", "in part"]),
        st.floats(0, 1.5 * WINDOW),
    ),
    max_size=20,
)


@given(REQUESTS)
@settings(deadline=None, max_examples=60)
def test_with_whatever_arrives_each_texts_vector_has_within_a_window(
    requests: list[tuple[list[str], str, float]],
) -> None:
    asyncio.run(check_windows(requests))


async def check_windows(requests: list[tuple[list[str], str, float]]) -> None:
    exporter = Flaky()
    one = sidecar(exporter)
    arrived: dict[str, float] = {}
    for names, exporter.fate, seconds in requests:
        one.clock.now += seconds
        went = await went_on(one, names)
        bringing = [ours(each)["text_id"].string_value for each in went if brings(each)]
        assert len(bringing) == len(set(bringing))
        if exporter.fate != "taken":
            continue
        arrived |= dict.fromkeys(bringing, one.clock.now)
        for each in went:
            assert one.clock.now - arrived[ours(each)["text_id"].string_value] < WINDOW
        assert_vectors_are_of_their_texts(one, went)


async def went_on(one: Sidecar, names: Sequence[str]) -> list[Span]:
    try:
        return await one.consume(*map(span, names))
    except RetryableExportError:
        return spans_in(one.exporter.requests[-1])


def assert_vectors_are_of_their_texts(one: Sidecar, went: Sequence[Span]) -> None:
    renderer = new_renderer(OPTIONS)
    service = renderer.service(resource_of(one.exporter.requests[-1]))
    for annotated in went:
        found = ours(annotated)
        del annotated.attributes[:]
        text = renderer.render(annotated.SerializeToString(), service).content
        assert found["text_id"].string_value == text_id(ORIGIN, text)
        if "vector" in found:
            assert found["vector"].bytes_value == embedding_of(text).vector.tobytes()


def resource_of(sent: ExportTraceServiceRequest) -> bytes:
    return sent.resource_spans[0].resource.SerializeToString()
