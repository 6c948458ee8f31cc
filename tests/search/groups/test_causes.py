"""Failures of five causes are five groups, whatever happens on their way."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from otel_embedder.search.evaluation.grouping import judged
from otel_embedder.search.recording.recorder import Bounds, Recorder
from otel_embedder.search.stores.opening import open_store
from otel_embedder.text.options import RenderOptions
from otel_embedder.text.rendering import new_renderer
from tests.support.failing import BEGIN, CAUSES, SECOND, failing_request

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
    from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans

    from otel_embedder.search.groups.failed import FailedTrace
    from otel_embedder.search.store import Batch, Store

NOW = (BEGIN + 600) * SECOND
TRACES = 60
BOUNDS = Bounds(spans=10_000, bytes=100_000_000, sayings=10_000)


def the_requests() -> list[ExportTraceServiceRequest]:
    return [failing_request(CAUSES[n % len(CAUSES)], n, at=n) for n in range(TRACES)]


def the_causes() -> dict[str, str]:
    return {(n + 1).to_bytes(16).hex(): str(n % len(CAUSES)) for n in range(TRACES)}


def a_recorder(writer: str = "writer") -> Recorder:
    return Recorder(writer, new_renderer(RenderOptions()), bounds=BOUNDS)


def take(recorder: Recorder, requests: Iterable[ExportTraceServiceRequest]) -> None:
    for request in requests:
        for resource in request.resource_spans:
            spans = [
                span.SerializeToString() for scope in resource.scope_spans for span in scope.spans
            ]
            nothing: list[None] = [None] * len(spans)
            recorder.take(resource.resource.SerializeToString(), spans, nothing, nothing, now=NOW)


def flushed(requests: Iterable[ExportTraceServiceRequest], writer: str = "writer") -> Batch:
    recorder = a_recorder(writer)
    take(recorder, requests)
    batch = recorder.flush(NOW)
    assert batch is not None
    return batch


def failures(requests: Iterable[ExportTraceServiceRequest]) -> Sequence[FailedTrace]:
    return flushed(requests).failures


def together(store: Store) -> set[frozenset[bytes]]:
    """Give which traces are in one group."""
    return {
        frozenset(member.trace_id for member in store.groups.members([each.number], most=1_000))
        for each in store.groups.all()
    }


def by_cause() -> set[frozenset[bytes]]:
    causes = the_causes()
    return {
        frozenset(bytes.fromhex(trace) for trace, other in causes.items() if other == cause)
        for cause in causes.values()
    }


def test_each_cause_is_a_group_of_its_own() -> None:
    score = judged(failures(the_requests()), the_causes())

    assert score[:3] == (TRACES, len(CAUSES), len(CAUSES))
    assert (score.v_measure, score.homogeneity, score.order_agreement) == (1, 1, 1)
    assert (score.unlabelled, score.absent) == (0, 0)


@pytest.mark.parametrize("seed", range(10))
def test_in_whatever_order_and_parts_traces_come_the_groups_have_the_same_members(
    seed: int,
) -> None:
    requests = the_requests()
    random.Random(seed).shuffle(requests)
    store = open_store("memory")
    recorder = a_recorder()
    for start in range(0, TRACES, 7):
        take(recorder, requests[start : start + 7])
        batch = recorder.batch(NOW)
        if batch is not None:
            store.write(batch)
    last = recorder.flush(NOW)
    assert last is not None
    store.write(last)

    assert together(store) == by_cause()
    store.close()


def test_of_traces_whose_services_pass_by_two_sidecars_the_root_counts() -> None:
    store = open_store("memory")
    for service in ("front", "checkout", "bank", "cart", "ads", "mail"):
        parts = the_requests()
        for part in parts:
            own = [each for each in part.resource_spans if _service(each) == service]
            del part.resource_spans[:]
            part.resource_spans.extend(own)
        store.write(flushed(parts, writer=service))

    assert together(store) == by_cause()
    counts = [
        sum(int(bucket.counts.table("groups").values.sum()) for bucket in buckets)
        for buckets in [store.buckets(since=BEGIN - 60, until=BEGIN + 600)]
    ]
    assert counts == [TRACES]
    store.close()


def test_ids_stay_after_a_restart_and_after_all_is_counted_again(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'catalogue.db'}"
    store = open_store(url)
    store.write(flushed(the_requests(), writer="file"))
    before = {each.group.id for each in store.groups.all()}
    store.close()

    store = open_store(url)
    store.forget("file")
    backwards = the_requests()[::-1]
    store.write(flushed(backwards, writer="file"))
    assert {each.group.id for each in store.groups.all()} == before
    assert together(store) == by_cause()
    store.close()


def _service(resource_spans: ResourceSpans) -> str:
    attributes = resource_spans.resource.attributes
    return next(each.value.string_value for each in attributes if each.key == "service.name")
