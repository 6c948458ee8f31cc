"""What a span has of an embedding already is judged by one rule, whichever way it comes."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Protocol

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from otel_embedder import EmbeddingService
from otel_embedder.annotation.annotator import Annotator
from otel_embedder.annotation.names import Names
from otel_embedder.annotation.standing import Origin
from otel_embedder.annotation.vectors import base64_of, packed
from otel_embedder.fairness import Turns
from otel_embedder.files.annotating import FilesTally, SpanAnnotator
from otel_embedder.files.documents import protobuf_format
from otel_embedder.files.named_forms import Form
from otel_embedder.files.requests import StoredRequest
from otel_embedder.library.trace import from_otlp, to_otlp
from otel_embedder.otlp.call import Call
from otel_embedder.otlp.wire import parse_request
from otel_embedder.pipeline.processor import Processor
from otel_embedder.sdk import EmbeddingSpanExporter
from otel_embedder.text.options import RenderOptions
from otel_embedder.text.rendering import new_renderer
from tests.support.fakes import (
    FAKE_MODEL,
    FakeExporter,
    FakeMetrics,
    FakeModel,
    FakeSpanEmbedder,
    embedding_of,
)
from tests.support.otlp_samples import request, span

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from opentelemetry.util.types import AttributeValue

    from otel_embedder.embedder.embedding import Embedding

    Attributes = Mapping[str, AttributeValue]

TEXT_VERSION = RenderOptions().version()
PREFIXES = ["embedding.", "acme."]


class Way(Protocol):
    """A way for a span through this project."""

    def __call__(self, attributes: Attributes, prefix: str) -> Attributes:
        """Give the attributes that a span with these comes out with."""
        ...


def annotator(prefix: str) -> Annotator:
    return Annotator(
        Origin(FAKE_MODEL, TEXT_VERSION),
        encoding="base64",
        prefix=prefix,
        attach_text=False,
        max_remembered=10,
    )


def attributes_in(encoded: bytes) -> Attributes:
    [resource] = ExportTraceServiceRequest.FromString(encoded).resource_spans
    [one] = resource.scope_spans[0].spans
    # A list is what a dict's array is, and a tuple what the SDK makes of it.
    values = from_otlp(one)["attributes"].items()
    return {key: tuple(value) if isinstance(value, list) else value for key, value in values}  # type: ignore[misc]  # of these tests


def through_the_sidecar(attributes: Attributes, prefix: str) -> Attributes:
    sent = request(span("pay", attributes)).SerializeToString()
    return attributes_in(sent_on(sent, annotator(prefix)))


def sent_on(sent: bytes, by: Annotator) -> bytes:
    """Give what a sidecar makes of a request."""
    exporter = FakeExporter()

    async def send() -> None:
        processor = Processor(
            new_renderer(RenderOptions()),
            FakeSpanEmbedder(),
            by,
            exporter,
            embed_timeout=3,
            turns=Turns(seconds=0),
            metrics=FakeMetrics(),
        )
        await processor.consume(parse_request(sent), Call(math.inf, ()))

    asyncio.run(send())
    return exporter.encoded[0]


class Texts:
    """Embeds texts at once."""

    def embed(self, texts: Sequence[str]) -> list[Embedding]:
        return [embedding_of(text) for text in texts]


def through_files(attributes: Attributes, prefix: str) -> Attributes:
    sent = request(span("pay", attributes)).SerializeToString()
    return attributes_in(annotated_in_a_file(sent, annotator(prefix)))


def annotated_in_a_file(sent: bytes, by: Annotator) -> bytes:
    """Give what `annotate` makes of a file of one request."""
    formats = {Form.PROTOBUF: protobuf_format(by, with_lengths=False)}
    spans = SpanAnnotator(new_renderer(RenderOptions()), Texts(), formats, FilesTally())
    [document] = spans.annotated([StoredRequest(Form.PROTOBUF, "request 1", sent, is_alone=True)])
    return b"".join(document.pieces())


def through_the_sdk(attributes: Attributes, prefix: str) -> Attributes:
    kept, sent = InMemorySpanExporter(), InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    tracer = provider.get_tracer("tests")
    tracer.start_span("pay", attributes=attributes, start_time=1).end(end_time=2)
    with EmbeddingService.sync(model=FakeModel()) as service:
        exporter = EmbeddingSpanExporter(sent, service=service, encoding="base64", prefix=prefix)
        exporter.export(kept.get_finished_spans())
    [one] = sent.get_finished_spans()
    return dict(one.attributes or {})


WAYS = [through_the_sidecar, through_files, through_the_sdk]
FOREIGN: list[Attributes] = [
    {"vector": (0.5, 0.25)},
    {"vector": (0.5, 0.25), "model_name": "text-embedding-3-small", "text": "theirs"},
    {"model_name": "theirs"},
    {"source": "model", "vector": "theirs"},
    {"text_id": "theirs"},
    {"text_id": "9F0C9F0C9F0C9F0C"},
    {"text_id": "9f0c9f0c9f0c9f0c", "model_name": "theirs"},
    {"text_id": 1234567890123456},
]


def named(attributes: Attributes, prefix: str) -> Attributes:
    return {f"{prefix}{key}": value for key, value in attributes.items()}


@pytest.mark.parametrize("foreign", FOREIGN, ids="+".join)
@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("way", WAYS)
def test_a_foreign_vector_is_never_touched(way: Way, prefix: str, foreign: Attributes) -> None:
    attributes = {"bank": "northern", **named(foreign, prefix)}

    assert way(attributes, prefix) == attributes


@pytest.mark.parametrize("foreign", FOREIGN, ids="+".join)
@pytest.mark.parametrize("prefix", PREFIXES)
def test_the_library_leaves_a_foreign_vector_where_it_is(prefix: str, foreign: Attributes) -> None:
    attributes = {"bank": "northern", **named(foreign, prefix)}
    trace = {"name": "pay", "attributes": dict(attributes)}
    with EmbeddingService.sync(model=FakeModel(), attribute_prefix=prefix) as service:
        service.embed(trace)

    assert trace == {"name": "pay", "attributes": attributes}
    sent = ExportTraceServiceRequest(resource_spans=[to_otlp(trace)])
    assert attributes_in(sent.SerializeToString()) == attributes


def ours(**changed: AttributeValue) -> Attributes:
    return {
        "vector": base64_of(embedding_of("kept").vector),
        "model_name": FAKE_MODEL,
        "source": "model",
        "text_version": TEXT_VERSION,
        **changed,
    }


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("way", WAYS)
def test_a_current_vector_stays(way: Way, prefix: str) -> None:
    attributes = named(ours(), prefix)

    assert way(attributes, prefix) == attributes


@pytest.mark.parametrize(
    "changed",
    [
        {"model_name": "another"},
        {"text_version": "0"},
        {"text_version": "0", "text": "old"},
        {"source": "fallback", "model_name": "fallback-sha256"},
    ],
    ids=["another model", "another text", "with its text", "a stand-in"],
)
@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("way", WAYS)
def test_what_is_outdated_is_renewed(way: Way, prefix: str, changed: Attributes) -> None:
    attributes = {"bank": "northern", **named(ours(**changed), prefix)}
    renewed = dict(way(attributes, prefix))
    fresh = dict(way({"bank": "northern"}, prefix))

    # Its text did not speak of what was there before.
    assert renewed == fresh
    names = Names.with_prefix(prefix)
    assert {name for name in renewed if name.startswith(prefix)} == {*names} - {
        names.text,
        names.first_seen,
    }


REFERRING: Attributes = {"text_id": "9f0c9f0c9f0c9f0c"}
WITHOUT_VECTOR: Attributes = {
    **{key: value for key, value in ours().items() if key != "vector"},
    **REFERRING,
}


@pytest.mark.parametrize("more", [{}, {"text": "pay"}], ids=["the id", "the text, too"])
@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("way", WAYS)
def test_what_refers_to_a_vector_gets_it_where_all_spans_do(
    way: Way, prefix: str, more: Attributes
) -> None:
    referring = {"bank": "northern", **named({**REFERRING, **more}, prefix)}

    assert way(referring, prefix) == way({"bank": "northern"}, prefix)


@pytest.mark.parametrize(
    "lost", [WITHOUT_VECTOR, {**WITHOUT_VECTOR, "first_seen": True}], ids=["its own", "a text's"]
)
@pytest.mark.parametrize("way", WAYS)
def test_what_lost_the_vector_that_it_brought_gets_another(way: Way, lost: Attributes) -> None:
    assert way(named(lost, "embedding."), "embedding.") == way({}, "embedding.")


@pytest.mark.parametrize("way", WAYS)
def test_what_brings_a_vector_stays(way: Way) -> None:
    attributes = named({**ours(), "text_id": "9f0c9f0c9f0c9f0c", "first_seen": True}, "embedding.")

    assert way(attributes, "embedding.") == attributes


def test_a_stand_in_does_not_take_the_place_of_what_refers_in_the_sdk() -> None:
    attributes = named(REFERRING, "embedding.")

    assert through_the_sdk_without_a_model(attributes) == [attributes]


WHOLE = embedding_of("kept").vector
NUMBERS = tuple(map(float, WHOLE))
# By what happened to it: a limit on attributes, a backend that stores floats otherwise, a program.
DAMAGED: Mapping[str, AttributeValue] = {
    "a string cut": base64_of(WHOLE)[:1024],
    "a string cut to what base64 can't be": base64_of(WHOLE)[:1023],
    "bytes cut": packed(WHOLE)[:512],
    "bytes cut within a number": packed(WHOLE)[:511],
    "an array cut": NUMBERS[:128],
    "zeros": (0.0,) * 384,
    "zeros as bytes": bytes(1536),
    "not a number": (math.nan, *NUMBERS[1:]),
    "infinite": (math.inf, *NUMBERS[1:]),
    "beyond float32": (1e300, *NUMBERS[1:]),
    "empty string": "",
    "empty bytes": b"",
    "empty array": (),
    "a text": "[0.6, 0.8]",
    "integers": (1, *(0,) * 383),
    "strings": ("1.0", *("0.0",) * 383),
    "booleans": (True, *(False,) * 383),
    "a number": 1.0,
    "a flag": True,
    "not of unit length": tuple(2 * number for number in NUMBERS),
}


@pytest.mark.parametrize("damaged", DAMAGED.values(), ids=DAMAGED)
@pytest.mark.parametrize(
    "changed", [{}, {"model_name": "another"}, {"text_version": "0"}], ids="+".join
)
@pytest.mark.parametrize("way", WAYS)
def test_a_damaged_vector_is_renewed(
    way: Way, changed: Attributes, damaged: AttributeValue
) -> None:
    attributes = named(ours(vector=damaged, **changed), "embedding.")

    assert way({"bank": "northern", **attributes}, "embedding.") == way(
        {"bank": "northern"}, "embedding."
    )


@pytest.mark.parametrize("whole", [base64_of(WHOLE), packed(WHOLE), NUMBERS], ids=type)
@pytest.mark.parametrize("way", WAYS)
def test_a_current_vector_stays_whatever_its_encoding(way: Way, whole: AttributeValue) -> None:
    attributes = named(ours(vector=whole), "embedding.")

    assert way(attributes, "embedding.") == attributes


@pytest.mark.parametrize("way", [through_the_sdk])
def test_where_the_dimension_is_known_another_is_damage(way: Way) -> None:
    attributes = named(ours(vector=(0.6, 0.8)), "embedding.")

    assert way(attributes, "embedding.") == way({}, "embedding.")


@pytest.mark.parametrize("damaged", [bytes(1536), (1.0, 1.0)], ids=type)
def test_a_stand_in_takes_a_damaged_vectors_place_in_the_sdk(damaged: AttributeValue) -> None:
    [attributes] = through_the_sdk_without_a_model(
        named(ours(vector=damaged, model_name="another"), "embedding.")
    )

    assert attributes["embedding.source"] == "fallback"


@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_dict_reads_the_same_with_our_vector_and_without(prefix: str) -> None:
    bare = {"name": "pay", "attributes": {"bank": "northern"}}
    annotated = {"name": "pay", "attributes": {"bank": "northern", **named(ours(), prefix)}}
    with EmbeddingService.sync(model=FakeModel(), attribute_prefix=prefix) as service:
        assert service.render(annotated) == service.render(bare)


def through_the_sdk_without_a_model(attributes: Attributes) -> list[Attributes]:
    model = FakeModel()
    model.hold()
    kept, sent = InMemorySpanExporter(), InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    tracer = provider.get_tracer("tests")
    tracer.start_span("pay", attributes=attributes, start_time=1).end(end_time=2)
    with EmbeddingService.sync(model=model, embed_timeout=0.01) as service:
        EmbeddingSpanExporter(sent, service=service).export(kept.get_finished_spans())
        model.release()
    spans: Sequence[ReadableSpan] = sent.get_finished_spans()
    return [dict(one.attributes or {}) for one in spans]


def test_a_stand_in_does_not_take_another_models_place_in_the_sdk() -> None:
    attributes = named(ours(model_name="another"), "embedding.")

    assert through_the_sdk_without_a_model(attributes) == [attributes]
