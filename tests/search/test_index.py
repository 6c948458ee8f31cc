from __future__ import annotations

from typing import TYPE_CHECKING, get_args

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from otel_embedder.annotation.annotator import Annotator
from otel_embedder.annotation.settings import Encoding
from otel_embedder.annotation.standing import Origin
from otel_embedder.embedder.bulk import BulkEmbedder
from otel_embedder.embedder.embedding import Embedding
from otel_embedder.embedder.stand_in import stand_in
from otel_embedder.otlp.wire import parse_request
from otel_embedder.search.index import Row, TextIndex, find_spans, has_id, spans_of
from otel_embedder.text.options import RenderOptions
from otel_embedder.text.rendering import new_renderer
from tests.support.fakes import DIMENSION, FAKE_MODEL, FakeModel, embedding_of
from tests.support.otlp_samples import SPAN_ID, TRACE_ID, request, span

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from opentelemetry.proto.trace.v1.trace_pb2 import Span

ENCODINGS: tuple[Encoding, ...] = get_args(Encoding)
# Texts are then the spans' names.
RENDERER = new_renderer(RenderOptions(template="{operation}"))


def annotator(encoding: Encoding = "array", text_version: str = RENDERER.text_version) -> Annotator:
    return Annotator(
        Origin(FAKE_MODEL, text_version),
        encoding=encoding,
        prefix="embedding.",
        attach_text=False,
        max_remembered=10,
    )


def index(*spans: bytes, errors_only: bool = False) -> TextIndex:
    made = TextIndex(RENDERER, annotator(), dimension=DIMENSION, errors_only=errors_only)
    for each in spans:
        made.add(each, "shop")
    return made


def plain(name: str, trace_id: bytes = TRACE_ID) -> bytes:
    return span(name, trace_id=trace_id).SerializeToString()


def annotated(name: str, embedding: Embedding, by: Annotator | None = None) -> bytes:
    return plain(name) + (by or annotator()).attributes(embedding, name)


def embed(texts: TextIndex, model: FakeModel) -> list[str]:
    """Give the texts that had to be embedded."""
    with BulkEmbedder(model, threads=1, max_texts=10) as embedder:
        return list(texts.embed(embedder, window=3))


def found(texts: TextIndex, asked: str, count: int = 10) -> list[Row]:
    embed(texts, FakeModel())
    return texts.nearest_to_words(asked, embedding_of(asked).vector, count)


def lasting(name: str, milliseconds: float, trace_id: int = 1) -> bytes:
    made = span(name, milliseconds=milliseconds, trace_id=trace_id.to_bytes(16))
    return made.SerializeToString()


def other_trace(number: int) -> bytes:
    return number.to_bytes(16)


def test_spans_that_read_the_same_are_one_row() -> None:
    rows = found(index(plain("a"), plain("b"), plain("a")), "a")

    assert [(row.text, row.spans) for row in rows] == [("a", 2), ("b", 1)]


def test_the_nearest_comes_first() -> None:
    texts = [f"text {number}" for number in range(20)]
    asked = embedding_of("asked").vector

    rows = found(index(*map(plain, texts)), "asked")

    nearest = sorted(texts, key=lambda text: -float(embedding_of(text).vector @ asked))[:10]
    assert [row.text for row in rows] == nearest
    assert [row.cosine for row in rows] == [
        pytest.approx(float(embedding_of(text).vector @ asked)) for text in nearest
    ]


def test_words_that_a_text_shares_with_the_question_count() -> None:
    same = embedding_of("the same").vector
    texts = index(*(annotated(name, embedding_of("the same")) for name in ("cart", "bank is down")))

    rows = texts.nearest_to_words("the bank", same, 10)

    assert [row.text for row in rows] == ["bank is down", "cart"]
    assert [row.cosine for row in rows] == pytest.approx([1, 1])
    assert 1 < rows[0].score < 1.5
    assert rows[1].score == rows[1].cosine


def test_a_span_is_nearer_to_those_that_took_about_as_long() -> None:
    same = embedding_of("the same")
    spans = [lasting("quick", 1), lasting("slow", 1000), lasting("both", 1), lasting("both", 900)]
    texts = index(*(each + annotator().attributes(same, "") for each in spans))

    rows = texts.nearest_to_span("asked", same.vector, 1000, 10)

    assert [row.text for row in rows] == ["slow", "both", "quick"]
    # A thousand times as long is half way to what can't be more unlike.
    assert [row.score - row.cosine for row in rows] == pytest.approx([0.5, 0.5, 0], abs=0.001)


