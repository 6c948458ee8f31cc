"""What CPU a process has used, in user and in system mode, all its threads."""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple

NANOSECOND = 1e-9


def cpu_seconds(pid: int) -> float:
    """Give the CPU that a process has used so far.

    By its own clock, which tells nanoseconds, where /proc tells hundredths of a second.
    """
    # The kernel's number of that clock, as clock_getcpuclockid(3) makes it; 2 is CPUCLOCK_SCHED.
    return time.clock_gettime(~pid << 3 | 2)


def loop_seconds(pid: int) -> float:
    """Give the CPU that the first thread of a process has used, where a sidecar's loop runs."""
    # The kernel gives the clock of a thread to its own process alone.
    schedstat = Path(f"/proc/{pid}/task/{pid}/schedstat").read_text(encoding="utf-8")
    return int(schedstat.split()[0]) * NANOSECOND


class Cpu(NamedTuple):
    """Seconds of CPU: of a process, and of its event loop alone."""

    all: float
    loop: float

    @classmethod
    def of(cls, pid: int) -> Cpu:
        return cls(cpu_seconds(pid), loop_seconds(pid))

    def since(self, before: Cpu) -> Cpu:
        return Cpu(self.all - before.all, self.loop - before.loop)
