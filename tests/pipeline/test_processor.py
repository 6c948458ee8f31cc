from __future__ import annotations

import asyncio
import math
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from otel_embedder.annotation.annotator import Annotator
from otel_embedder.annotation.standing import Origin
from otel_embedder.embedder.stand_in import stand_in
from otel_embedder.errors import ExportError, MalformedRequestError, RetryableExportError
from otel_embedder.fairness import Turns
from otel_embedder.otlp.call import Call
from otel_embedder.otlp.wire import parse_request
from otel_embedder.pipeline.processor import Processor
from otel_embedder.text.options import RenderOptions
from otel_embedder.text.renderer import Renderer
from otel_embedder.text.rendering import TextRenderer, new_renderer
from tests.support.fakes import (
    FAKE_MODEL,
    FakeExporter,
    FakeMetrics,
    FakeSpanEmbedder,
    FakeTaken,
    embedding_of,
)
from tests.support.otlp_samples import TRACE_ID, field, request, span
from tests.support.peers import spans_in
from tests.support.turns import others_beside

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from otel_embedder.annotation.settings import Encoding
    from otel_embedder.embedder.embedding import Embedding, Wanted
    from otel_embedder.otlp.call import Metadata
    from otel_embedder.otlp.wire import Arrived, TraceRequest
    from otel_embedder.pipeline.processor import SpanEmbedder
    from otel_embedder.text.renderer import Rendering
    from tests.support.otlp_samples import Value

pytestmark = pytest.mark.timeout(120)

OPTIONS = RenderOptions(profile="template")
OURS: Mapping[str, Value] = {
    "embedding.vector": embedding_of("kept").vector.tobytes(),
    "embedding.model_name": FAKE_MODEL,
    "embedding.source": "model",
    "embedding.text_version": OPTIONS.version(),
}
OUTDATED: Mapping[str, Mapping[str, Value]] = {
    "a stand-in": {**OURS, "embedding.source": "fallback", "embedding.model_name": "fallback-x"},
    "another model": {**OURS, "embedding.model_name": "another"},
    "another text": {**OURS, "embedding.text_version": "0"},
    "with its text": {**OURS, "embedding.text_version": "0", "embedding.text": "old"},
    "without a vector": {key: value for key, value in OURS.items() if "vector" not in key},
}


def processing(
    embedder: SpanEmbedder,
    exporter: FakeExporter,
    *,
    metrics: FakeMetrics | None = None,
    embed_timeout: float = 3,
    encoding: Encoding = "bytes",
    attach_text: bool = False,
    renderer: TextRenderer | None = None,
    taken: FakeTaken | None = None,
) -> Processor:
    annotator = Annotator(
        Origin(FAKE_MODEL, OPTIONS.version()),
        encoding=encoding,
        prefix="embedding.",
        attach_text=attach_text,
        attach_text_id=False,
        max_remembered=100,
    )
    return Processor(
        renderer or new_renderer(OPTIONS),
        embedder,
        annotator,
        exporter,
        embed_timeout=embed_timeout,
        turns=Turns(seconds=0),
        metrics=metrics or FakeMetrics(),
        taken=taken,
    )


async def consume(
    processor: Processor,
    message: ExportTraceServiceRequest | bytes,
    *,
    deadline: float = math.inf,
) -> ExportTraceServiceResponse:
    encoded = message if isinstance(message, bytes) else message.SerializeToString()
    return await processor.consume(parse_request(encoded), Call(deadline, (("key", "value"),)))


def attributes_of(annotated: Span) -> dict[str, bytes | str]:
    """Give the attributes that hold bytes or a string."""
    return {
        pair.key: pair.value.bytes_value or pair.value.string_value for pair in annotated.attributes
    }


def without_ours(annotated: Span) -> Span:
    kept = Span()
    kept.CopyFrom(annotated)
    del kept.attributes[:]
    kept.attributes.extend(p for p in annotated.attributes if not p.key.startswith("embedding."))
    return kept


