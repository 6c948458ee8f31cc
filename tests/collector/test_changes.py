"""An incident begins in a shop behind a real Collector, is named, and is over."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from otel_embedder.search.asking.queries import ChangesQuery, Stretch
from otel_embedder.search.catalogue import Catalogue
from otel_embedder.search.links import trace_link
from otel_embedder.search.stores.opening import open_store
from otel_embedder.search.times import MINUTE
from tests.collector.test_collector import SIDECAR_YAML, Topology
from tests.support.made_up import FakeEmbedder
from tests.support.processes import Sink, send
from tests.support.traffic import BANK, CHARGE, WELL, Fault, traffic

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from otel_embedder.search.changes.answers import Changes
    from otel_embedder.search.store import Store

pytestmark = [pytest.mark.collector, pytest.mark.integration, pytest.mark.timeout(120)]

INTERVALS = 3
HOUR, INCIDENT, AFTERWARDS = range(-60, 0), range(5), range(5, 20)
LOOK_SECONDS = 0.2


class Asking:
    """Asks the catalogue that a sidecar fills, while it does."""

    def __init__(self, store: Store, begin: int) -> None:
        self._store = store
        self._begin = begin
        self._catalogue = Catalogue(
            store, FakeEmbedder(), model="any", text_version="any", link=trace_link(None)
        )

    def batches(self) -> int:
        """Give how many intervals were written."""
        return sum(self._store.writers().values())

    def changes(self, minutes: range) -> Changes:
        since, until = (
            datetime.fromtimestamp(self._begin + MINUTE * minute, UTC)
            for minute in (minutes.start, minutes.stop)
        )
        window = Stretch(since, until)
        return self._catalogue.changes(ChangesQuery(window=window, against=timedelta(hours=1)))

    def wait_for(self, spans: int, minutes: range) -> None:
        """Wait until so many spans of some time were counted."""
        while self.changes(minutes).window.spans < spans:
            time.sleep(LOOK_SECONDS)


@pytest.fixture(autouse=True)
def _model_cache(model_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EMBEDDER_MODEL_CACHE", str(model_cache))


def made(minutes: Iterable[int], begin: int, fault: Fault = WELL) -> Sequence[bytes]:
    requests = traffic(minutes, fault, seed=hash(fault), begin=begin)
    return [each.SerializeToString() for each in requests]


def test_what_fails_is_named_within_three_intervals_and_it_is_quiet_after_the_repair(
    tmp_path: Path,
) -> None:
    begin = int(time.time()) // MINUTE * MINUTE
    url = f"sqlite:///{tmp_path / 'spans.db'}"
    filling = ("--catalogue", url, "--catalogue-interval", "1")
    with Sink() as sink:
        topology = Topology(SIDECAR_YAML, tmp_path, sink.address)
        with topology.sidecar(*filling), topology.collector() as collector:
            send(collector.address, made(HOUR, begin))
            asking = Asking(open_store(url, readonly=True), begin)
            asking.wait_for(60 * 80, HOUR)

            sent = made(INCIDENT, begin, Fault(failing=0.6))
            before = asking.batches()
            send(collector.address, sent)
            while not (found := asking.changes(INCIDENT)).certain:
                time.sleep(LOOK_SECONDS)
            took = asking.batches() - before

            send(collector.address, made(AFTERWARDS, begin))
            asking.wait_for(15 * 80, AFTERWARDS)
            afterwards = asking.changes(AFTERWARDS)

    first = found.certain[0]
    assert (first.operation.service, first.operation.operation) == (BANK, CHARGE)
    assert first.reasons[0].test == "fails"
    assert first.examples_after
    assert took <= INTERVALS
    assert afterwards.certain == ()
