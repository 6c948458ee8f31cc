from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Status
from structlog.testing import capture_logs

from otel_embedder.annotation.recurring import MANY
from otel_embedder.search.recording.writing import CATALOGUE_FAILING
from otel_embedder.search.stores.opening import open_store
from otel_embedder.search.times import DAY, MINUTE
from otel_embedder.sidecar.waiting_spans import LARGE_SPANS
from tests.support.in_process import sidecar_in_process, tiny_model
from tests.support.otlp_samples import new_span, request
from tests.support.peers import FakeNextHop

if TYPE_CHECKING:
    from pathlib import Path

    from otel_embedder.search.entries import Entry

OK, ERROR = Status.STATUS_CODE_OK, Status.STATUS_CODE_ERROR

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
async def test_spans_that_recur_are_counted_as_others_are(tmp_path: Path, tiny_bert: Path) -> None:
    url = f"sqlite:///{tmp_path}/catalogue.db"
    async with (
        FakeNextHop() as next_hop,
        sidecar_in_process(next_hop.url, **tiny_model(tiny_bert), catalogue=url) as sidecar,
    ):
        for _ in range(5):
            recurring = [new_span("pay a bill", code=OK) for _ in range(2 * MANY)]
            failed = [new_span("pay a bill", code=ERROR) for _ in range(3)]
            await sidecar.client.export(request(*recurring, *failed, new_span("ask")))
    entries, spans = await asyncio.to_thread(kept_in, url)

    seen = 5 * 2 * MANY - 2 * 2 * MANY  # in the first no span is known, in the second none recurs
    assert sidecar.metrics.value("known_spans_total") >= seen
    assert spans == 5 * (2 * MANY + 3 + 1)
    assert sum(entry.examples.first is not None for entry in entries) == len(entries) == 3
    assert sidecar.metrics.value("catalogue_written_spans_total") == spans


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