async def test_a_span_goes_on_with_its_texts_vector_and_where_that_is_from() -> None:
    embedder, exporter = FakeSpanEmbedder(), FakeExporter()
    await consume(processing(embedder, exporter), request(span("pay", {"bank": "northern"})))
    [annotated] = exporter.requests[0].resource_spans[0].scope_spans[0].spans
    [text] = embedder.texts

    assert text.content == "mahavishnu pay UNSET in 2500ms attributes: bank=northern"
    assert attributes_of(annotated) == {
        "bank": "northern",
        "embedding.vector": embedding_of(text.content).vector.astype("<f4").tobytes(),
        "embedding.model_name": FAKE_MODEL,
        "embedding.source": "model",
        "embedding.text_version": OPTIONS.version(),
    }


async def test_without_our_attributes_the_request_is_what_came_in() -> None:
    exporter = FakeExporter()
    sent = request(span("one", {"a": 1}), span("two"), span("three", {"b": [1, 2]}))
    await consume(processing(FakeSpanEmbedder(), exporter), sent)

    assert list(map(without_ours, spans_in(exporter.requests[0]))) == spans_in(sent)


async def test_each_span_gets_its_own_texts_vector() -> None:
    exporter = FakeExporter()
    names = [f"operation {letter}" for letter in "abcdefgh"]
    processor = processing(FakeSpanEmbedder(), exporter, attach_text=True)
    await consume(processor, request(*map(span, names)))

    for name, annotated in zip(names, spans_in(exporter.requests[0]), strict=True):
        attributes = attributes_of(annotated)
        text = attributes["embedding.text"]
        assert isinstance(text, str)
        assert name in text
        assert attributes["embedding.vector"] == embedding_of(text).vector.tobytes()


async def test_the_default_encoding_is_an_array_of_doubles() -> None:
    embedder, exporter = FakeSpanEmbedder(), FakeExporter()
    await consume(processing(embedder, exporter, encoding="array"), request(span()))
    [annotated] = spans_in(exporter.requests[0])
    [vector] = [p.value.array_value for p in annotated.attributes if p.key == "embedding.vector"]

    expected = embedding_of(embedder.texts[0].content).vector
    assert np.array_equal([value.double_value for value in vector.values], expected)


async def test_trace_id_and_error_go_to_the_embedder() -> None:
    embedder = FakeSpanEmbedder()
    failed = span("failed", code=Status.STATUS_CODE_ERROR)
    await consume(processing(embedder, FakeExporter()), request(span("fine"), failed))

    assert [text.trace_id for text in embedder.texts] == [TRACE_ID.hex()] * 2
    assert [text.urgent for text in embedder.texts] == [False, True]


async def test_the_next_hops_answer_deadline_and_metadata_are_passed_through() -> None:
    response = ExportTraceServiceResponse()
    response.partial_success.rejected_spans = 1
    exporter = FakeExporter(response)
    deadline = asyncio.get_running_loop().time() + 5
    answer = await consume(
        processing(FakeSpanEmbedder(), exporter), request(span()), deadline=deadline
    )

    assert answer == response
    assert exporter.deadlines == [deadline]
    assert exporter.metadata == [(("key", "value"),)]


async def test_the_next_hops_refusal_is_passed_through() -> None:
    processor = processing(FakeSpanEmbedder(), FakeExporter(RetryableExportError("busy")))

    with pytest.raises(ExportError, match="busy"):
        await consume(processor, request(span()))


async def test_a_span_that_has_our_vector_passes_as_it_is() -> None:
    embedder, exporter, metrics = FakeSpanEmbedder(), FakeExporter(), FakeMetrics()
    sent = request(span("one", {"a": 1, **OURS}))
    await consume(processing(embedder, exporter, metrics=metrics), sent)

    assert exporter.encoded == [sent.SerializeToString()]
    assert embedder.texts == []
    assert metrics.counts == {"current": 1}