def test_a_span_of_unknown_duration_is_ranked_by_its_text_alone() -> None:
    texts = index(lasting("a", 1), lasting("b", 1000))
    embed(texts, FakeModel())

    rows = texts.nearest_to_span("b", embedding_of("b").vector, None, 10)

    assert [row.text for row in rows] == ["b", "a"]
    assert [row.score for row in rows] == [row.cosine for row in rows]


def test_traces_of_spans_that_took_about_as_long_come_first() -> None:
    texts = index(*(lasting("a", 10**number, number) for number in range(6)), lasting("a", 0, 6))
    embed(texts, FakeModel())

    [row] = texts.nearest_to_span("a", embedding_of("a").vector, 90, 10)

    assert row.trace_ids == tuple(f"{number:032x}" for number in (2, 1, 3))


def test_no_more_rows_are_given_than_wanted() -> None:
    assert [row.text for row in found(index(plain("a"), plain("b")), "b", count=1)] == ["b"]


def test_where_there_are_no_spans_there_are_no_rows() -> None:
    assert found(index(), "a") == []


def test_a_row_has_some_of_its_traces_each_once() -> None:
    spans = [plain("a", other_trace(number)) for number in (1, 1, 2, 3, 4)]

    [row] = found(index(*spans), "a")

    assert row.spans == 5
    assert row.trace_ids == tuple(f"{number:032x}" for number in (1, 2, 3))


def test_a_span_without_a_trace_is_counted_but_is_no_example() -> None:
    [row] = found(index(plain("a", b"")), "a")

    assert (row.spans, row.trace_ids) == (1, ())


def test_the_very_text_comes_before_others_that_are_as_near() -> None:
    same = embedding_of("a")
    texts = index(*(annotated(name, same) for name in ("x", "a", "b")))

    rows = texts.nearest_to_words("a", same.vector, 10)

    assert [row.text for row in rows] == ["a", "x", "b"]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_vector_that_a_span_carries_is_used(encoding: Encoding) -> None:
    carried = embedding_of("something else")
    texts = index(annotated("a", carried, annotator(encoding=encoding)), plain("b"))

    assert embed(texts, FakeModel()) == ["b"]
    [row, _] = texts.nearest_to_words("a", carried.vector, 10)
    assert row.text == "a"
    assert row.cosine == pytest.approx(1)


def test_a_vector_counts_for_all_spans_of_its_text() -> None:
    texts = index(plain("a"), annotated("a", embedding_of("a")), plain("a"))

    assert embed(texts, FakeModel()) == []
    assert found(texts, "a")[0].spans == 3


@pytest.mark.parametrize(
    "made",
    [
        annotated("a", stand_in("1", DIMENSION)),
        annotated("a", Embedding(stand_in("1", DIMENSION).vector, FAKE_MODEL, "fallback")),
        annotated("a", embedding_of("b"), annotator(text_version="2")),
        annotated("a", Embedding(embedding_of("b").vector, "another-model", "model")),
        annotated("a", Embedding(embedding_of("b").vector[:-1], FAKE_MODEL, "model")),
        annotated("a", Embedding(embedding_of("b").vector * 2, FAKE_MODEL, "model")),
    ],
    ids=["stand-in", "source", "text version", "model", "too short", "not of unit length"],
)
def test_what_is_not_the_vector_we_would_make_is_not_used(made: bytes) -> None:
    texts = index(made)

    assert embed(texts, FakeModel()) == ["a"]
    assert found(texts, "a")[0].cosine == pytest.approx(1)


def test_a_text_is_rendered_without_our_attributes() -> None:
    renderer = new_renderer(RenderOptions(template="{k}={v} ..."))
    texts = TextIndex(renderer, annotator(), dimension=DIMENSION, errors_only=False)
    made = span(attributes={"embedding.vector": [0.5], "embedding.text_version": "1", "a": 1})

    assert texts.add(made.SerializeToString(), "shop") == "a=1"


def test_only_errors_are_kept_on_request() -> None:
    failed = span("pay", code=Status.STATUS_CODE_ERROR).SerializeToString()
    texts = index(failed, plain("pay"), plain("other"), failed, errors_only=True)

    assert [(row.text, row.spans) for row in found(texts, "other")] == [("pay", 2)]
    assert (texts.spans, len(texts)) == (2, 1)


def test_a_text_is_told_of_a_span_that_is_not_kept() -> None:
    assert index(errors_only=True).add(plain("a"), "shop") == "a"


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
