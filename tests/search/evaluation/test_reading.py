from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from opentelemetry.proto.trace.v1.trace_pb2 import Status

from otel_embedder.annotation.annotator import Annotator
from otel_embedder.annotation.standing import Origin
from otel_embedder.otlp.spans import SpanIds
from otel_embedder.otlp.wire import parse_request
from otel_embedder.search.evaluation.labels import Fault
from otel_embedder.search.evaluation.reading import CorpusReader, Sample
from otel_embedder.text.options import RenderOptions
from otel_embedder.text.renderer import Renderer
from tests.support.fakes import FAKE_MODEL, embedding_of
from tests.support.otlp_samples import SPAN_ID, TRACE_ID, event, request, span

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.proto.trace.v1.trace_pb2 import Span

    from otel_embedder.search.evaluation.reading import Corpus

BY_NAME = Renderer(RenderOptions(template="{operation}"))
WHOLE = Renderer(RenderOptions())


def annotator() -> Annotator:
    return Annotator(
        Origin(FAKE_MODEL, WHOLE.text_version),
        encoding="array",
        prefix="embedding.",
        attach_text=False,
        max_remembered=1,
    )


def read(
    *spans: Span, faults: Mapping[SpanIds, Fault] | None = None, sample_size: int = 100
) -> Corpus:
    reader = CorpusReader(
        {"by name": BY_NAME, "whole": WHOLE},
        annotator=annotator(),
        faults=faults or {},
        sample_size=sample_size,
    )
    requests = [parse_request(request(each, service="shop").SerializeToString()) for each in spans]
    return reader.read("file", requests, lambda _: None)


class Thing(NamedTuple):
    position: int


def sampled(kinds: str, size: int, seed: int = 0) -> str:
    """Give the kinds of the letters that a sample keeps."""
    sample: Sample[Thing] = Sample(size, seed=seed)
    for position, kind in enumerate(kinds):
        sample.add(Thing(position), kind)
    return "".join(kinds[thing.position] for thing in sample.kept())


def test_a_sample_of_few_has_them_all_in_order() -> None:
    assert sampled("abcab", 5) == "abcab"


def test_a_sample_has_one_of_each_kind_however_rare() -> None:
    found = sampled("a" * 500 + "b" + "a" * 500 + "c", 10)

    assert len(found) == 10
    assert {*found} == {"a", "b", "c"}


def test_a_sample_is_no_larger_than_wanted_even_of_more_kinds() -> None:
    assert sampled("abcdef", 3) == "abc"


def test_the_same_seed_samples_the_same() -> None:
    sample: Sample[Thing] = Sample(10, seed=1)
    again: Sample[Thing] = Sample(10, seed=1)
    other: Sample[Thing] = Sample(10, seed=2)
    for each in (sample, again, other):
        for position in range(1000):
            each.add(Thing(position), "kind")

    kept = sample.kept()
    assert again.kept() == kept
    assert other.kept() != kept
    # From all over the file.
    assert kept[-1].position > 500


def test_each_span_has_its_trace_and_its_text_by_number() -> None:
    names = ("pay", "cart", "pay")
    traces = (b"1" * 16, b"2" * 16, b"2" * 16)

    corpus = read(*(span(name, trace_id=trace) for name, trace in zip(names, traces, strict=True)))

    assert corpus.traces.tolist() == [0, 1, 1]
    assert corpus.texts["by name"].texts == ["pay", "cart"]
    assert corpus.texts["by name"].of_spans.tolist() == [0, 1, 0]
    assert len(corpus.texts["whole"].texts) == 2


def test_a_sampled_span_has_its_service() -> None:
    [sampled_span] = read(span("pay")).sample

    assert (sampled_span.position, sampled_span.service) == (0, "shop")


def test_what_was_attached_is_no_part_of_a_text() -> None:
    bare = span("pay", {"a": 1})
    carrying = bare.SerializeToString() + annotator().attributes(embedding_of("x"), "x")

    corpus = read(bare, type(bare).FromString(carrying))

    assert len(corpus.texts["whole"].texts) == 1


def test_spans_of_other_services_names_errors_and_statuses_are_of_other_kinds() -> None:
    failed = Status.STATUS_CODE_ERROR
    exception = {"exception.type": "E", "exception.message": "no answer from 10.0.0.1"}
    elsewhere = {"exception.type": "E", "exception.message": "no answer from 10.0.0.2"}
    kinds = [
        span("pay"),
        span("cart"),
        span("pay", code=failed),
        span("pay", code=failed, message="refused"),
        span("pay", code=failed, events=[event(attributes=exception)]),
    ]
    same = [span("pay", {"a": 1}), span("pay", code=failed, events=[event(attributes=elsewhere)])]

    corpus = read(*same * 20, *kinds, *same * 20, sample_size=5)

    kept = {each.encoded for each in corpus.sample}
    assert {each.SerializeToString() for each in (kinds[1], kinds[2], kinds[3])} <= kept
    assert {each.SerializeToString() for each in same} <= kept


def test_spans_with_faults_are_known_by_their_ids() -> None:
    fault = Fault("1", "slow", "bank")

    corpus = read(
        span("a", trace_id=b"x" * 16),
        span("b", milliseconds=5),
        faults={SpanIds(TRACE_ID, SPAN_ID): fault},
    )

    assert corpus.symptoms == [(1, fault, 5)]