@pytest.mark.parametrize("key", ["vector", "model_name", "text", "source"])
async def test_somebody_elses_embedding_is_never_touched(key: str) -> None:
    embedder, exporter, metrics = FakeSpanEmbedder(), FakeExporter(), FakeMetrics()
    sent = request(span("one", {f"embedding.{key}": "theirs"}))
    await consume(processing(embedder, exporter, metrics=metrics), sent)

    assert exporter.encoded == [sent.SerializeToString()]
    assert embedder.texts == []
    assert metrics.counts == {"foreign": 1}


@pytest.mark.parametrize("ours", OUTDATED.values(), ids=OUTDATED)
async def test_what_is_outdated_is_replaced(ours: Mapping[str, Value]) -> None:
    embedder, exporter, metrics = FakeSpanEmbedder(), FakeExporter(), FakeMetrics()
    await consume(
        processing(embedder, exporter, metrics=metrics), request(span("one", {"a": "b", **ours}))
    )
    [annotated] = spans_in(exporter.requests[0])
    [text] = embedder.texts

    assert text.content == "mahavishnu one UNSET in 2500ms attributes: a=b"
    assert len(annotated.attributes) == 5
    assert attributes_of(annotated) == {
        **OURS,
        "a": "b",
        "embedding.vector": embedding_of(text.content).vector.tobytes(),
    }
    assert metrics.counts == {}


class OnlyStandIns:
    """Embeds as the fallback does while there is no model."""

    async def embed(self, wanted: Sequence[Wanted], *, timeout: float) -> list[Embedding | None]:  # noqa: ARG002, ASYNC109 - the protocol's
        return [stand_in(each.trace_id, 384) for each in wanted]


async def test_another_models_vector_is_not_replaced_by_noise() -> None:
    exporter = FakeExporter()
    sent = request(span("one", {**OURS, "embedding.model_name": "another-model"}))
    await consume(processing(OnlyStandIns(), exporter), sent)

    assert exporter.encoded == [sent.SerializeToString()]


async def test_a_stand_in_may_be_replaced_by_a_stand_in() -> None:
    exporter = FakeExporter()
    sent = request(span("one", {**OURS, "embedding.source": "fallback"}))
    await consume(processing(OnlyStandIns(), exporter), sent)
    [annotated] = spans_in(exporter.requests[0])

    assert attributes_of(annotated)["embedding.model_name"] == "fallback-sha256"
    assert len(annotated.attributes) == 4


async def test_each_span_is_treated_by_what_it_has() -> None:
    embedder, exporter = FakeSpanEmbedder(), FakeExporter()
    sent = request(
        span("new"),
        span("current", OURS),
        span("outdated", OUTDATED["another model"]),
        span("foreign", {"embedding.vector": [0.5]}),
        span("new too"),
    )
    await consume(processing(embedder, exporter), sent)
    came, went = spans_in(sent), spans_in(exporter.requests[0])

    assert [text.content.split()[1] for text in embedder.texts] == ["new", "outdated", "new"]
    assert [went[1], went[3]] == [came[1], came[3]]
    assert [len(annotated.attributes) for annotated in went] == [4, 4, 4, 1, 4]


async def test_where_there_is_no_vector_the_span_stays_as_it_came() -> None:
    text = "mahavishnu one UNSET in 2500ms attributes:"
    embedder, exporter = FakeSpanEmbedder(omit=[text]), FakeExporter()
    sent = request(span("one"), span("two"), span("one", OUTDATED["a stand-in"]))
    await consume(processing(embedder, exporter), sent)
    came, went = spans_in(sent), spans_in(exporter.requests[0])

    assert [went[0], went[2]] == [came[0], came[2]]
    assert len(went[1].attributes) == 4


