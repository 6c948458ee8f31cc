from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

import numpy as np
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from otel_embedder.annotation.annotator import Annotator
from otel_embedder.annotation.looking import LOOKED_AT
from otel_embedder.annotation.recurring import MANY
from otel_embedder.annotation.standing import Origin, Standing
from otel_embedder.annotation.work import (
    LARGE_BYTES,
    LOOKED_BYTES,
    PIECE,
    PIECES_RESTING,
    SpanReader,
    Work,
    spans_of,
)
from otel_embedder.embedder.stand_in import stand_in
from otel_embedder.fairness import LOOK_BYTES
from otel_embedder.otlp.wire import parse_request
from otel_embedder.text.options import RenderOptions
from otel_embedder.text.renderer import Renderer
from otel_embedder.text.rendering import new_renderer
from tests.support.fakes import FakeMetrics, embedding_of
from tests.support.otlp_samples import TRACE_ID, field, request, span
from tests.support.wire import encoded_spans

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from opentelemetry.proto.trace.v1.trace_pb2 import Span

    from otel_embedder.otlp.wire import TraceRequest
    from otel_embedder.text.renderer import Rendering
    from tests.support.otlp_samples import Value

ANNOTATOR = Annotator(
    Origin("m", "1"), encoding="bytes", prefix="embedding.", attach_text=False, max_remembered=1
)
OURS: Mapping[str, Value] = {
    "embedding.vector": np.array([0.6, 0.8], "<f4").tobytes(),
    "embedding.model_name": "m",
    "embedding.source": "model",
    "embedding.text_version": "1",
}
OLD: Mapping[str, Value] = {**OURS, "embedding.text_version": "0"}
STAND_IN: Mapping[str, Value] = {**OURS, "embedding.source": "fallback"}
FOREIGN: Mapping[str, Value] = {"embedding.vector": [0.5]}


def wire(*spans: Span) -> TraceRequest:
    return parse_request(request(*spans).SerializeToString())


def works(
    traces: TraceRequest, metrics: FakeMetrics, is_late: Callable[[], bool] = lambda: False
) -> list[Work]:
    reader = SpanReader(new_renderer(RenderOptions(profile="template")), ANNOTATOR)
    return [work for found, _ in reader.read(traces, metrics, is_late=is_late) for work in found]


def test_each_span_that_wants_a_vector_is_work_and_the_others_are_counted() -> None:
    metrics = FakeMetrics()
    spans = [span("a"), span("b", OURS), span("c", OLD), span("d", FOREIGN), span("e", STAND_IN)]
    found = works(wire(*spans), metrics)

    assert [work.standing for work in found] == [
        Standing.NONE,
        Standing.OUTDATED,
        Standing.STAND_IN,
    ]
    assert metrics.counts == {"current": 1, "foreign": 1}


def test_work_tells_its_text_and_its_trace() -> None:
    [work] = works(wire(span("pay", code=Status.STATUS_CODE_ERROR)), FakeMetrics())

    assert work.content == "mahavishnu pay ERROR in 2500ms attributes:"
    assert (work.urgent, work.trace_id) == (True, TRACE_ID.hex())


def test_a_span_without_a_trace_id_says_so() -> None:
    [work] = works(wire(span(trace_id=b"")), FakeMetrics())

    assert work.trace_id == "unknown"


def test_a_text_does_not_speak_of_an_outdated_vector() -> None:
    [old, new] = works(wire(span("a", {"b": 1, **OLD}), span("a", {"b": 1})), FakeMetrics())

    assert old.content == new.content


def test_what_is_late_is_work_without_a_text() -> None:
    late = iter([False, True])
    found = works(wire(span("a"), span("b", OURS), span("c")), FakeMetrics(), lambda: next(late))

    assert [work.content is not None for work in found] == [True, False]


def test_a_large_span_is_looked_into_and_rendered_in_steps_of_their_own() -> None:
    reader = SpanReader(new_renderer(RenderOptions()), ANNOTATOR)
    large = wire(span("a", {"k": "v" * LARGE_BYTES}))

    assert [len(found) for found, _ in reader.read(large, FakeMetrics())] == [0, 1]


