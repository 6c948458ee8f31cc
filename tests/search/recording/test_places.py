from __future__ import annotations

import numpy as np
import pytest
from google.protobuf.message import DecodeError
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from otel_embedder.search.recording.places import cut_places, read_places
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
    places = read_places(SPANS)

    assert places.starts.tolist() == [1, 2, 3, 4, 5]
    assert places.statuses.tolist() == [0, 0, 1, 2, 0]
    assert places.statuses.dtype == np.int8


def test_what_was_cut_out_stands_where_it_is_read() -> None:
    cut = cut_places(new_layouts().cut(SPANS).own, [0, 0, 1, 2, 0])

    for column, expected in zip(map(np.asarray, cut), read_places(SPANS), strict=True):
        np.testing.assert_array_equal(column, expected, strict=True)


def test_ids_of_another_length_are_cut_or_filled_up() -> None:
    span = Span(trace_id=b"x" * 32, span_id=b"", parent_span_id=b"y")

    places = read_places([span.SerializeToString()])

    assert places.traces.tobytes() == b"x" * 16
    assert places.ids.tolist() == [0]
    assert places.parents.tobytes() == b"y".ljust(8, b"\0")


def test_a_malformed_span_is_refused() -> None:
    with pytest.raises(DecodeError):
        read_places([SPANS[0], b"\x07"])


def test_none_are_none() -> None:
    assert len(read_places([]).ids) == 0
