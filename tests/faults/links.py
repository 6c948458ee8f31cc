"""A line to the next hop that is too slow for all vectors, which make spans ten times as large.

Two tries must do, as a Collector makes them: what was not known at first is known then. Where not
even a first message gets through, it takes a third: what the first left on the line is in the way
of the second.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.faults import names
from tests.faults.fault import MEGABYTE, Fault, fault
from tests.faults.next_hop import counted_later
from tests.faults.proxy import Proxy
from tests.support.generated import requests_of_texts

if TYPE_CHECKING:
    from tests.faults.stage import Stage

TRIES = 2
# Of max_send_bytes by default.
MESSAGE_BYTES = 4 * MEGABYTE
TEXTS = 20
# Of a span with its vector, and of one without.
VECTOR_BYTES, BARE_BYTES = 4_800, 430
# More than there is time for, as long as it can be counted quickly.
TIMES_TOO_MUCH = 2
MAX_SPANS = 10_000
USUAL_SECONDS = 5

LATE = "a first try was late: what had come of it may come once more"


def _link(megabytes_a_second: int, deadline: int) -> Fault:
    @fault(
        f"link: {megabytes_a_second} MB/s, a deadline of {deadline} s",
        may_duplicate=LATE,
        is_alone=deadline < USUAL_SECONDS,
    )
    def row(stage: Stage) -> None:
        in_time = megabytes_a_second * MEGABYTE * deadline
        tries = TRIES + (in_time < MESSAGE_BYTES)
        spans = min(TIMES_TOO_MUCH * in_time // VECTOR_BYTES, MAX_SPANS)
        [request] = requests_of_texts(spans, texts=TEXTS, spans_a_request=spans)
        line = Proxy(stage.next_hop.address, bytes_a_second=megabytes_a_second * MEGABYTE)
        with (
            counted_later(stage.next_hop, stage.ledger),
            stage.next_hop,
            line,
            stage.sidecar(next_hop=line.address),
        ):
            _try(stage, request, deadline, tries=tries)
            told = stage.metric(*names.GIVEN_UP)
        assert stage.ledger.most_copies() <= tries
        is_too_much = spans * VECTOR_BYTES > in_time
        assert told or not is_too_much, "no metric tells of vectors that were given up"

    return row


def _try(stage: Stage, request: bytes, deadline: float, *, tries: int) -> None:
    """Send until it is taken, or often enough."""
    stage.ledger.sent(request)
    with stage.client() as client:
        for _ in range(tries):
            if client.send(request, timeout=deadline).status == "OK":
                return


slow_and_short = _link(1, 2)
slow_and_usual = _link(1, 5)
slow_and_long = _link(1, 10)
middling_and_short = _link(4, 2)
middling_and_usual = _link(4, 5)
middling_and_long = _link(4, 10)
fast_and_short = _link(16, 2)
fast_and_usual = _link(16, 5)
fast_and_long = _link(16, 10)
