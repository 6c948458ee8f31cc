from __future__ import annotations

import numpy as np
import pytest
from google.protobuf.message import DecodeError
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from otel_embedder.otlp.layouts import NUMBERS, PARENT_SPAN, SPAN, STARTED, TRACE
from otel_embedder.search.recording.places import read_places
from tests.support.wire import new_layouts

ERROR, OK = Status.STATUS_CODE_ERROR, Status.STATUS_CODE_OK
OTHER = Status.FromString(b"\x18\x07")  # a code that OTLP doesn't have
STATUSES = (None, Status(), Status(code=OK), Status(code=ERROR), OTHER)


def made(number: int, status: Status | None) -> bytes:
    return Span(
        trace_id=number.to_bytes(16), span_id=number.to_bytes(8), parent_span_id=b"\1" * 8,
        name="pay", start_time_unix_nano=number, end_time_unix_nano=number + 1, status=status,
    ).SerializeToString()  # fmt: skip


SPANS = [made(number, status) for number, status in enumerate(STATUSES, 1)]


def test_spans_are_in_the_order_they_came() -> None:
    own, statuses = read_places(SPANS)

    assert own[:, STARTED].tolist() == [1, 2, 3, 4, 5]
    assert statuses.tolist() == [0, 0, 1, 2, 0]


def test_what_is_read_stands_where_it_is_cut_out() -> None:
    own, _ = read_places(SPANS)

    np.testing.assert_array_equal(own, new_layouts().cut(SPANS).own, strict=True)


def test_ids_of_another_length_are_cut_or_filled_up() -> None:
    span = Span(trace_id=b"x" * 32, span_id=b"", parent_span_id=b"y")

    [own], _ = read_places([span.SerializeToString()])

    assert own[TRACE].tobytes() == b"x" * 16
    assert own[SPAN] == 0
    assert own[PARENT_SPAN].tobytes() == b"y".ljust(8, b"\0")


def test_a_malformed_span_is_refused() -> None:
    with pytest.raises(DecodeError):
        read_places([SPANS[0], b"\x07"])


def test_none_are_none() -> None:
    own, statuses = read_places([])

    assert own.shape == (0, NUMBERS)
    assert len(statuses) == 0
