"""How long it takes from the start of the process to the first answer, and how much it holds."""

from __future__ import annotations

import statistics
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple
from urllib.request import urlopen

from prometheus_client.parser import text_string_to_metric_families

from tests.support.comparison import delivery
from tests.support.generated import requests_of_texts
from tests.support.processes import (
    Sidecar,
    Sink,
    free_address,
    peak_bytes,
    resident_bytes,
    running_sidecar,
    send,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

SPANS = 10_000
TEXTS = 1_200  # more than are remembered
KNOWN_TEXTS = 900  # as many as that
TEXTS_METRIC = "otel_embedder_embedded_texts"


@dataclass(frozen=True, slots=True)
class Start:
    """A start of the sidecar.

    Attributes:
        seconds: from the start of the process to the first answered request.
        source: whether that request got a vector of the model, or a fallback.

    """

    seconds: float
    source: str


@dataclass(frozen=True, slots=True)
class Starts:
    """What several starts had in common."""

    seconds: float
    sources: set[str]


class Memory(NamedTuple):
    """What a sidecar holds, in bytes.

    Attributes:
        begun: with its model, before any span.
        after: after spans of more texts than are remembered.
        peak: the most that it ever held.

    """

    begun: int
    after: int
    peak: int


@dataclass(frozen=True, slots=True)
class Warm:
    """What a catalogue makes of a start.

    Attributes:
        without: starts without a catalogue.
        with_one: starts with one.
        before: the share of texts known in the last minute before it was ended.
        after: the same in the first minute of the next start.

    """

    without: Starts
    with_one: Starts
    before: float
    after: float


class Starter:
    """Starts sidecars whose Python code is compiled already, as an installed one's is."""

    def __init__(self, scratch: Path, *, minute: float) -> None:
        """Prepare to start some.

        Args:
            scratch: a folder for what they write.
            minute: seconds for which it is looked how many texts are known.

        """
        self._scratch = scratch
        self._minute = minute
        self._converted = scratch / "converted"
        self._metrics = free_address()

    def with_converted_model(self, times: int) -> Starts:
        self._start(self._converted)  # compiles the code, converts the model
        return _summed_up([self._start(self._converted) for _ in range(times)])

    def without_converted_model(self, times: int) -> Starts:
        return _summed_up([self._start(self._scratch / f"new-{time}") for time in range(times)])

    def _start(self, model_cache: Path, settings: Sequence[str] = ()) -> Start:
        [request] = requests_of_texts(1, texts=1)
        started = time.perf_counter()
        with Sink() as sink, self._sidecar(sink, model_cache, settings) as sidecar:
            send(sidecar.address, [request])
            seconds = time.perf_counter() - started
            sidecar.wait_for_model()  # or what it was converting is lost
        [source] = delivery(sink.requests).sources
        return Start(seconds, source)

    def warm(self, times: int) -> Warm:
        """Start with a catalogue of KNOWN_TEXTS texts and without, turn about."""
        self._start(self._converted)
        catalogue = f"sqlite:///{self._scratch}/catalogue.db"
        settings = ["--catalogue", catalogue, "--catalogue-retention", "3650"]
        requests = requests_of_texts(2 * KNOWN_TEXTS, texts=KNOWN_TEXTS, spans_a_request=20)
        with Sink() as sink, self._sidecar(sink, self._converted, settings) as sidecar:
            sidecar.wait_for_model()
            send(sidecar.address, requests)
            before = self._hits(sidecar, requests)
        starts = [
            (self._start(self._converted), self._start(self._converted, settings))
            for _ in range(times)
        ]
        without, with_one = (_summed_up([*each]) for each in zip(*starts, strict=True))
        with Sink() as sink, self._sidecar(sink, self._converted, settings) as sidecar:
            after = self._hits(sidecar, requests)
        return Warm(without, with_one, before, after)

    def _hits(self, sidecar: Sidecar, requests: Sequence[bytes]) -> float:
        """Give the share of texts whose vectors were known, of requests in a minute."""
        known, asked = self._looked_up()
        for request in requests:
            send(sidecar.address, [request])
            time.sleep(self._minute / len(requests))
        known_then, asked_then = self._looked_up()
        return (known_then - known) / (asked_then - asked)

    def _looked_up(self) -> tuple[float, float]:
        """Give how many texts of requests were known so far, and how many there were."""
        with urlopen(f"http://{self._metrics}/metrics") as answer:
            families = {
                each.name: each for each in text_string_to_metric_families(answer.read().decode())
            }
        counted = {
            each.labels.get("source"): each.value
            for each in families[TEXTS_METRIC].samples
            if each.name.endswith("_total")
        }
        return counted.get("cache", 0), sum(counted.values())

    def memory(self, settings: Sequence[str] = ()) -> Memory:
        """Give the memory that a sidecar holds, before and after SPANS spans of TEXTS texts."""
        requests = requests_of_texts(SPANS, texts=TEXTS)
        with Sink() as sink, self._sidecar(sink, self._converted, settings) as sidecar:
            sidecar.wait_for_model()
            begun = resident_bytes(sidecar.pid)
            send(sidecar.address, requests)
            return Memory(begun, resident_bytes(sidecar.pid), peak_bytes(sidecar.pid))

    @contextmanager
    def _sidecar(
        self, sink: Sink, model_cache: Path, more: Sequence[str] = ()
    ) -> Iterator[Sidecar]:
        environment = {
            "PYTHONDONTWRITEBYTECODE": "",
            "PYTHONPYCACHEPREFIX": str(self._scratch / "pycache"),
        }
        settings = ["--model-cache", str(model_cache), "--metrics-listen", self._metrics, *more]
        with running_sidecar(sink.address, settings=settings, environment=environment) as sidecar:
            yield sidecar


def _summed_up(starts: list[Start]) -> Starts:
    seconds = statistics.median(start.seconds for start in starts)
    return Starts(seconds, {start.source for start in starts})
