from __future__ import annotations

from itertools import cycle, islice
from typing import TYPE_CHECKING

import numpy as np
import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from otel_embedder.otlp.protobuf import Cursor
from otel_embedder.search.recording.packed import PackedSpans
from otel_embedder.search.recording.places import MANY, MAX_SPAN_BYTES, PlaceReader

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hypothesis.strategies import DrawFn

    from otel_embedder.search.recording.columns import Places

    Read = tuple[bytes, bytes, bytes, int, int, int]

ERROR = Status.STATUS_CODE_ERROR
OTHER = Status.FromString(b"\x18\x07")  # a code that OTLP doesn't have
NAMES = ("pay", "charge the card", "\x0a\x10\x12\x08\x22\x08\x39\x41")
# What protobuf takes behind a span: fields again, a group, a tag that is longer than need be, and
# one of another type.
BEHIND = (
    b"\x0a\x10" + bytes(range(16)),
    b"\x41" + bytes(range(8)),
    b"\x12\x00",
    b"\xa3\x06\xa4\x06",
)
ODD = (b"\x8a\x00\x10" + bytes(range(16)), b"\x12\x88\x00" + bytes(range(8)), b"\x08\x07")


def fields_of(encoded: bytes) -> list[bytes]:
    cursor = Cursor(encoded, 0, len(encoded), level=0)
    fields: list[bytes] = []
    while not cursor.is_at_end():
        field = cursor.field()
        fields.append(encoded[field.start : field.end])
    return fields


def ids(length: int) -> st.SearchStrategy[bytes]:
    return st.just(b"") | st.binary(min_size=length, max_size=length) | st.binary(max_size=20)


@st.composite
def encoded_spans(draw: DrawFn) -> bytes:
    nanoseconds = st.integers(0, 2**64 - 1)
    span = Span(
        trace_id=draw(st.binary(min_size=16, max_size=16) | ids(16)),
        span_id=draw(st.binary(min_size=8, max_size=8) | ids(8)),
        parent_span_id=draw(ids(8)),
        name=draw(st.sampled_from(NAMES)),
        start_time_unix_nano=draw(nanoseconds),
        end_time_unix_nano=draw(nanoseconds),
        status=draw(st.none() | st.sampled_from([Status(), Status(code=ERROR), OTHER])),
    )
    fields = fields_of(span.SerializeToString())
    written = draw(st.sampled_from([fields, fields[::-1]]) | st.permutations(fields))
    return b"".join(written) + draw(st.sampled_from([b"", b"", *BEHIND, *ODD]))


def with_other_bytes(encoded: bytes, number: int) -> bytes:
    """Change one byte of a span, whichever that is."""
    place = number % len(encoded)
    return encoded[:place] + bytes([encoded[place] ^ 1 << number % 8]) + encoded[place + 1 :]


def is_span(encoded: bytes) -> bool:
    try:
        Span.FromString(encoded)
    except DecodeError:
        return False
    return True


def plainly(encoded: bytes) -> Read:
    """Read a span by OTLP's own message."""
    span = Span.FromString(encoded)
    code = span.status.code if span.status.code in Status.StatusCode.values() else 0
    return (
        span.trace_id[:16].ljust(16, b"\0"),
        span.span_id[:8].ljust(8, b"\0"),
        span.parent_span_id[:8].ljust(8, b"\0"),
        span.start_time_unix_nano,
        span.end_time_unix_nano,
        code,
    )


def learned(
    reader: PlaceReader, spans: Sequence[bytes], sayings: Sequence[int], *, known: int
) -> Places:
    return reader.read(PackedSpans.of(spans), np.array(sayings, np.int64), known=known)


def read(reader: PlaceReader, spans: Sequence[bytes], sayings: Sequence[int]) -> list[Read]:
    places = learned(reader, spans, sayings, known=len(NAMES))
    return [
        (
            places.traces[row].tobytes(),
            places.ids[row].tobytes(),
            places.parents[row].tobytes(),
            int(places.starts[row]),
            int(places.ends[row]),
            int(places.statuses[row]),
        )
        for row in range(len(spans))
    ]


@given(
    st.lists(encoded_spans(), min_size=1, max_size=8),
    st.lists(st.integers(0, 2**20), max_size=8),
    st.integers(1, 5),
)
def test_places_are_those_that_protobuf_reads(
    kinds: list[bytes], changes: list[int], sayings: int
) -> None:
    reader = PlaceReader()
    changed = [with_other_bytes(span, n) for span in kinds for n in changes if span]
    spans = [*kinds, *filter(is_span, changed)]
    spans = [*islice(cycle(spans), MANY + len(spans))]
    said = [row % sayings for row in range(len(spans))]
    expected = [*map(plainly, spans)]

    for _ in range(3):
        assert read(reader, spans, said) == expected
        assert read(reader, spans[::-1], said[::-1]) == expected[::-1]


def made(number: int, name: str = "pay", *, is_backwards: bool = False) -> bytes:
    span = Span(
        trace_id=number.to_bytes(16), span_id=number.to_bytes(8), parent_span_id=b"\1" * 8,
        name=name, start_time_unix_nano=number, end_time_unix_nano=number + 1,
        status=Status(code=ERROR),
    )  # fmt: skip
    fields = fields_of(span.SerializeToString())
    return b"".join(reversed(fields) if is_backwards else fields)


@pytest.mark.parametrize("is_backwards", [False, True])
def test_shapes_are_kept_of_what_recurs(is_backwards: bool) -> None:  # noqa: FBT001
    reader = PlaceReader()
    spans = [made(number, is_backwards=is_backwards) for number in range(1, MANY + 1)]

    learned(reader, spans, [0] * MANY, known=0)
    assert reader.size == 0

    learned(reader, spans, [0] * MANY, known=1)
    size = reader.size
    assert size > 0
    others = [made(number, is_backwards=is_backwards) for number in range(100, 100 + MANY)]
    assert read(reader, others, [0] * MANY) == [*map(plainly, others)]
    assert reader.size == size

    reader.forget()
    assert reader.size == 0


def test_of_large_spans_no_shape_is_kept() -> None:
    reader = PlaceReader()
    spans = [made(number, "pay" * MAX_SPAN_BYTES) for number in range(1, MANY + 1)]

    assert read(reader, spans, [0] * MANY) == [*map(plainly, spans)]
    assert reader.size == 0


@pytest.mark.parametrize("count", [1, MANY])
def test_a_malformed_span_of_a_known_kind_is_refused(count: int) -> None:
    reader = PlaceReader()
    spans = [made(number) for number in range(1, count + 1)]
    learned(reader, spans, [0] * count, known=1)
    malformed = b"\x07" + spans[-1][1:]

    with pytest.raises(DecodeError):
        learned(reader, [*spans[:-1], malformed], [0] * count, known=1)


def test_none_are_none() -> None:
    assert len(learned(PlaceReader(), [], [], known=0).ids) == 0


def test_spans_are_in_the_order_they_came() -> None:
    reader = PlaceReader()
    learned(reader, [made(number) for number in range(MANY)], [0] * MANY, known=1)
    mixed = [made(number, NAMES[number % 2]) for number in range(MANY)]

    places = learned(reader, mixed, [number % 2 for number in range(MANY)], known=1)

    assert places.starts.tolist() == [*range(MANY)]
    assert places.statuses.dtype == np.int8
