"""What CPU a process has used, in user and in system mode, all its threads."""

from __future__ import annotations

import time


def cpu_seconds(pid: int) -> float:
    """Give the CPU that a process has used so far.

    By its own clock, which tells nanoseconds, where /proc tells hundredths of a second.
    """
    # The kernel's number of that clock, as clock_getcpuclockid(3) makes it; 2 is CPUCLOCK_SCHED.
    return time.clock_gettime(~pid << 3 | 2)
