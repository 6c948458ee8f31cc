"""Headers that gRPC takes in and does not send: through a real server, and on to a real one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from otel_embedder.receiver.intake.headers import HEADER_LEFT_OUT, MAX_TOLD, Headers
from tests.support.http2 import call
from tests.support.in_process import sidecar_in_process, tiny_model
from tests.support.otlp_samples import request, span

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.peers import FakeNextHop

pytestmark = pytest.mark.timeout(120)

SECRET = b"s3cret"
ODD = {
    "beyond ASCII": (b"x-odd", b"na\xc3\xafve " + SECRET),
    "no UTF-8": (b"x-odd", b"\xff\xfe" + SECRET),
    "a control character": (b"x-odd", b"a\x01" + SECRET),
    "a tab": (b"x-odd", b"a\t" + SECRET),
    "connection": (b"connection", b"close"),
    "keep-alive": (b"keep-alive", b"timeout=5"),
    "proxy-connection": (b"proxy-connection", b"close"),
    "transfer-encoding": (b"transfer-encoding", b"chunked"),
    "upgrade": (b"upgrade", b"h2c"),
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
async def test_what_cannot_be_sent_is_left_out_and_its_spans_go_on(
    odd: tuple[bytes, bytes], next_hop: FakeNextHop, tiny_bert: Path
) -> None:
    encoded, headers = request(span()).SerializeToString(), (odd, (b"tenant", b"shop"))
    with capture_logs() as logs:
        async with sidecar_in_process(next_hop.url, **tiny_model(tiny_bert)) as sidecar:
            port = int(sidecar.url.rpartition(":")[2])
            answers = [await call(port, encoded, headers) for _ in range(2)]

    assert all(b"grpc-status\x010" in answer for answer in answers)
    assert len(next_hop.spans()) == 2
    passed_on = dict(next_hop.metadata[0])
    assert passed_on["tenant"] == "shop"
    assert odd[0].decode() not in passed_on
    lines = [line for line in logs if line["event"] == HEADER_LEFT_OUT]
    assert [line["header"] for line in lines] == [odd[0].decode()]
    assert SECRET.decode() not in str(lines)


def test_of_many_names_only_so_many_are_told() -> None:
    headers = Headers()
    with capture_logs() as logs:
        for number in range(2 * MAX_TOLD):
            headers.passed_on(((f"x-{number}{'x' * 1_000}", "\x01"),))

    assert len(logs) == MAX_TOLD
    assert all(len(line["header"]) == 100 for line in logs)


@pytest.mark.parametrize("value", ["", " ", "a b~!"])
def test_what_can_be_sent_goes_on_as_it_is(value: str) -> None:
    metadata = (("tenant", value), ("tenant", "another"), ("trace-bin", b"\x00\xff"))

    assert Headers().passed_on(metadata) == metadata
