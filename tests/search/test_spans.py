from __future__ import annotations

from typing import TYPE_CHECKING

from otel_embedder.otlp.wire import parse_request
from otel_embedder.search.spans import find_spans, has_id, spans_of
from otel_embedder.text.options import RenderOptions
from otel_embedder.text.rendering import new_renderer
from tests.support.otlp_samples import SPAN_ID, TRACE_ID, request, span

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from opentelemetry.proto.trace.v1.trace_pb2 import Span

RENDERER = new_renderer(RenderOptions(template="{operation}"))


def plain(name: str, trace_id: bytes = TRACE_ID) -> bytes:
    return span(name, trace_id=trace_id).SerializeToString()


def test_spans_come_with_the_service_of_their_resource() -> None:
    requests = [
        request(span("a"), span("b"), service="shop").SerializeToString(),
        request(span("c"), service=None).SerializeToString(),
    ]

    spans = spans_of(map(parse_request, requests), RENDERER)

    assert [*spans] == [
        (plain("a"), "shop"),
        (plain("b"), "shop"),
        (plain("c"), "unknown_service"),
    ]


def identified(span_id: int, name: str, parent: int = 0) -> bytes:
    made: Span = span(name)
    made.span_id = span_id.to_bytes(8)
    made.parent_span_id = parent.to_bytes(8)
    return made.SerializeToString()


def test_a_span_is_known_by_its_id_and_not_by_its_parents() -> None:
    assert has_id(plain("a"), SPAN_ID)
    assert not has_id(plain("a"), bytes(8))
    assert not has_id(identified(1, "a", parent=2), (2).to_bytes(8))


def names(found: Iterable[tuple[str, bytes, str]]) -> list[tuple[str, str]]:
    return [(span_id, RENDERER.render(span, service).content) for span_id, span, service in found]


def test_spans_are_found_by_their_ids() -> None:
    spans = [(identified(number, f"span {number}"), "shop") for number in range(5)]

    found = find_spans(spans, [f"{3:016x}", f"{1:016x}", f"{3:016x}", f"{9:016x}"])

    assert names(found) == [(f"{1:016x}", "span 1"), (f"{3:016x}", "span 3")]


def test_of_several_spans_of_an_id_the_first_is_taken() -> None:
    spans = [(identified(1, name), "shop") for name in ("first", "second")]

    assert names(find_spans(spans, [f"{1:016x}"])) == [(f"{1:016x}", "first")]


def test_no_more_is_read_than_it_takes_to_find_them() -> None:
    spans: Sequence[tuple[bytes, str]] = [(identified(1, "a"), "shop"), (b"not a span", "shop")]

    assert len([*find_spans(iter(spans), [f"{1:016x}"])]) == 1
