"""Which of several sidecars gets a span, and what that costs: a simulation.

What is real in it is the sidecar's own cache. Traffic is made up, and so is the way to a replica:
by a digest, as a balancer does it. Nothing is sent, and the model is a counter.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from random import Random
from typing import TYPE_CHECKING
from zlib import crc32

from otel_embedder.embedder.known import Known
from tests.capacity.sizing import TEXT_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

SEED = 19
SPANS = 50_000
SERVICES = 40
# Of each service.
TEXTS = 60
SPANS_OF_A_TRACE = 4
# The part of the spans whose text nobody has said before: errors with words of their own.
NEW = 0.01


@dataclass(frozen=True, slots=True)
class Sample:
    """A span, as far as routing and caching see it."""

    trace: int
    service: str
    text: str


def traffic(spans: int = SPANS) -> Iterator[Sample]:
    """Make up spans: few services have most of them, and few texts of each most of its."""
    random = Random(SEED)
    services = random.choices(range(SERVICES), cum_weights=_zipf(SERVICES), k=spans)
    texts = random.choices(range(TEXTS), cum_weights=_zipf(TEXTS), k=spans)
    for number, (service, text) in enumerate(zip(services, texts, strict=True)):
        said = f"new {number}" if random.random() < NEW else str(text)
        yield Sample(number // SPANS_OF_A_TRACE, f"service {service}", f"service {service} {said}")


def _zipf(count: int) -> list[float]:
    return list(accumulate(1 / rank for rank in range(1, count + 1)))


def by_service(sample: Sample, replicas: int) -> int:
    """All of a service to one."""
    return crc32(sample.service.encode()) % replicas


def by_trace(sample: Sample, replicas: int) -> int:
    """All of a trace to one."""
    return crc32(sample.trace.to_bytes(16)) % replicas


def at_random(sample: Sample, replicas: int) -> int:
    """Each span to any, always the same in each run."""
    return crc32(f"{sample.trace} {sample.text}".encode()) % replicas


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the traffic.

    Attributes:
        hit_rate: of 1; of all look-ups.
        embedded: texts that the models computed, all together.
        remembered_bytes: of vectors, all together.
        busiest: the largest part of the spans that one replica got, of 1.

    """

    hit_rate: float
    embedded: int
    remembered_bytes: int
    busiest: float


def simulated(
    samples: Sequence[Sample],
    route: Callable[[Sample, int], int],
    *,
    replicas: int,
    max_texts: int,
) -> Outcome:
    """Send samples to replicas of which each remembers so many texts."""
    caches: list[Known[bool]] = [Known(max_texts=max_texts) for _ in range(replicas)]
    for sample in samples:
        cache = caches[route(sample, replicas)]
        if cache.look_up([sample.text]) == [None]:
            cache.remember(sample.text, value=True)
    told = [cache.info() for cache in caches]
    return Outcome(
        hit_rate=sum(info.hits for info in told) / len(samples),
        embedded=sum(info.misses for info in told),
        remembered_bytes=sum(info.currsize for info in told) * TEXT_BYTES,
        busiest=max(info.hits + info.misses for info in told) / len(samples),
    )


def table() -> str:
    """Give a row for one replica, and one for each way to several: for docs/scale.md."""
    samples = [*traffic()]
    head = "| replicas | each remembers | hit rate | for the model | memory | the busiest has |"
    return "\n".join([head, "|---|---|---|---|---|---|", *(row(samples, *case) for case in CASES)])


def row(
    samples: Sequence[Sample],
    name: str,
    route: Callable[[Sample, int], int],
    replicas: int,
    max_texts: int,
) -> str:
    """Give a case as a row of the table."""
    outcome = simulated(samples, route, replicas=replicas, max_texts=max_texts)
    return (
        f"| {name} | {max_texts:,} texts | {outcome.hit_rate:.1%} | {outcome.embedded:,} texts "
        f"| {outcome.remembered_bytes / 1e6:.0f} MB | {outcome.busiest:.0%} of the spans |"
    )


# All but the first and the last two remember as much in all.
CASES = (
    ("one", by_service, 1, 1_000),
    ("one", by_service, 1, 2_000),
    ("4, by service", by_service, 4, 500),
    ("4, by trace", by_trace, 4, 500),
    ("4, at random", at_random, 4, 500),
    ("4, by trace", by_trace, 4, 2_000),
    ("4, at random", at_random, 4, 2_000),
)
