"""Vectors in the process that makes the spans, with the real SDK."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import numpy as np
import pytest
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from otel_embedder import EmbeddingService
from otel_embedder.embedder.stand_in import STAND_IN_MODEL
from otel_embedder.sdk import EmbeddingSpanExporter, EmbeddingSpanProcessor
from tests.support.comparison import differences, spans_as_they_are, spans_in
from tests.support.fakes import DIMENSION, FAKE_MODEL, FakeModel, embedding_of
from tests.support.processes import Sink, python

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from opentelemetry.sdk.trace import ReadableSpan

    from otel_embedder.annotation.settings import Encoding
    from otel_embedder.library.sync_service import SyncEmbeddingService

WITHOUT_THE_SDK = """
import sys
sys.modules["opentelemetry.sdk"] = None  # as if it were not installed
from otel_embedder import EmbeddingService
with EmbeddingService.sync() as service:
    print(service.render({"name": "a"}))
"""


class FakeExporter(SpanExporter):
    """Keeps what it was given and asked."""

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []
        self.calls: list[str] = []

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.spans += spans
        return SpanExportResult.FAILURE

    def shutdown(self) -> None:
        self.calls.append("shutdown")

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        self.calls.append(f"force_flush {timeout_millis}")
        return False


@pytest.fixture
def model() -> FakeModel:
    return FakeModel()


@pytest.fixture
def service(model: FakeModel) -> Iterator[SyncEmbeddingService]:
    with EmbeddingService.sync(model=model) as service:
        yield service


def ended_spans() -> Sequence[ReadableSpan]:
    """Give a span with all that a span can have, some of it dropped, and one with nothing."""
    provider = TracerProvider(
        resource=Resource.create({"service.name": "payment"}),
        span_limits=SpanLimits(max_span_attributes=2, max_events=1, max_links=1),
    )
    kept = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    tracer = provider.get_tracer("tests", "1.0", "https://schema/1")
    with tracer.start_as_current_span("outer"), tracer.start_as_current_span("inner") as inner:
        inner.set_attributes({"a": [1, 2], "b": "text", "c": 0.5})
        inner.add_event("first")
        inner.record_exception(OSError("disk full"))
        inner.add_link(inner.get_span_context(), {"d": True})
        inner.add_link(inner.get_span_context())
    return kept.get_finished_spans()


def encoded(spans: Sequence[ReadableSpan]) -> list[bytes]:
    return [encode_spans(spans).SerializeToString()]


def test_spans_go_on_unchanged_but_for_their_vectors(service: SyncEmbeddingService) -> None:
    spans, sent = ended_spans(), FakeExporter()
    EmbeddingSpanExporter(sent, service=service).export(spans)

    assert differences(spans_as_they_are(encoded(spans)), spans_in(encoded(sent.spans))) == []


def test_the_next_exporters_answer_is_the_answer(service: SyncEmbeddingService) -> None:
    sent = FakeExporter()
    exporter = EmbeddingSpanExporter(sent, service=service)

    assert exporter.export(ended_spans()) is SpanExportResult.FAILURE
    assert exporter.force_flush(5) is False
    exporter.shutdown()
    assert sent.calls == ["force_flush 5", "shutdown"]


@pytest.mark.parametrize("encoding", ["array", "bytes", "base64"])
def test_a_span_carries_its_vector_and_where_it_comes_from(
    service: SyncEmbeddingService, encoding: Encoding
) -> None:
    [span, _] = ended_spans()
    sent = FakeExporter()
    EmbeddingSpanExporter(sent, service=service, encoding=encoding, prefix="ai.").export([span])
    attributes = dict(sent.spans[0].attributes or {})
    vector = attributes.pop("ai.vector")

    assert attributes == {
        **(span.attributes or {}),
        "ai.model_name": FAKE_MODEL,
        "ai.source": "model",
        "ai.text_version": "words-4",
        "ai.text_id": "90ee662ad5071c58",
    }
    assert (decoded(vector) == embedding_of(service.render(span)).vector).all()


def decoded(vector: object) -> object:
    match vector:
        case str():
            return np.frombuffer(base64.b64decode(vector), "<f4")
        case bytes():
            return np.frombuffer(vector, "<f4")
        case _:
            return np.array(vector, np.float32)


def test_a_span_that_has_a_vector_already_passes_as_it_is(service: SyncEmbeddingService) -> None:
    sent = FakeExporter()
    twice = EmbeddingSpanExporter(EmbeddingSpanExporter(sent, service=service), service=service)
    twice.export(ended_spans()[:1])

    assert len(sent.spans[0].attributes or {}) == 2 + 5


def test_what_is_not_ready_in_time_goes_with_a_stand_in(model: FakeModel) -> None:
    model.hold()
    sent = FakeExporter()
    with EmbeddingService.sync(model=model, embed_timeout=0.01) as service:
        EmbeddingSpanExporter(sent, service=service).export(ended_spans())
        model.release()

    sources = [(span.attributes or {})["embedding.source"] for span in sent.spans]
    assert sources == ["fallback", "fallback"]
    assert (sent.spans[0].attributes or {})["embedding.model_name"] == STAND_IN_MODEL


def test_spans_go_without_vectors_when_the_service_is_closed(
    service: SyncEmbeddingService,
) -> None:
    sent = FakeExporter()
    exporter = EmbeddingSpanExporter(sent, service=service)
    service.close()
    spans = ended_spans()
    exporter.export(spans)

    assert sent.spans == [*spans]


def test_a_service_that_was_given_is_left_open(service: SyncEmbeddingService) -> None:
    EmbeddingSpanExporter(FakeExporter(), service=service).shutdown()

    assert service.embed({"name": "a"}).source == "model"


def test_an_application_does_not_wait_for_the_model(
    model: FakeModel, service: SyncEmbeddingService
) -> None:
    model.hold()
    sent = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(EmbeddingSpanProcessor(sent, service=service))
    for number in range(600):  # more than a batch, so that one is on its way
        provider.get_tracer("tests").start_span(f"step {number}").end()
    ended_meanwhile = len(sent.get_finished_spans())
    model.release()
    provider.shutdown()

    assert ended_meanwhile == 0
    assert len(sent.get_finished_spans()) == 600
    assert {len(span.attributes["embedding.vector"]) for span in sent.get_finished_spans()} == {  # type: ignore[index, arg-type]
        DIMENSION
    }


@pytest.mark.integration
def test_spans_of_a_program_arrive_over_otlp_with_the_models_vectors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with Sink() as sink:
        provider = TracerProvider()
        exporter = OTLPSpanExporter(endpoint=sink.address, insecure=True)
        provider.add_span_processor(EmbeddingSpanProcessor(exporter, encoding="bytes"))
        while not any(b"all-MiniLM-L6-v2" in request for request in sink.requests):
            # The first may get a stand-in, while the model is converted.
            provider.get_tracer("tests").start_span("charge card").end()
            provider.force_flush()
        provider.get_tracer("tests").start_span("charge card").end()
        provider.shutdown()
        *_, request = sink.requests

    assert b"all-MiniLM-L6-v2" in request
    assert len(spans_in([request])) == 1


def test_the_library_needs_no_sdk() -> None:
    assert python(WITHOUT_THE_SDK) == "unknown service a\n"
