"""The metrics of several processes as those of one.

Each tells what its own stand at, as text, and may end at any time. What it had counted is kept, so
that no counter ever goes back: to whoever scrapes that would be a restart of all of them.
"""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from otel_embedder.telemetry.declarations import CREATED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from otel_embedder.telemetry.metrics import Metrics

# What can't be added up: of these the least is told, but for 0, which is nothing yet.
LEAST = {
    *("otel_embedder_exporter_send_limit_bytes", "process_start_time_seconds", "process_max_fds"),
}
# What is left of a process that has ended.
LASTING = {"counter", "histogram"}


class Key(NamedTuple):
    """What a value is of: a name, and labels in the order of theirs."""

    name: str
    labels: tuple[tuple[str, str], ...]


def told(metrics: Metrics) -> str:
    """Give what metrics stand at, as text."""
    return generate_latest(metrics.registry).decode()


class SummedMetrics(Collector):
    """Adds up what several processes told last. Safe to use from several threads."""

    def __init__(self, own: Metrics) -> None:
        """Begin with those of this process, which are asked whenever somebody asks here."""
        self._own = own
        self._lock = Lock()
        self._last: dict[int, str] = {}
        self._lasting: list[Metric] = []
        self.registry = CollectorRegistry()
        self.registry.register(self)

    def describe(self) -> Iterable[Metric]:
        """Give what there is, as the registry wants it."""
        return self._own.registry.collect()

    def hear(self, number: int, text: str) -> None:
        """Take what a process stands at."""
        with self._lock:
            self._last[number] = text

    def leave(self, number: int) -> None:
        """Let a process go, and keep what it counted."""
        with self._lock:
            gone = _families(self._last.pop(number, ""))
            counted = (family for family in gone if family.type in LASTING)
            self._lasting = _sum([*self._lasting, *counted])

    def collect(self) -> Iterator[Metric]:
        """Give the sums."""
        with self._lock:
            texts, lasting = [*self._last.values()], self._lasting
        each = (family for text in (told(self._own), *texts) for family in _families(text))
        yield from _sum([*each, *lasting])


def _families(text: str) -> Iterable[Metric]:
    return text_string_to_metric_families(text)


def _sum(families: Iterable[Metric]) -> list[Metric]:
    """Make one family of those of a name."""
    first: dict[str, Metric] = {}
    values: dict[str, dict[Key, float]] = {}
    for family in families:
        first.setdefault(family.name, family)
        of_name = values.setdefault(family.name, {})
        for sample in family.samples:
            key = Key(sample.name, tuple(sample.labels.items()))
            before = of_name.get(key)
            of_name[key] = sample.value if before is None else _both(key, before, sample.value)
    return [_family(first[name], of_name) for name, of_name in values.items()]


def _both(key: Key, one: float, other: float) -> float:
    if key.name in LEAST or key.name.endswith(CREATED):
        return min(one, other) or max(one, other)
    return one + other


def _family(like: Metric, values: dict[Key, float]) -> Metric:
    family = Metric(like.name, like.documentation, like.type)
    for (name, labels), value in values.items():
        family.add_sample(name, dict(labels), value)
    return family
