"""Time on a machine that has other things to do as well."""

from __future__ import annotations

import os

MOST_TIMES = 3.0


def on_this_machine(seconds: float) -> float:
    """Give what takes so long on an idle machine, on this one by what else it has to do."""
    return seconds * min(MOST_TIMES, max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1)))
