"""What a span costs on its way, when its text is known: CPU of the one process, and spans/s."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench.load import SPANS_A_REQUEST
from tests.bench.sink import STARTED
from tests.support.processes import Process, own_environment, running_collector, running_sidecar

if TYPE_CHECKING:
    from collections.abc import Iterator

PASSTHROUGH_YAML = Path(__file__).with_name("passthrough.yaml")
REQUESTS_TO_WARM_UP = 20
MICROSECONDS = 1e6


@dataclass
class Contestant:
    """A process that spans pass.

    Attributes:
        name: what it is called in the table.
        pid: its process id.
        address: where it takes spans.
        goal: how many times the CPU of the first contestant it may take, if there is a goal.
        cpu: microseconds of CPU a span, one number a turn.
        rate: spans a second, one number a turn.

    """

    name: str
    pid: int
    address: str
    goal: float | None
    cpu: list[float] = field(default_factory=list)
    rate: list[float] = field(default_factory=list)

    def take_turn(self, requests: int) -> None:
        cpu_before = cpu_seconds(self.pid)
        seconds = _load(self.address, requests)
        cpu = cpu_seconds(self.pid) - cpu_before
        spans = requests * SPANS_A_REQUEST
        # The load generator's first request, for the connection, is not in its time.
        self.cpu.append(cpu / (spans + SPANS_A_REQUEST) * MICROSECONDS)
        self.rate.append(spans / seconds)

    def median_cpu(self) -> float:
        return statistics.median(self.cpu)

    def median_rate(self) -> float:
        return statistics.median(self.rate)


@contextmanager
def running_contestants() -> Iterator[list[Contestant]]:
    """Run a Collector, and the sidecar with either encoding, warmed up."""
    with ExitStack() as running:
        contestants = _contestants(running)
        for contestant in contestants:
            _load(contestant.address, REQUESTS_TO_WARM_UP)
        yield contestants


def _contestants(running: ExitStack) -> list[Contestant]:
    sink = running.enter_context(
        Process([sys.executable, "-m", "tests.bench.sink"], own_environment({}))
    )
    sink_address = f"127.0.0.1:{sink.wait_for_line(STARTED).split()[1]}"
    backend = {"OTELCOL_BACKEND_ENDPOINT": sink_address}
    collector = running.enter_context(running_collector(PASSTHROUGH_YAML, backend))
    array, as_bytes = (
        running.enter_context(running_sidecar(sink_address, settings=["--encoding", encoding]))
        for encoding in ("array", "bytes")
    )
    return [
        Contestant("Collector alone", collector.pid, collector.address, None),
        Contestant("sidecar, array", array.pid, array.address, 5.0),
        Contestant("sidecar, bytes", as_bytes.pid, as_bytes.address, 4.0),
    ]


def _load(address: str, requests: int) -> float:
    command = [sys.executable, "-m", "tests.bench.load", address, str(requests)]
    return float(subprocess.check_output(command, env=own_environment({})))


def cpu_seconds(pid: int) -> float:
    """Give the CPU that a process has used, in user and in system mode, all its threads."""
    # The process's name, in parentheses, may hold anything. Behind it are fields 3 and on;
    # proc(5) counts utime as 14, stime as 15.
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
