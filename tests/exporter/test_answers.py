"""What the next hop says beside OK: whatever it is, the spans are there."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from otel_embedder.exporter.answers import MAX_MESSAGES, MAX_SUMMARY_BYTES, Verdict, read_answer
from otel_embedder.otlp.names import TRACE_SERVICE
from tests.support.export_server import ExportServer
from tests.support.exporting import exporting, send
from tests.support.fakes import FakeMetrics
from tests.support.otlp_samples import field, request, span

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.export_server import Handler

pytestmark = pytest.mark.timeout(120)

SPANS = [span(f"span {number}", {"filler": "x" * 200}) for number in range(40)]
LARGEST = 2**63 - 1


def answer(rejected: int, message: bytes) -> bytes:
    """Give an encoded ExportTraceServiceResponse, whatever it says."""
    number = ExportTraceServiceResponse()
    number.partial_success.rejected_spans = rejected
    return number.SerializeToString() + field(1, field(2, message))


class RawNextHop(ExportServer):
    """A next hop that answers each request with OK and these bytes, or without a message."""

    def __init__(self, encoded: bytes | None) -> None:
        self._encoded = encoded

    def handlers(self) -> dict[str, Handler]:
        # On the wire it is the same as a handler for a single answer, but may give none.
        return {TRACE_SERVICE: grpc.unary_stream_rpc_method_handler(self._export)}

    async def _export(self, _: bytes, __: object) -> AsyncIterator[bytes]:
        if self._encoded is not None:
            yield self._encoded


@pytest.mark.parametrize("encoded", [None, b"", b"\xff\xff", field(1, b"\xff\xff"), b"\x08\x05"])
async def test_an_ok_is_an_ok_whatever_comes_with_it(encoded: bytes | None) -> None:
    metrics = FakeMetrics()
    async with (
        RawNextHop(encoded) as next_hop,
        exporting(next_hop.url, metrics=metrics) as exporter,
    ):
        response = await send(exporter, request(*SPANS))

    assert response == ExportTraceServiceResponse()
    assert metrics.counts == {"sent": len(SPANS)}


async def test_an_ok_without_a_message_is_one_for_other_signals_too() -> None:
    async with RawNextHop(None) as next_hop, exporting(next_hop.url) as exporter:
        method = f"/{TRACE_SERVICE}/Export"
        said = await exporter.forward(method, b"", deadline=math.inf, metadata=())

    assert said == b""


async def test_a_message_that_is_not_utf_8_does_not_hide_how_many_were_rejected() -> None:
    async with (
        RawNextHop(answer(3, "zu groß".encode("latin-1"))) as next_hop,
        exporting(next_hop.url) as exporter,
    ):
        response = await send(exporter, request(*SPANS))

    assert response.partial_success.rejected_spans == 3
    assert response.partial_success.error_message == "zu gro\N{REPLACEMENT CHARACTER}"


@pytest.mark.parametrize(
    ("said", "told"), [(-1, 0), (-LARGEST - 1, 0), (41, 40), (LARGEST, 40), (7, 7)]
)
async def test_no_more_spans_are_rejected_than_were_sent_and_no_fewer_than_none(
    said: int, told: int
) -> None:
    async with (
        RawNextHop(answer(said, b"odd")) as next_hop,
        exporting(next_hop.url, max_send_bytes=2_000) as exporter,
    ):
        split = await send(exporter, request(*SPANS))
    async with RawNextHop(answer(said, b"odd")) as next_hop, exporting(next_hop.url) as exporter:
        whole = await send(exporter, request(*SPANS))

    assert whole.partial_success.rejected_spans == told
    assert told <= split.partial_success.rejected_spans <= 40
    assert split.partial_success.error_message == "odd"


async def test_what_it_says_goes_on_as_one_short_printable_line() -> None:
    words = b"two\r\nlines\x00\x1b[31m " + "\N{RIGHT-TO-LEFT OVERRIDE}abc ".encode() * 1_000_000
    async with RawNextHop(answer(1, words)) as next_hop, exporting(next_hop.url) as exporter:
        response = await send(exporter, request(*SPANS))

    message = response.partial_success.error_message
    assert message.startswith("two lines??[31m ?abc ?abc")
    assert message.isprintable()
    assert len(message.encode()) <= 1024


def test_many_verdicts_have_one_bounded_sum() -> None:
    total = Verdict()
    for number in range(1_000):
        total.add(read_answer(answer(1, f"{number} ".encode() + b"x" * 900), spans=5))
        total.add(read_answer(answer(1, b"the same"), spans=5))

    partial = total.answer().partial_success
    assert partial.rejected_spans == 2_000
    assert len(total.messages) == MAX_MESSAGES
    assert partial.error_message.count("the same") == 1
    assert len(partial.error_message.encode()) <= MAX_SUMMARY_BYTES
