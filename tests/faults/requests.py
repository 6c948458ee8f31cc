"""Requests that are too large, broken, or strange."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import grpc
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.faults.fault import MEGABYTE, fault
from tests.faults.stage import MEBIBYTE
from tests.faults.straight import Straight
from tests.support.generated import requests_of_every_shape
from tests.support.otlp_samples import UNKNOWN_FIELDS, field, key_value, request, span

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.faults.stage import Stage
    from tests.support.otlp_samples import Value

SPANS = 200
MAX_BYTES = 600 * MEGABYTE
BOMB_BYTES = 640 * MEBIBYTE
COMPRESSION_SECONDS = 60.0
KIBIBYTE = 1024
DEPTH = 1_000

# The configurations let in what gRPC lets in by default, 4 MiB; these are for more.
MORE = 96 * MEBIBYTE
MEMORY = 2048 * MEBIBYTE
LET_MORE_IN = (
    f"receivers::otlp/apps::protocols::grpc::max_recv_msg_size_mib: {MORE // MEBIBYTE}",
    f"exporters::otlp_grpc/sidecar::sending_queue::batch::max_size: {MORE}",
    # What holds 65 MiB some times over is to be given room for them, or it refuses for a while.
    f"processors::memory_limiter::limit_mib: {MEMORY // MEBIBYTE}",
)
TOO_LARGE = (
    "larger than max_receive_bytes, 64 MiB: refused for good, as by any OTLP receiver; the "
    "Collector drops it, and says so. The configurations let in no more than 4 MiB"
)
UNKNOWN_COMPRESSION = (
    "gRPC's C core answers INTERNAL to zstd before any of our code runs, and the Collector drops; "
    "docs/sidecar.md and configurations say `none` or `gzip`"
)
NO_REQUEST = "nobody can count the spans of what is cut off, or too large to be read: refused"


@fault("request: 63 MiB")
def large(stage: Stage) -> None:
    with stage.everything(overrides=LET_MORE_IN):
        stage.send([_large_request(63 * MEBIBYTE)])


@fault("request: 65 MiB", may_reject=TOO_LARGE)
def too_large(stage: Stage) -> None:
    too_large = _large_request(65 * MEBIBYTE)
    with stage.everything(overrides=LET_MORE_IN) as running:
        stage.send([too_large])
        running.collector.wait_for_line("Dropping data", "larger")
        stage.ledger.rejected(too_large)
        stage.send(requests_of_every_shape(SPANS))


def _large_request(size: int) -> bytes:
    """Make a request of very nearly this many bytes, of spans of 64 KiB."""
    count = size // (64 * KIBIBYTE)
    spans = [_numbered(number, "x" * (63 * KIBIBYTE)) for number in range(count)]
    missing = size - request(*spans).ByteSize() - KIBIBYTE
    spans[0].attributes.append(key_value("padding", "y" * missing))
    return request(*spans).SerializeToString()


def _numbered(number: int, text: str) -> Span:
    made = span(f"large {number % 10}", {"body": text})
    made.span_id = (number + 1).to_bytes(8)  # to a Collector, 0 is none
    return made


@fault("request: gzip bomb", max_bytes=MAX_BYTES, may_reject=NO_REQUEST)
def gzip_bomb(stage: Stage) -> None:
    bomb = field(1002, bytes(BOMB_BYTES))  # compressed, it has a thousandth of that
    gzip = Straight(compression=grpc.Compression.Gzip, timeout=COMPRESSION_SECONDS)
    with stage.everything(), stage.sending(requests_of_every_shape(SPANS)):
        statuses = stage.send_straight([bomb], gzip)
    assert statuses == ["RESOURCE_EXHAUSTED"], statuses


@fault("request: truncated", may_reject=NO_REQUEST)
def truncated(stage: Stage) -> None:
    [whole] = requests_of_every_shape(SPANS)
    with stage.everything():
        statuses = stage.send_straight([whole[: len(whole) // 2]], Straight())
        stage.send([whole])
    assert statuses == ["INVALID_ARGUMENT"], statuses


@fault("request: every field unknown")
def every_field_unknown(stage: Stage) -> None:
    unknown = b"".join(UNKNOWN_FIELDS)
    known = request(span("of a later version")).SerializeToString()
    unknown_spans = field(2, unknown) + field(2, unknown + unknown)
    strange = unknown + field(1, unknown + field(2, unknown + unknown_spans))
    with stage.everything():
        # A Collector would take the fields out.
        statuses = stage.send_straight([unknown, strange, strange + known], Straight())
    assert set(statuses) == {"OK"}, statuses
    assert stage.ledger.account().came == 5


@fault("request: names that are not UTF-8")
def not_utf8(stage: Stage) -> None:
    _send_strange(stage, span("@@@@"), span("b", {"@@@@": "@@@@"}), replace=b"\xff\xfe\xc0\x80")


@fault("request: NaN and infinite attributes")
def not_finite(stage: Stage) -> None:
    several = [math.nan, math.inf, -math.inf, -0.0]
    values: dict[str, Value] = {"nan": math.nan, "infinity": math.inf, "several": several}
    _send_strange(stage, span("not finite", values))


@fault("request: 100,000 attributes on a span")
def many_attributes(stage: Stage) -> None:
    _send_strange(stage, span("many", {f"key.{number}": number for number in range(100_000)}))


@fault("request: an attribute of 10 MB")
def large_attribute(stage: Stage) -> None:
    stage.next_hop.max_bytes = MORE
    with stage.everything(overrides=LET_MORE_IN):
        stage.send([request(span("large", {"body": "x" * 10 * MEGABYTE})).SerializeToString()])


@fault("request: values nested 1,000 deep")
def nested(stage: Stage) -> None:
    with stage.everything():
        stage.send([_with_deep_attribute(), *requests_of_every_shape(SPANS)])


def _with_deep_attribute() -> bytes:
    value = field(1, b"at the bottom")
    for _ in range(DEPTH):
        value = field(5, field(1, value))  # AnyValue.array_value, ArrayValue.values
    attribute = field(1, b"deep") + field(2, value)
    of_span = span("nested").SerializeToString() + field(9, attribute)
    return field(1, field(2, field(2, of_span)))


@fault("request: spans that end before they start")
def ends_first(stage: Stage) -> None:
    backwards = [span("backwards", milliseconds=-number) for number in (1, 1_000, 10**12)]
    extreme = Span(name="extreme", start_time_unix_nano=2**64 - 1, end_time_unix_nano=1)
    _send_strange(stage, *backwards, extreme)


@fault("request: zstd", may_reject=UNKNOWN_COMPRESSION)
def zstd(stage: Stage) -> None:
    requests = requests_of_every_shape(SPANS)
    override = "exporters::otlp_grpc/sidecar::compression: zstd"
    with stage.everything(overrides=[override]) as running:
        stage.send(requests)
        running.collector.wait_for_line("Dropping data", "Internal")
        for dropped in requests:
            stage.ledger.rejected(dropped)


def _send_strange(stage: Stage, *spans: Span, replace: bytes = b"@@@@") -> None:
    """Send spans through the Collector, in requests of their own, among those of every shape."""
    ordinary = requests_of_every_shape(SPANS)
    strange = [encoded.replace(b"@@@@", replace) for encoded in _encoded(*spans)]
    with stage.everything():
        stage.send([*strange, *ordinary])


def _encoded(*spans: Span) -> Sequence[bytes]:
    return [request(span).SerializeToString() for span in spans]
