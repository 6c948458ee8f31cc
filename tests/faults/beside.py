"""What goes on beside a row's own requests: health checks and requests of one span, all along."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.stalls.probe import HEALTH, SPAN
from tests.stalls.watched import Probe
from tests.support.busy import on_this_machine

if TYPE_CHECKING:
    from collections.abc import Iterator

# As of an idle machine, and for a health check what a scheduler may do to it besides.
SPAN_SECONDS = 1.0
HEALTH_SECONDS = 0.5


@contextmanager
def nobody_waits(address: str) -> Iterator[None]:
    """Fail if, meanwhile, a health check or a request of one span waits for longer."""
    with Probe(address) as probe:
        probe.within(time.monotonic(), time.monotonic())
        begin = time.monotonic()
        yield
        seen = probe.within(begin, time.monotonic())
    health, span = (max(one.seconds for one in seen if one.kind == kind) for kind in (HEALTH, SPAN))
    assert health < on_this_machine(HEALTH_SECONDS), f"a health check waited {health:.1f} s"
    assert span < on_this_machine(SPAN_SECONDS), f"a request of one span waited {span:.1f} s"
    refused = {one.status for one in seen} - {"OK"}
    assert not refused, f"meanwhile others were answered {', '.join(sorted(refused))}"
