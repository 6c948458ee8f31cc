"""A line to the next hop that is too slow for all vectors, which make spans ten times as large.

Two tries must do, as a Collector makes them: what was not known at first is known then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.faults import names
from tests.faults.fault import MEGABYTE, Fault, fault
from tests.faults.proxy import Proxy
from tests.support.generated import requests_of_texts

if TYPE_CHECKING:
    from tests.faults.stage import Stage

TRIES = 2
TEXTS = 20
# Of a span with its vector, and of one without.
VECTOR_BYTES, BARE_BYTES = 4_800, 430
# More than there is time for, as long as it can be counted quickly.
TIMES_TOO_MUCH = 2
MAX_SPANS = 10_000

LATE = "a first try was late: what had come of it may come once more"


def _link(megabytes_a_second: int, deadline: int) -> Fault:
    @fault(f"link: {megabytes_a_second} MB/s, a deadline of {deadline} s", may_duplicate=LATE)
    def row(stage: Stage) -> None:
        in_time = megabytes_a_second * MEGABYTE * deadline
        spans = min(TIMES_TOO_MUCH * in_time // VECTOR_BYTES, MAX_SPANS)
        [request] = requests_of_texts(spans, texts=TEXTS, spans_a_request=spans)
        line = Proxy(stage.next_hop.address, bytes_a_second=megabytes_a_second * MEGABYTE)
        with stage.next_hop, line, stage.sidecar(next_hop=line.address):
            tries = _tries(stage, request, deadline)
            told = stage.metric(*names.GIVEN_UP)
        assert tries[-1] == "OK", f"the tries ended with {', '.join(tries)}"
        assert stage.ledger.most_copies() <= TRIES
        is_too_much = spans * VECTOR_BYTES > in_time
        assert told or not is_too_much, "no metric tells of vectors that were given up"

    return row


def _tries(stage: Stage, request: bytes, deadline: float) -> list[str]:
    """Send until it is taken, or often enough; give the statuses."""
    stage.ledger.sent(request)
    statuses: list[str] = []
    with stage.client() as client:
        while len(statuses) < TRIES and "OK" not in statuses:
            statuses.append(client.send(request, timeout=deadline).status)
    return statuses


slow_and_short = _link(1, 2)
slow_and_usual = _link(1, 5)
slow_and_long = _link(1, 10)
middling_and_short = _link(4, 2)
middling_and_usual = _link(4, 5)
middling_and_long = _link(4, 10)
fast_and_short = _link(16, 2)
fast_and_usual = _link(16, 5)
fast_and_long = _link(16, 10)
