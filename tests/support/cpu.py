"""What a piece of work costs, for tests that it has an end: never how fast it is."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def cpu_seconds(work: Callable[[], object]) -> float:
    """Give the CPU time that some work takes this thread while coverage does not look.

    It looks at each line, and makes what has many of them seven times as slow.
    """
    tracer = sys.gettrace()
    sys.settrace(None)
    try:
        started = time.thread_time()
        work()
        return time.thread_time() - started
    finally:
        sys.settrace(tracer)
