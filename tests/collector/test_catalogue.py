"""What passed by, found again: a shop, a real Collector, a sidecar with a catalogue, `search`."""

from __future__ import annotations

import json
import subprocess
import time
from itertools import count
from random import Random
from typing import TYPE_CHECKING

import pytest

from otel_embedder.cli.demo.shop import FAULTS, Shop
from otel_embedder.errors import StoreError
from otel_embedder.search.stores.opening import open_store
from otel_embedder.search.times import DAY, HOUR
from tests.support.otlp_samples import new_span, request
from tests.support.processes import (
    CONFIGURATIONS,
    OTEL_EMBEDDER,
    Collector,
    Sidecar,
    Sink,
    free_address,
    own_environment,
    running_collector,
    running_sidecar,
    send,
    span_ids,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

pytestmark = [pytest.mark.collector, pytest.mark.integration, pytest.mark.timeout(180)]

PATIENCE = 60.0
KILLS = 10
SPANS = 100
SOON_AGAIN = (
    "exporters::otlp_grpc/sidecar::retry_on_failure::initial_interval: 100ms",
    "exporters::otlp_grpc/sidecar::retry_on_failure::max_interval: 200ms",
)
INTERVAL = "0.3"


class Way:
    """A Collector, a sidecar that fills a catalogue, and where it is."""

    def __init__(self, folder: Path, sink: Sink, model_cache: Path) -> None:
        self.catalogue = f"sqlite:///{folder}/catalogue.db"
        self._sink = sink
        self._model_cache = model_cache
        self._sidecar = free_address()
        self._storage = folder / "spans"

    def sidecar(self) -> AbstractContextManager[Sidecar]:
        settings = (
            *("--catalogue", self.catalogue, "--catalogue-interval", INTERVAL),
            *("--model-cache", str(self._model_cache), "--embed-timeout", "30"),
        )
        return running_sidecar(self._sink.address, listen=self._sidecar, settings=settings)

    def collector(self) -> AbstractContextManager[Collector]:
        environment = {
            "OTELCOL_SIDECAR_ENDPOINT": self._sidecar,
            "OTELCOL_STORAGE_DIRECTORY": str(self._storage),
        }
        config = CONFIGURATIONS / "direct.yaml"
        return running_collector(config, environment, overrides=SOON_AGAIN)

    def counted(self) -> int:
        """Give how many spans the catalogue has counted, as another process reads it."""
        now = int(time.time())
        try:
            store = open_store(self.catalogue, readonly=True)
        except StoreError:  # nobody has written yet
            return 0
        buckets = store.buckets(since=now - DAY, until=now + HOUR)
        spans = sum(int(each.counts.table("rows").values[:, 0].sum()) for each in buckets)
        store.close()
        return spans

    def wait_until_counted(self, spans: int) -> int:
        """Wait for so many, give how many there are then."""
        until = time.monotonic() + PATIENCE
        while (counted := self.counted()) < spans:
            assert time.monotonic() < until, f"{counted} spans of {spans} are counted"
            time.sleep(0.1)
        return counted

    def search(self, question: str) -> list[dict[str, object]]:
        """Ask from another process."""
        command = [
            *(*OTEL_EMBEDDER, "search", question, "--catalogue", self.catalogue),
            *("--output", "json", "--model-cache", str(self._model_cache)),
        ]
        output = subprocess.check_output(command, env=own_environment({}), text=True)
        return [json.loads(line) for line in output.splitlines()]


@pytest.fixture(name="sink")
def _sink() -> Sink:
    return Sink()


def test_what_the_shop_did_is_found_while_it_goes_on(
    tmp_path: Path, sink: Sink, model_cache: Path
) -> None:
    way = Way(tmp_path, sink, model_cache)
    with sink, way.sidecar() as sidecar, way.collector() as collector:
        sidecar.wait_for_model()
        shop = Shop(collector.address, Random(3))
        spans = sum(shop.purchase(None) for _ in range(20))
        spans += sum(shop.purchase(fault) for fault in FAULTS)
        shop.close()
        way.wait_until_counted(spans)
        found = {
            fault.operation: way.search(f"{fault.message} in {fault.operation}") for fault in FAULTS
        }
        assert way.counted() == spans

    for fault in FAULTS:
        first = found[fault.operation][0]
        assert first["status"] == "ERROR"
        assert first["operation"] == fault.operation
        assert first["spans"] == sum(each.operation == fault.operation for each in FAULTS)


def batch_of(spans: int, ids: Iterator[int]) -> list[bytes]:
    """Give so many spans of now, in requests of twenty."""
    return [
        request(*(new_span(f"task {next(ids) % 20}") for _ in range(20))).SerializeToString()
        for _ in range(spans // 20)
    ]


def test_a_sidecar_that_is_killed_while_it_writes_loses_no_span_and_an_interval_of_counts(
    tmp_path: Path, sink: Sink, model_cache: Path
) -> None:
    way, random, ids = Way(tmp_path, sink, model_cache), Random(5), count()
    sent: list[bytes] = []
    with sink, way.collector() as collector:
        for _ in range(KILLS):
            with way.sidecar() as sidecar:
                before = way.counted()
                safe = batch_of(SPANS, ids)
                send(collector.address, safe)
                way.wait_until_counted(before + SPANS)
                # Of these none, some or all are in the interval that is lost.
                at_stake = batch_of(SPANS, ids)
                send(collector.address, at_stake)
                time.sleep(random.uniform(0, 4 * float(INTERVAL)))
                sidecar.kill()
            sent += (*safe, *at_stake)
        with way.sidecar() as sidecar:
            sink.wait_for_all(sent)
            sidecar.stop()
    # What was in flight when it was killed may come twice, and is counted as often.
    assert KILLS * SPANS <= way.counted() <= sum(span_ids(sink.requests).values())
