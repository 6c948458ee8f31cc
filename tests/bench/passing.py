"""What a span costs on its way, when its text is known: CPU of the one process, and spans/s."""

from __future__ import annotations

import statistics
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from tests.bench.cpu import cpu_seconds
from tests.bench.load import sent
from tests.bench.requests import PASSTHROUGH_YAML, write
from tests.bench.sink import running_sink
from tests.support.processes import (
    REPOSITORY,
    running_collector,
    running_sidecar,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tests.bench.requests import Load
    from tests.support.processes import Collector

# A Collector with a processor in Go that does our job: `make bench` builds it.
PEER = REPOSITORY / "build" / "peer"
ENCODINGS = ("array", "bytes")
ALONE = "Collector alone"
# What a vector takes is not to be waited for in vain.
PATIENT = ("--embed-timeout", "60")

SPANS_TO_WARM_UP = 10_240
# Of small requests fewer spans pass in the same time.
MAX_REQUESTS = 10
MICROSECONDS = 1e6


@dataclass(frozen=True, slots=True)
class Contestant:
    """A process that spans pass.

    Attributes:
        name: what it is called in the table.
        pids: its process ids.
        address: where it takes spans.
        peer: the name of the one in Go that does the same, if there is one.

    """

    name: str
    pids: tuple[int, ...]
    address: str
    peer: str = ""


@dataclass(frozen=True, slots=True)
class Turn:
    """What a contestant took in one turn.

    Attributes:
        cpu: microseconds of CPU a span, of each of its processes.
        rate: spans a second.

    """

    cpu: tuple[float, ...]
    rate: float


class Course:
    """The turns of contestants, all with one load.

    Attributes:
        load: what they were sent.

    """

    def __init__(self, load: Load, file: Path, contestants: Iterable[Contestant]) -> None:
        self.load = load
        self._file = file
        self._random = Random(load.name)
        self._turns: dict[Contestant, list[Turn]] = {each: [] for each in contestants}
        write(load.requests, file)

    def warm_up(self) -> None:
        """Let all of them get to know the texts, if these come again."""
        if not self.load.is_fresh:
            for contestant in self._turns:
                self._send(contestant, SPANS_TO_WARM_UP // self.load.spans)

    def run(self, rounds: int, requests: int) -> None:
        """Let them take turns, each with about so many requests of the usual size."""
        count = self._count(rounds, requests)
        for _ in range(rounds):
            # Who has its turn behind whom is not to be the same each time.
            for contestant in self._random.sample([*self._turns], len(self._turns)):
                self._turns[contestant].append(self._turn(contestant, count))

    def totals(self, name: str) -> list[float]:
        """Give what a contestant took in its turns, in microseconds of CPU a span; or nothing."""
        return [
            sum(turn.cpu)
            for each, turns in self._turns.items()
            if each.name == name
            for turn in turns
        ]

    def cpu(self, contestant: Contestant) -> list[float]:
        """Give the same of each of its processes, as medians."""
        turns = zip(*(turn.cpu for turn in self._turns[contestant]), strict=True)
        return [statistics.median(each) for each in turns]

    def median_rate(self, contestant: Contestant) -> float:
        """Give how many spans a second pass a contestant."""
        return statistics.median(turn.rate for turn in self._turns[contestant])

    def _count(self, rounds: int, requests: int) -> int:
        if self.load.is_fresh:
            return len(self.load.requests) // rounds - 1
        return max(1, min(requests * 512 // self.load.spans, requests * MAX_REQUESTS))

    def _turn(self, contestant: Contestant, count: int) -> Turn:
        before = [*map(cpu_seconds, contestant.pids)]
        seconds = self._send(contestant, count)
        # The load generator's first request, for the connection, is not in its time.
        sent = (count + 1) * self.load.spans
        cpu = (
            (cpu_seconds(pid) - then) / sent * MICROSECONDS
            for pid, then in zip(contestant.pids, before, strict=True)
        )
        return Turn(tuple(cpu), count * self.load.spans / seconds)

    def _send(self, contestant: Contestant, count: int) -> float:
        first = len(self._turns[contestant]) * (count + 1) if self.load.is_fresh else 0
        return sent(contestant.address, self._file, count, first=first)


@contextmanager
def running_contestants(settings: Sequence[str] = ()) -> Iterator[list[Contestant]]:
    """Run a Collector, the peer in Go and the sidecar, the latter two with either encoding.

    And the sidecar with `attach: new`. Of its other settings those stand that are given.
    """
    with ExitStack() as running:
        sink = running.enter_context(running_sink())
        backend = {"OTELCOL_BACKEND_ENDPOINT": sink}
        collector = running.enter_context(running_collector(PASSTHROUGH_YAML, backend))
        contestants = [Contestant(ALONE, (collector.pid,), collector.address)]
        for encoding in ENCODINGS:
            peer = running.enter_context(running_peer(PASSTHROUGH_YAML, backend, encoding))
            flags = ["--encoding", encoding, *settings]
            sidecar = running.enter_context(running_sidecar(sink, settings=flags))
            name = f"processor in Go, {encoding}"
            contestants += [
                Contestant(name, (peer.pid,), peer.address),
                Contestant(f"sidecar, {encoding}", (sidecar.pid,), sidecar.address, name),
            ]
        new = running.enter_context(running_sidecar(sink, settings=["--attach", "new", *settings]))
        yield [*contestants, Contestant("sidecar, attach new", (new.pid,), new.address)]


def running_peer(
    config: Path, environment: Mapping[str, str], encoding: str
) -> AbstractContextManager[Collector]:
    """Run a Collector that puts vectors on spans in its pipeline `traces`."""
    overrides = [
        f"processors::vectors::encoding: {encoding}",
        "service::pipelines::traces::processors: [vectors]",
    ]
    return running_collector(config, environment, overrides=overrides, program=PEER)


def courses(
    loads: Iterable[Load], contestants: Sequence[Contestant], scratch: Path
) -> Iterator[Course]:
    """Give a course for each load; what they send is kept in a folder."""
    for number, load in enumerate(loads):
        yield Course(load, scratch / str(number), contestants)
