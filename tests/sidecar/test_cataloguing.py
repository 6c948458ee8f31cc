from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from otel_embedder.annotation.standing import Standing
from otel_embedder.annotation.work import Work
from otel_embedder.otlp.wire import Span, parse_request
from otel_embedder.pipeline.passed import Passed
from otel_embedder.search.recording.writing import CATALOGUE_FAILING
from otel_embedder.search.stores.opening import open_store
from otel_embedder.search.times import DAY, MINUTE
from otel_embedder.sidecar.cataloguing import (
    LARGE_SPANS,
    MAX_SPANS,
    POINTERS_BYTES,
    WaitingRequests,
    few_at_a_time,
)
from tests.support.fakes import embedding_of
from tests.support.in_process import sidecar_in_process, tiny_model
from tests.support.otlp_samples import new_span, request, span
from tests.support.peers import FakeNextHop

if TYPE_CHECKING:
    from pathlib import Path

    from otel_embedder.search.entries import Entry

pytestmark = pytest.mark.timeout(120)


def kept_in(url: str) -> tuple[list[Entry], int]:
    """Give the entries of a catalogue, and how many spans it has counted."""
    now = int(time.time())
    store = open_store(url, readonly=True)
    entries = store.entries(store.columns().keys.tolist())
    buckets = store.buckets(since=now - DAY, until=now + DAY, finest=MINUTE)
    spans = sum(int(bucket.counts.table("rows").values[:, 0].sum()) for bucket in buckets)
    store.close()
    return entries, spans


@pytest.mark.integration
async def test_what_the_next_hop_took_is_in_the_catalogue_with_its_vectors(
    tmp_path: Path, tiny_bert: Path
) -> None:
    url = f"sqlite:///{tmp_path}/catalogue.db"
    async with (
        FakeNextHop() as next_hop,
        sidecar_in_process(next_hop.url, **tiny_model(tiny_bert), catalogue=url) as sidecar,
    ):
        for _ in range(10):
            await sidecar.client.export(request(new_span("pay a bill"), new_span("ask")))
    entries, spans = await asyncio.to_thread(kept_in, url)
    assert len(entries) == 2
    assert all(entry.model for entry in entries)
    assert spans == 20
    assert sidecar.metrics.value("catalogue_written_spans_total") == 20


@pytest.mark.integration
async def test_a_catalogue_that_can_not_be_had_is_told_of_and_no_span_minds(
    tmp_path: Path, tiny_bert: Path
) -> None:
    url = f"sqlite:///{tmp_path}/no/such/folder/catalogue.db"
    with capture_logs() as lines:
        async with (
            FakeNextHop() as next_hop,
            sidecar_in_process(next_hop.url, **tiny_model(tiny_bert), catalogue=url) as sidecar,
        ):
            await sidecar.client.export(request(new_span("pay a bill")))
    assert len(next_hop.requests) == 1
    assert [line["event"] for line in lines].count(CATALOGUE_FAILING) == 1
    assert sidecar.metrics.value("catalogue_dropped_spans_total", reason="store") == 1


@pytest.mark.integration
async def test_of_a_large_request_all_is_counted(tmp_path: Path, tiny_bert: Path) -> None:
    url = f"sqlite:///{tmp_path}/catalogue.db"
    spans = LARGE_SPANS + 1
    async with (
        FakeNextHop() as next_hop,
        sidecar_in_process(next_hop.url, **tiny_model(tiny_bert), catalogue=url) as sidecar,
    ):
        await sidecar.client.export(request(*(new_span("pay a bill") for _ in range(spans))))
    entries, counted = await asyncio.to_thread(kept_in, url)
    assert (len(entries), counted) == (1, spans)


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
    first, rest = few_at_a_time(Passed(parsed, works, embeddings))
    assert (len(first.spans), len(rest.spans)) == (MAX_SPANS, 2)
    assert first.texts[:3] == ["0", None, "2"]
    assert first.embeddings[:3] == [embeddings[0], None, embeddings[1]]
    assert rest.texts == [f"{MAX_SPANS}", f"{MAX_SPANS + 1}"]
    assert [*rest.spans] == [each.encoded for each in scope.spans[-2:]]


class Watched(list[Span]):
    """The spans of a scope, which tell how often some of them were taken to be packed."""

    packed = 0

    def __getitem__(self, part: Any) -> Any:  # noqa: ANN401 - as a list has it
        self.packed += 1
        return super().__getitem__(part)


def passed_spans(spans: int) -> tuple[Passed, Watched]:
    parsed = parse_request(request(*(span("a") for _ in range(spans))).SerializeToString())
    [scope] = parsed.resources[0].scopes
    scope.spans = watched = Watched(scope.spans)
    return Passed(parsed, [], []), watched


def test_what_finds_no_room_is_not_packed() -> None:
    (first, _), (second, watched) = passed_spans(2), passed_spans(2)
    size = sum(len(each.encoded) + POINTERS_BYTES for each in watched)
    waiting = WaitingRequests(max_bytes=2 * size - 1)

    assert waiting.put(first)
    assert not waiting.put(second)
    assert watched.packed == 0
    [[some]] = waiting.take()
    assert len(some.spans) == 2
    assert waiting.put(second)
    assert watched.packed == 1


@pytest.mark.parametrize("spans", [1, MAX_SPANS + 1, LARGE_SPANS + 1])
def test_who_has_read_all_has_room_for_all_again(spans: int) -> None:
    passed, _ = passed_spans(spans)
    waiting = WaitingRequests(max_bytes=passed.request.size + POINTERS_BYTES * spans)
    for _ in range(3):
        assert waiting.put(passed)
        [pieces] = waiting.take()
        assert sum(len(some.spans) for some in pieces) == spans
