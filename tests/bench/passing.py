"""What a span costs on its way, when its text is known: CPU of the one process, and spans/s."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench.requests import PASSTHROUGH_YAML, loads, write
from tests.bench.sink import running_sink
from tests.support.processes import (
    REPOSITORY,
    own_environment,
    running_collector,
    running_sidecar,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.bench.requests import Load

# A Collector with a processor in Go that does our job: `make bench` builds it.
PEER = REPOSITORY / "build" / "peer"
ENCODINGS = ("array", "bytes")

SPANS_TO_WARM_UP = 10_240
# Of small requests fewer spans pass in the same time.
MAX_REQUESTS = 10
MICROSECONDS = 1e6


@dataclass(frozen=True, slots=True)
class Contestant:
    """A process that spans pass.

    Attributes:
        name: what it is called in the table.
        pid: its process id.
        address: where it takes spans.
        peer: the name of the one in Go that does the same, if there is one.

    """

    name: str
    pid: int
    address: str
    peer: str = ""


@dataclass(frozen=True, slots=True)
class Turn:
    """What a contestant took in one turn.

    Attributes:
        cpu: microseconds of CPU a span.
        rate: spans a second.

    """

    cpu: float
    rate: float


class Course:
    """The turns of contestants, all with one load.

    Attributes:
        load: what they were sent.

    """

    def __init__(self, load: Load, file: Path, contestants: list[Contestant]) -> None:
        self.load = load
        self._file = file
        self._turns: dict[Contestant, list[Turn]] = {each: [] for each in contestants}

    def warm_up(self) -> None:
        """Let all of them get to know the texts."""
        for contestant in self._turns:
            self._send(contestant, SPANS_TO_WARM_UP // self.load.spans)

    def run(self, rounds: int, requests: int) -> None:
        """Let them take turns, each with about so many requests of the usual size."""
        count = self._count(requests)
        for turn in range(rounds):
            # Who has its turn behind whom is not to be the same each time.
            for contestant in [*self._turns][:: 1 if turn % 2 else -1]:
                self._turns[contestant].append(self._turn(contestant, count))

    def cpu(self, name: str) -> list[float]:
        """Give what a contestant took in its turns, in microseconds of CPU a span; or nothing."""
        return [
            turn.cpu for each, turns in self._turns.items() if each.name == name for turn in turns
        ]

    def median_rate(self, contestant: Contestant) -> float:
        """Give how many spans a second pass a contestant."""
        return statistics.median(turn.rate for turn in self._turns[contestant])

    def _count(self, requests: int) -> int:
        return min(requests * 512 // self.load.spans, requests * MAX_REQUESTS)

    def _turn(self, contestant: Contestant, count: int) -> Turn:
        cpu_before = cpu_seconds(contestant.pid)
        seconds = self._send(contestant, count)
        cpu = cpu_seconds(contestant.pid) - cpu_before
        # The load generator's first request, for the connection, is not in its time.
        sent = (count + 1) * self.load.spans
        return Turn(cpu / sent * MICROSECONDS, count * self.load.spans / seconds)

    def _send(self, contestant: Contestant, count: int) -> float:
        return sent(contestant.address, self._file, count)


@contextmanager
def running_contestants() -> Iterator[list[Contestant]]:
    """Run a Collector, the peer in Go and the sidecar, the latter two with either encoding."""
    with ExitStack() as running:
        sink_address = running.enter_context(running_sink())
        backend = {"OTELCOL_BACKEND_ENDPOINT": sink_address}
        collector = running.enter_context(running_collector(PASSTHROUGH_YAML, backend))
        contestants = [Contestant("Collector alone", collector.pid, collector.address)]
        for encoding in ENCODINGS:
            overrides = [
                f"processors::vectors::encoding: {encoding}",
                "service::pipelines::traces::processors: [vectors]",
            ]
            peer = running.enter_context(
                running_collector(PASSTHROUGH_YAML, backend, overrides=overrides, program=PEER)
            )
            sidecar = running.enter_context(
                running_sidecar(sink_address, settings=["--encoding", encoding])
            )
            name = f"processor in Go, {encoding}"
            contestants += [
                Contestant(name, peer.pid, peer.address),
                Contestant(f"sidecar, {encoding}", sidecar.pid, sidecar.address, name),
            ]
        new = running.enter_context(running_sidecar(sink_address, settings=["--attach", "new"]))
        yield [*contestants, Contestant("sidecar, attach new", new.pid, new.address)]


def courses(contestants: list[Contestant], scratch: Path) -> Iterator[Course]:
    """Give a course for each load; what they send is kept in a folder."""
    for number, load in enumerate(loads()):
        file = scratch / str(number)
        write(load.requests, file)
        yield Course(load, file, contestants)


def sent(address: str, file: Path, count: int) -> float:
    """Send one request and then so many of a file's, in turn; give the seconds without the one."""
    command = [sys.executable, "-m", "tests.bench.load", address, str(file), str(count)]
    return float(subprocess.check_output(command, env=own_environment({})))


def cpu_seconds(pid: int) -> float:
    """Give the CPU that a process has used, in user and in system mode, all its threads."""
    return _seconds(Path(f"/proc/{pid}/stat"))


def loop_seconds(pid: int) -> float:
    """Give the CPU that the first thread of a process has used, where a sidecar's loop runs."""
    return _seconds(Path(f"/proc/{pid}/task/{pid}/stat"))


def _seconds(stat: Path) -> float:
    # The process's name, in parentheses, may hold anything. Behind it are fields 3 and on;
    # proc(5) counts utime as 14, stime as 15.
    fields = stat.read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