@pytest.mark.parametrize(
    ("remaining", "embed_timeout", "least", "most"),
    [(math.inf, 3, 2, 3), (4, 3, 1, 2), (100, 3, 2, 3), (-1, 3, 0, 0), (0, 3, 0, 0)],
)
async def test_before_anything_is_learned_more_than_half_of_the_time_is_for_sending(
    remaining: float, embed_timeout: float, least: float, most: float
) -> None:
    embedder = FakeSpanEmbedder()
    processor = processing(embedder, FakeExporter(), embed_timeout=embed_timeout)
    deadline = asyncio.get_running_loop().time() + remaining
    await consume(processor, request(span()), deadline=deadline)

    assert least <= embedder.timeouts[0] <= most


class OnTime(FakeExporter):
    """Takes some time to send a request, and has what there was left of it."""

    def __init__(self, *, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds
        self.left: list[float] = []

    async def export(
        self,
        request: TraceRequest,
        *,
        deadline: float,
        metadata: Metadata,
        arrived: Arrived | None = None,
    ) -> ExportTraceServiceResponse:
        self.left.append(deadline - asyncio.get_running_loop().time())
        await asyncio.sleep(self.seconds)
        return await super().export(request, deadline=deadline, metadata=metadata, arrived=arrived)


async def test_what_sending_took_is_kept_free_the_next_time() -> None:
    embedder, exporter = FakeSpanEmbedder(), OnTime(seconds=0.6)
    processor = processing(embedder, exporter)
    for _ in range(2):
        deadline = asyncio.get_running_loop().time() + 1
        await consume(processor, request(span()), deadline=deadline)

    assert embedder.timeouts[1] < embedder.timeouts[0] - 0.05


def with_large_attributes(count: int) -> ExportTraceServiceRequest:
    """Give spans whose rendering takes many turns, since nothing of them recurs."""
    return request(
        *(
            span("slow", {f"key {number}": f"{number} {index}" * 20 for index in range(64)})
            for number in range(count)
        )
    )


async def test_a_span_whose_rendering_comes_too_late_gets_a_stand_in() -> None:
    embedder, exporter = FakeSpanEmbedder(), FakeExporter()
    sent = with_large_attributes(100)
    processor = processing(embedder, exporter, embed_timeout=1e-6, attach_text=True)
    await consume(processor, sent)
    went = spans_in(exporter.requests[0])
    sources = [attributes_of(annotated)["embedding.source"] for annotated in went]
    late = sources.index("fallback")

    assert list(map(without_ours, went)) == list(map(without_ours, spans_in(sent)))
    assert sources == ["model"] * len(embedder.texts) + ["fallback"] * (100 - late)
    assert embedder.without_text_of == [TRACE_ID.hex()] * (100 - late)
    assert "embedding.text" in attributes_of(went[0])
    assert "embedding.text" not in attributes_of(went[-1])


class SlowRenderer(Renderer):
    """Takes ten milliseconds a span."""

    def render(self, encoded: bytes, service: str) -> Rendering:
        end = time.monotonic() + 0.01
        while time.monotonic() < end:
            pass
        return super().render(encoded, service)


async def test_rendering_leaves_the_time_that_sending_needs() -> None:
    embedder, exporter = FakeSpanEmbedder(), OnTime(seconds=0)
    processor = processing(embedder, exporter, renderer=SlowRenderer(OPTIONS))
    sent = request(*(span(f"operation {number}") for number in range(300)))
    # Of which sending has more than a second: a busy machine may stand still for one.
    deadline = asyncio.get_running_loop().time() + 3
    await consume(processor, sent, deadline=deadline)

    assert exporter.left[0] > 0
    assert embedder.texts
    assert len(embedder.texts) + len(embedder.without_text_of) == 300


async def test_what_is_late_is_still_treated_by_what_it_has() -> None:
    exporter = FakeExporter()
    rendered = [span(f"operation {number}") for number in range(64)]
    sent = request(
        *rendered,
        span("current", OURS),
        span("outdated", OUTDATED["another model"]),
        span("stand-in", OUTDATED["a stand-in"]),
    )
    await consume(processing(FakeSpanEmbedder(), exporter, embed_timeout=1e-6), sent)
    came, went = spans_in(sent)[-3:], spans_in(exporter.requests[0])[-3:]

    assert went[:2] == came[:2]
    assert attributes_of(went[2])["embedding.model_name"] == "fallback-sha256"
    assert len(went[2].attributes) == 4


async def test_a_malformed_span_is_found_however_late_it_is() -> None:
    exporter = FakeExporter()
    good = field(2, span().SerializeToString())
    encoded = field(1, field(2, good * 64 + field(2, b"\xff\xff")))

    with pytest.raises(MalformedRequestError, match="a span is not a valid protobuf message"):
        await consume(processing(FakeSpanEmbedder(), exporter, embed_timeout=1e-6), encoded)
    assert exporter.requests == []


@pytest.mark.parametrize("broken", [b"\xff\xff", field(9, b"\xff\xff"), field(15, b"\xff\xff")])
async def test_of_a_request_with_a_malformed_span_nothing_is_sent(broken: bytes) -> None:
    embedder, exporter = FakeSpanEmbedder(), FakeExporter()
    good = field(2, span().SerializeToString())
    encoded = field(1, field(2, good + field(2, broken) + good))

    with pytest.raises(MalformedRequestError, match="a span is not a valid protobuf message"):
        await consume(processing(embedder, exporter), encoded)
    assert embedder.texts == []
    assert exporter.requests == []


async def test_a_large_request_leaves_others_their_turn() -> None:
    exporter = FakeExporter()
    sent = request(*[span(f"operation {number}") for number in range(64)])
    with others_beside() as others:
        await consume(processing(FakeSpanEmbedder(), exporter), sent)

    assert others.turns >= 4
    assert len(spans_in(exporter.requests[0])) == 64
    assert all(annotated.attributes for annotated in spans_in(exporter.requests[0]))


async def test_spans_of_several_resources_get_their_own_services_name() -> None:
    embedder, exporter = FakeSpanEmbedder(), FakeExporter()
    sent = request(span("pay"), service="shop")
    sent.MergeFrom(request(span("pay"), service="bank"))
    sent.MergeFrom(request(span("pay"), service=None))
    await consume(processing(embedder, exporter), sent)

    assert [text.content.split()[0] for text in embedder.texts] == [
        "shop",
        "bank",
        "unknown_service",
    ]


async def test_a_span_without_anything_is_embedded_too() -> None:
    exporter = FakeExporter()
    await consume(processing(FakeSpanEmbedder(), exporter), request(Span()))
    [annotated] = spans_in(exporter.requests[0])

    assert without_ours(annotated) == Span()
    assert {pair.key for pair in annotated.attributes} == set(OURS)


async def test_what_the_next_hop_took_is_told_with_texts_and_embeddings() -> None:
    taken = FakeTaken()
    processor = processing(FakeSpanEmbedder(), FakeExporter(), taken=taken)
    await consume(processor, request(span("a"), span("kept", OURS), span("b")))
    [passed] = taken.whole
    assert passed.request.spans == 3
    names = ["a", "b"]
    assert all(name in (work.content or "") for name, work in zip(names, passed.works, strict=True))
    assert [embedding is not None for embedding in passed.embeddings] == [True, True]


async def test_what_the_next_hop_did_not_take_is_not_told() -> None:
    taken = FakeTaken()
    exporter = FakeExporter(RetryableExportError("away"))
    with pytest.raises(RetryableExportError):
        await consume(processing(FakeSpanEmbedder(), exporter, taken=taken), request(span("a")))
    assert (taken.whole, taken.in_part) == ([], 0)


async def test_of_what_was_taken_in_part_nobody_is_told_but_how_many_spans_it_had() -> None:
    taken = FakeTaken()
    answer = ExportTraceServiceResponse()
    answer.partial_success.rejected_spans = 1
    processor = processing(FakeSpanEmbedder(), FakeExporter(answer), taken=taken)
    await consume(processor, request(span("a"), span("b")))
    assert (taken.whole, taken.in_part) == ([], 2)
