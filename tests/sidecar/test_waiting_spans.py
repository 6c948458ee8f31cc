from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from otel_embedder.annotation.annotator import Annotator
from otel_embedder.annotation.recurring import MANY, Sightings
from otel_embedder.annotation.standing import Origin, Standing
from otel_embedder.annotation.work import SpanReader, Work
from otel_embedder.otlp.wire import parse_request
from otel_embedder.pipeline.passed import Passed
from otel_embedder.sidecar.waiting_spans import (
    LARGE_SPANS,
    MAX_SPANS,
    POINTERS_BYTES,
    RecurringSome,
    SomeSpans,
    WaitingRequests,
    few_at_a_time,
)
from otel_embedder.text.options import RenderOptions
from otel_embedder.text.rendering import new_renderer
from tests.support.fakes import FakeMetrics, embedding_of
from tests.support.otlp_samples import new_span, request, span

if TYPE_CHECKING:
    from collections.abc import Iterable

    from otel_embedder.sidecar.waiting_spans import Piece


ANNOTATOR = Annotator(
    Origin("m", "1"), encoding="bytes", prefix="embedding.", attach_text=False, max_remembered=1
)


def packed(pieces: Iterable[Piece]) -> list[SomeSpans]:
    return [piece for piece in pieces if isinstance(piece, SomeSpans)]


def test_spans_come_a_few_at_a_time_with_their_texts_and_embeddings() -> None:
    sent = request(*(span(f"{number}") for number in range(MAX_SPANS + 2)))
    parsed = parse_request(sent.SerializeToString())
    [scope] = parsed.resources[0].scopes
    works = [
        Work(each, Standing.NONE, each.encoded, f"{number}")
        for number, each in enumerate(scope.spans)
        if number != 1
    ]
    embeddings = [embedding_of(work.content or "") for work in works]

    first, rest = packed(few_at_a_time(Passed(parsed, works, embeddings, Sightings())))
    assert (len(first.spans), len(rest.spans)) == (MAX_SPANS, 2)
    assert [*first.texts[:3]] == ["0", None, "2"]
    assert [*first.embeddings[:3]] == [embeddings[0], None, embeddings[1]]
    assert [*rest.texts] == [f"{MAX_SPANS}", f"{MAX_SPANS + 1}"]
    assert [*rest.spans] == [each.encoded for each in scope.spans[-2:]]


def passed_spans(spans: int) -> Passed:
    parsed = parse_request(request(*(span("a") for _ in range(spans))).SerializeToString())
    return Passed(parsed, [], [], Sightings())


def test_what_finds_no_room_is_left() -> None:
    first, second = passed_spans(2), passed_spans(2)
    [scope] = second.request.resources[0].scopes
    size = sum(len(each.encoded) + POINTERS_BYTES for each in scope.spans)
    waiting = WaitingRequests(max_bytes=2 * size - 1)

    assert waiting.put(first)
    assert not waiting.put(second)
    [[some]] = waiting.take()
    assert len(some) == 2
    assert waiting.put(second)


@pytest.mark.parametrize("spans", [1, MAX_SPANS + 1, LARGE_SPANS + 1])
def test_who_has_read_all_has_room_for_all_again(spans: int) -> None:
    passed = passed_spans(spans)
    waiting = WaitingRequests(max_bytes=passed.request.size + POINTERS_BYTES * spans)
    for _ in range(3):
        assert waiting.put(passed)
        [pieces] = waiting.take()
        assert sum(map(len, pieces)) == spans


def read(reader: SpanReader, spans: Iterable[Span]) -> Passed:
    parsed, sightings = parse_request(request(*spans).SerializeToString()), Sightings()
    steps = reader.read(parsed, FakeMetrics(), sightings=sightings)
    works = [work for step, _ in steps for work in step]
    embeddings = [embedding_of(work.content or "") for work in works]
    return Passed(parsed, works, embeddings, sightings)


def span_ids(piece: Piece) -> list[bytes]:
    if isinstance(piece, RecurringSome):
        return [row[2].tobytes() for row in piece.own]
    return [Span.FromString(encoded).span_id for encoded in piece.spans]


def texts(piece: Piece) -> list[str | None]:
    if isinstance(piece, RecurringSome):
        return [each.content for each in piece.recurring]
    return [*piece.texts]


@pytest.mark.parametrize("news", [0, 3])
def test_every_span_waits_once_whether_it_recurs_or_not(news: int) -> None:
    reader = SpanReader(new_renderer(RenderOptions()), ANNOTATOR)
    for _ in range(2):
        read(reader, [new_span("pay") for _ in range(MANY)])
    spans = [new_span(f"{place}" if place % 70 < news else "pay") for place in range(3 * MANY)]

    passed = read(reader, spans)
    pieces = [*few_at_a_time(passed)]

    assert sorted(each for piece in pieces for each in span_ids(piece)) == sorted(
        each.span_id for each in spans
    )
    assert any(isinstance(piece, RecurringSome) for piece in pieces)
    assert any(isinstance(piece, SomeSpans) for piece in pieces) is (news > 0)
    for piece in pieces:
        expected = [embedding_of(text or "") for text in texts(piece)]
        assert [each and each.vector.tolist() for each in piece.embeddings] == [
            each.vector.tolist() for each in expected
        ]
    room = passed.request.size + POINTERS_BYTES * len(spans)
    assert WaitingRequests(max_bytes=room).put(passed)
