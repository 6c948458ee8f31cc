"""What a row acts on: a Collector with its queue on disk, the sidecar, a next hop, and a ledger."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager, suppress
from threading import Thread
from typing import TYPE_CHECKING, NamedTuple

from tests.faults.client import Client
from tests.faults.collector_metrics import CollectorMetrics, samples
from tests.faults.ledger import Ledger
from tests.faults.next_hop import NextHop
from tests.faults.straight import DEADLINE_SECONDS
from tests.support.processes import (
    CONFIGURATIONS,
    OTEL_EMBEDDER,
    Collector,
    Sidecar,
    every_line,
    free_address,
    peak_bytes,
    running_collector,
    running_sidecar,
    send,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path
    from typing import IO

    from tests.faults.client import Answer
    from tests.faults.collector_metrics import Counts
    from tests.faults.straight import Straight

DIRECT_YAML = CONFIGURATIONS / "direct.yaml"
# Nobody wants to wait as long as a Collector may.
SOON_AGAIN = (
    "exporters::otlp_grpc/sidecar::retry_on_failure::initial_interval: 200ms",
    "exporters::otlp_grpc/sidecar::retry_on_failure::max_interval: 1s",
)
MEBIBYTE = 1024 * 1024


class Running(NamedTuple):
    """Both processes."""

    sidecar: Sidecar
    collector: Collector


class Stage:
    """Everything that one row needs; nothing runs until the row says so."""

    def __init__(self, directory: Path, model_cache: Path) -> None:
        """Prepare a row.

        Args:
            directory: of this row's own.
            model_cache: where the default model is converted already.

        """
        self.directory = directory
        self.ledger = Ledger()
        self.next_hop = NextHop(self.ledger)
        self.peak_bytes = 0
        self.counts: Counts | None = None
        self.address = free_address()
        self.metrics_address = free_address()
        self.model_cache = model_cache
        self._collector: Collector | None = None

    @contextmanager
    def everything(self, *settings: str, overrides: Sequence[str] = ()) -> Iterator[Running]:
        """Run all three; in the end, wait for every span that was sent."""
        with (
            self.next_hop,
            self.sidecar(*settings) as sidecar,
            self.collector(*overrides) as collector,
        ):
            yield Running(sidecar, collector)
            self.ledger.wait_for_all()

    @contextmanager
    def sidecar(
        self,
        *settings: str,
        program: Sequence[str] = OTEL_EMBEDDER,
        next_hop: str = "",
        has_model: bool = True,
        heard: Callable[[IO[str]], Iterator[str]] = every_line,
    ) -> Iterator[Sidecar]:
        """Run a sidecar that has loaded its model, always at the same address."""
        with running_sidecar(
            next_hop or self.next_hop.address,
            listen=self.address,
            settings=("--metrics-listen", self.metrics_address, *settings),
            environment={"OTEL_EMBEDDER_MODEL_CACHE": str(self.model_cache)},
            program=program,
            heard=heard,
        ) as sidecar:
            if has_model:
                sidecar.wait_for_model()
            try:
                yield sidecar
            finally:
                self.note_memory(sidecar)

    def metric(self, *names: str) -> float:
        """Give what the sidecar counts under these names, in all; 0 where there is no such name."""
        found = samples(self.metrics_address)
        return sum(found.get(name.removesuffix("_total"), 0) for name in names)

    def note_memory(self, sidecar: Sidecar) -> None:
        """Look at the memory of a sidecar, unless it is gone."""
        with suppress(OSError, StopIteration):
            self.peak_bytes = max(self.peak_bytes, peak_bytes(sidecar.pid))

    @contextmanager
    def collector(self, *overrides: str) -> Iterator[Collector]:
        """Run a Collector; in the end, wait until it is done with what it has."""
        metrics = CollectorMetrics(free_address())
        environment = {
            "OTELCOL_SIDECAR_ENDPOINT": self.address,
            "OTELCOL_STORAGE_DIRECTORY": str(self.directory / "spans"),
        }
        keys = (*SOON_AGAIN, *metrics.overrides(), *overrides)
        with running_collector(DIRECT_YAML, environment, overrides=keys) as collector:
            self._collector = collector
            try:
                yield collector
            finally:
                self.counts = metrics.settled(collector)

    def send(self, requests: Sequence[bytes]) -> None:
        """Send through the Collector, which takes all of them."""
        assert self._collector is not None, "there is no Collector"
        send(self._collector.address, self._noted(requests))

    @contextmanager
    def sending(self, requests: Sequence[bytes]) -> Iterator[None]:
        """Send through the Collector while something else goes on."""
        thread = Thread(target=self.send, args=(requests,))
        thread.start()
        try:
            yield
        finally:
            thread.join()

    def send_straight(self, requests: Sequence[bytes], straight: Straight) -> list[str]:
        """Send to the sidecar as a Collector would; give the last status of each request."""
        return asyncio.run(straight.send(self.address, requests, self.ledger))

    @contextmanager
    def client(self) -> Iterator[Client]:
        """Give a client of the sidecar that tries each request once."""
        with Client(self.address) as client:
            yield client

    def send_once(self, request: bytes, *, timeout: float = DEADLINE_SECONDS) -> Answer:
        """Send to the sidecar, once; give what it says."""
        self.ledger.sent(request)
        with self.client() as client:
            return client.send(request, timeout=timeout)

    def _noted(self, requests: Sequence[bytes]) -> Iterator[bytes]:
        for request in requests:
            self.ledger.sent(request)
            yield request