def test_each_span_that_is_rendered_is_worth_a_look_at_the_clock_and_no_other() -> None:
    reader = SpanReader(new_renderer(RenderOptions(profile="template")), ANNOTATOR)
    sizes = {
        standing: [
            size for _, size in reader.read(wire(*[span("a", has)] * 2), FakeMetrics()) if size
        ]
        for standing, has in {"none": {}, "foreign": FOREIGN}.items()
    }

    assert [size >= LOOK_BYTES for size in sizes["none"]] == [True, True]
    assert [size >= LOOK_BYTES for size in sizes["foreign"]] == [False, False]


class Asked(Renderer):
    """Has nothing at hand; counts how often it was asked."""

    asked = 0

    def at_hand(self, spans: Sequence[bytes], service: str) -> list[Rendering | None]:
        self.asked += 1
        return super().at_hand(spans, service)


def test_where_few_are_at_hand_nobody_asks_for_a_while() -> None:
    renderer = Asked(RenderOptions(profile="template"))
    pieces = 1 + PIECES_RESTING + 1
    spans = [span(f"operation {number}") for number in range(pieces * PIECE)]
    steps = SpanReader(renderer, ANNOTATOR).read(wire(*spans), FakeMetrics())

    assert sum(len(found) for found, _ in steps) == len(spans)
    assert renderer.asked == 2


@pytest.mark.parametrize(
    ("attributes", "wants_a_stand_in"),
    [({}, True), (STAND_IN, True), (OLD, False)],
    ids=["none", "a stand-in", "another's"],
)
def test_a_models_vector_is_always_better_and_a_stand_in_not_than_a_vector(
    attributes: Mapping[str, Value], *, wants_a_stand_in: bool
) -> None:
    [work] = works(wire(span("a", attributes)), FakeMetrics())

    assert work.wants(embedding_of("a"))
    assert work.wants(stand_in("a trace", 3)) is wants_a_stand_in


def test_what_is_attached_replaces_what_is_outdated() -> None:
    traces = wire(span("a", {"b": 1, **OLD}))
    [work] = works(traces, FakeMetrics())

    work.attach(b"attributes", traces)
    [encoded] = encoded_spans(traces)
    assert encoded == work.bare + b"attributes"
    assert len(traces.encode()) <= traces.size


class Resources:
    """Names a service by its resource; remembers each that it was asked for."""

    def __init__(self) -> None:
        self.seen: list[bytes] = []

    def service(self, resource: bytes) -> str:
        self.seen.append(resource)
        return str(len(resource))

    def render(self, span: bytes, service: str) -> tuple[str, bool]:
        return f"{service} {len(span)}", False


def test_a_resource_is_read_once_and_only_for_a_span() -> None:
    scope, empty = field(2, field(2, b"")), field(2, b"")
    of = [field(1, field(1, b"a")), field(1, field(1, b"bc"))]
    encoded = field(1, of[0] + empty + scope + scope) + field(1, of[1] + empty)
    renderer = Resources()

    spans = [*spans_of(parse_request(encoded), renderer)]

    assert [service for _, service in spans] == ["3", "3"]
    assert renderer.seen == [field(1, b"a")]


class Counted(Renderer):
    """Counts how many services it was asked for."""

    services = 0

    def service(self, resource: bytes) -> str:
        self.services += 1
        return super().service(resource)


def test_large_resources_are_not_looked_up_in_one_step() -> None:
    renderer = Counted(RenderOptions())
    own = [field(1, field(1, b"%d" % number * LOOKED_BYTES)) for number in range(3)]
    scope = field(2, field(2, span("a").SerializeToString()))
    traces = parse_request(b"".join(field(1, each + scope) for each in own))

    steps = [
        (renderer.services, len(found), size > LOOKED_BYTES)
        for found, size in SpanReader(renderer, ANNOTATOR).read(traces, FakeMetrics())
    ]

    assert [step for step in steps if step[1] or step[2]] == [
        step for number in (1, 2, 3) for step in ((number, 0, True), (number, 1, False))
    ]


def test_spans_of_a_request_are_known_though_each_has_a_thread_of_its_own() -> None:
    reader, number = SpanReader(new_renderer(RenderOptions()), ANNOTATOR), count(200)
    known = [0]
    for _ in range(LOOKED_AT // MANY):
        threads = ({"thread.id": next(number)} for _ in range(MANY))
        some = wire(*(span("charge card", each, milliseconds=25) for each in threads))
        found = [work for step, _ in reader.read(some, FakeMetrics()) for work in step]
        known.append(reader.hits())

        assert {work.content for work in found} == {"mahavishnu charge card server"}

    assert known[-1] - known[-2] == MANY
