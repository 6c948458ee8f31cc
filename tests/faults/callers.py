"""What callers do that a Collector doesn't.

They send no deadline, two messages in a call, strange headers; they leave, or never try again.
"""

from __future__ import annotations

import socket
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from grpc import StatusCode

from tests.faults import names
from tests.faults.fault import fault
from tests.faults.loris import message, opened_call
from tests.faults.next_hop import refuse, silence, take_if_waited_for
from tests.support.generated import requests_of_every_shape, requests_of_texts
from tests.support.otlp_samples import request, span

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.stage import Stage

SPANS = 200
# As many SDKs do, but twice as quickly.
PATIENCE_SECONDS = 5.0
SLOW_SECONDS = 0.8 * PATIENCE_SECONDS
LONG_PATIENCE_SECONDS = 60.0
SLOW_MODEL = (sys.executable, "-m", "tests.faults.sidecar", "slow")

ONE_MESSAGE = "a call of two messages is refused, as by any server: whoever sent it knows"
# What gRPC takes in from a peer, but sends to none; and what HTTP/2 forbids.
STRANGE_HEADERS = {
    "not ASCII": {"x-note": "th\xe9"},
    "control characters": {"x-note": "one\x01two"},
    "hop by hop": {"connection": "keep-alive", "transfer-encoding": "chunked"},
}


@fault("caller: two messages in a call", may_reject=ONE_MESSAGE)
def two_messages(stage: Stage) -> None:
    both = [request(span(name)).SerializeToString() for name in ("one", "two")]
    for each in both:
        stage.ledger.sent(each)
    with stage.next_hop, stage.sidecar(), stage.client() as client:
        status = client.send_several(both, timeout=10)
        if status != "OK":
            for each in both:
                stage.ledger.rejected(each)
    assert status in {"OK", "INTERNAL", "INVALID_ARGUMENT", "UNIMPLEMENTED"}, status


@fault("caller: no deadline, and a next hop that takes most of it")
def no_deadline(stage: Stage) -> None:
    """Each request has texts of its own, and the model needs longer than there is for them."""
    stage.next_hop.usual = take_if_waited_for(SLOW_SECONDS)
    settings = (names.ASSUMED_DEADLINE, str(PATIENCE_SECONDS))
    first, second = (_of_new_texts(count) for count in (SPANS, SPANS - 1))
    with (
        stage.next_hop,
        stage.sidecar(*settings, program=SLOW_MODEL),
        stage.client() as client,
    ):
        for each in (first, second):
            stage.ledger.sent(each)
        # The first may be late: nothing is known of the next hop. Those after it may not.
        is_first_taken = client.give_up(first, after=PATIENCE_SECONDS)
        later = [second] if is_first_taken else [second, first]
        late = [each for each in later if not client.give_up(each, after=PATIENCE_SECONDS)]
        for each in late:
            client.send(each, timeout=LONG_PATIENCE_SECONDS)
    assert not late, f"{len(late)} requests were late although sending was known to take long"


def _of_new_texts(count: int) -> bytes:
    [encoded] = requests_of_texts(count, texts=count, spans_a_request=count)
    return encoded


@fault("caller: gone before the answer, and counted")
def gone(stage: Stage) -> None:
    [ordinary] = requests_of_every_shape(SPANS)
    stage.ledger.sent(ordinary)
    stage.next_hop.script.append(silence(60))
    with stage.next_hop, stage.sidecar(), stage.client() as client:
        client.send(ordinary, timeout=1)
        stage.next_hop.script.clear()
        assert client.send(ordinary, timeout=10).status == "OK"
        counted = stage.metric(names.CANCELLED_SPANS)
    assert counted == SPANS, f"{counted:.0f} of {SPANS} spans are counted as cancelled"


@fault("caller: never tries again, and the next hop is busy for a moment")
def no_second_try(stage: Stage) -> None:
    stage.next_hop.script += [refuse(StatusCode.UNAVAILABLE)] * 2
    with stage.next_hop, stage.sidecar():
        answer = stage.send_once(requests_of_every_shape(SPANS)[0])
    assert answer.status == "OK", f"{answer.status}, after {answer.seconds:.1f} of its 10 s"


@fault("caller: headers that can't be sent on")
def strange_headers(stage: Stage) -> None:
    with stage.next_hop, stage.sidecar():
        for name, headers in STRANGE_HEADERS.items():
            encoded = request(span(name)).SerializeToString()
            stage.ledger.sent(encoded)
            with _sent_raw(stage.address, encoded, headers):
                stage.ledger.wait_for_all(timeout=5)


@contextmanager
def _sent_raw(address: str, encoded: bytes, headers: dict[str, str]) -> Iterator[None]:
    """Send over HTTP/2 by hand: gRPC's own client would refuse such headers."""
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(opened_call(headers) + message(encoded))
        yield
