"""How long it takes from the start of the process to the first answer, and how much it holds."""

from __future__ import annotations

import statistics
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.support.comparison import delivery
from tests.support.generated import requests_of_texts
from tests.support.processes import Sidecar, Sink, resident_bytes, running_sidecar, send

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SPANS = 10_000
TEXTS = 1_200  # more than are remembered


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


class Starter:
    """Starts sidecars whose Python code is compiled already, as an installed one's is."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._converted = scratch / "converted"

    def with_converted_model(self, times: int) -> Starts:
        self._start(self._converted)  # compiles the code, converts the model
        return _summed_up([self._start(self._converted) for _ in range(times)])

    def without_converted_model(self, times: int) -> Starts:
        return _summed_up([self._start(self._scratch / f"new-{time}") for time in range(times)])

    def _start(self, model_cache: Path) -> Start:
        [request] = requests_of_texts(1, texts=1)
        started = time.perf_counter()
        with Sink() as sink, self._sidecar(sink, model_cache) as sidecar:
            send(sidecar.address, [request])
            seconds = time.perf_counter() - started
        [source] = delivery(sink.requests).sources
        return Start(seconds, source)

    def resident_bytes(self) -> int:
        """Give the memory that a sidecar holds after SPANS spans of TEXTS texts."""
        requests = requests_of_texts(SPANS, texts=TEXTS)
        with Sink() as sink, self._sidecar(sink, self._converted) as sidecar:
            send(sidecar.address, requests)
            return resident_bytes(sidecar.pid)

    @contextmanager
    def _sidecar(self, sink: Sink, model_cache: Path) -> Iterator[Sidecar]:
        environment = {
            "PYTHONDONTWRITEBYTECODE": "",
            "PYTHONPYCACHEPREFIX": str(self._scratch / "pycache"),
        }
        settings = ["--model-cache", str(model_cache)]
        with running_sidecar(sink.address, settings=settings, environment=environment) as sidecar:
            yield sidecar


def _summed_up(starts: list[Start]) -> Starts:
    seconds = statistics.median(start.seconds for start in starts)
    return Starts(seconds, {start.source for start in starts})
