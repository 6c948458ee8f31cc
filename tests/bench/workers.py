"""What several workers carry: the CPU of their event loops a span, and how evenly it is shared.

A process passes spans on by the one thread of its event loop, so it carries as many as that thread
has time for. Who measures spans a second on a machine with as many cores as workers measures those
that send as well; so what the sidecar carries at most is told by the thread of its busiest worker.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from tests.bench.cpu import loop_seconds
from tests.bench.load import sent
from tests.bench.passing import MICROSECONDS
from tests.bench.requests import batches, write
from tests.bench.sink import running_sink
from tests.support.processes import running_sidecar

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.support.processes import Sidecar

WORKERS = 2
# The kernel deals connections out by chance: of few one worker has many more.
FEW, MANY = 16, 64
SPANS_TO_WARM_UP = 10_240
PSS = "Pss:"
KILOBYTE = 1024


@dataclass(frozen=True, slots=True, eq=False)
class Contestant:
    """A sidecar of one process, or of several.

    Attributes:
        name: what it is called in the table.
        supervisor: its first process, which alone takes spans if there are no workers.
        addresses: where it takes them.
        connections: of those who send.

    """

    name: str
    supervisor: Sidecar
    addresses: Sequence[str]
    connections: int

    def pids(self) -> list[int]:
        """Give the processes that take spans."""
        starts = self.supervisor.events("worker.started")
        return [start["pid"] for start in starts] or [self.supervisor.pid]

    def memory(self) -> list[int]:
        """Give the bytes of each process, what several share counted in parts."""
        pids = {self.supervisor.pid, *self.pids()}
        return [_proportional_bytes(pid) for pid in sorted(pids)]


@dataclass(frozen=True, slots=True)
class Carried:
    """What a contestant carries.

    Attributes:
        name: of the contestant.
        cpu: microseconds of the event loops a span.
        share: of the spans, by their CPU, that the busiest worker had.
        memory: bytes of each process, what several share counted in parts.

    """

    name: str
    cpu: float
    share: float
    memory: list[int]

    @property
    def most(self) -> float:
        """Spans a second that the busiest worker has time for, all others with it."""
        return MICROSECONDS / (self.cpu * self.share)


@contextmanager
def running_contestants(scratch: Path) -> Iterator[list[Contestant]]:
    """Run one process, workers at one port, and workers with a socket file each."""
    sockets = [f"unix:{scratch}/{number}.sock" for number in range(WORKERS)]
    several = ("--workers", f"{WORKERS}")
    with ExitStack() as running:
        next_hop = running.enter_context(running_sink())
        one = running.enter_context(running_sidecar(next_hop))
        at_a_port = running.enter_context(running_sidecar(next_hop, settings=several))
        at_files = running.enter_context(
            running_sidecar(next_hop, settings=[*several, "--listen", ",".join(sockets)])
        )
        yield [
            Contestant("one process", one, [one.address], FEW),
            *(
                Contestant(
                    f"{WORKERS} at a port, {connections} connections",
                    at_a_port,
                    [at_a_port.address],
                    connections,
                )
                for connections in (FEW, MANY)
            ),
            Contestant(f"{WORKERS} with a socket file each", at_files, sockets, WORKERS),
        ]


def carried(scratch: Path, rounds: int, requests: int) -> list[Carried]:
    """Let them take turns, all with requests of texts that they know; give the medians."""
    load = next(batches())
    file = scratch / "requests"
    write(load.requests, file)
    with running_contestants(scratch) as contestants:
        for each in contestants:
            _send(each, file, SPANS_TO_WARM_UP // load.spans * each.connections)
        turns: dict[Contestant, list[list[float]]] = {each: [] for each in contestants}
        for turn in range(rounds):
            for each in contestants[:: 1 if turn % 2 else -1]:
                turns[each].append(_turn(each, file, requests * 4, load.spans))
        return [_medians(each, taken) for each, taken in turns.items()]


def _medians(contestant: Contestant, turns: list[list[float]]) -> Carried:
    return Carried(
        contestant.name,
        median(sum(turn) for turn in turns),
        median(max(turn) / sum(turn) for turn in turns),
        contestant.memory(),
    )


def _turn(contestant: Contestant, file: Path, requests: int, spans: int) -> list[float]:
    """Give what the event loop of each process took, in microseconds by spans of all."""
    pids = contestant.pids()
    before = [loop_seconds(pid) for pid in pids]
    _send(contestant, file, requests)
    # The first of each connection comes in addition.
    passed = (requests + contestant.connections) * spans
    return [
        (loop_seconds(pid) - start) / passed * MICROSECONDS
        for pid, start in zip(pids, before, strict=True)
    ]


def _send(contestant: Contestant, file: Path, requests: int) -> None:
    sent(",".join(contestant.addresses), file, requests, connections=contestant.connections)


def _proportional_bytes(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(PSS)) * KILOBYTE
