from __future__ import annotations

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from otel_embedder.otlp.fields import fields
from otel_embedder.proto import otlp_wire_pb2 as pb
from tests.support.otlp_samples import field, messages

ATTRIBUTES, EVENTS = 9, 11


def contents(encoded: bytes, number: int) -> list[bytes]:
    found = fields(encoded, 0, len(encoded))
    return [encoded[start:end] for field, start, end in found if field == number]


@settings(deadline=None)
@given(messages(Span, depth=2, unknown=True))
def test_what_is_found_is_what_protobuf_reads(made: Span) -> None:
    encoded = made.SerializeToString()
    parsed = pb.Span.FromString(encoded)

    assert contents(encoded, ATTRIBUTES) == [*parsed.attributes]
    assert contents(encoded, EVENTS) == [*parsed.events]


@settings(deadline=None)
@given(st.binary(max_size=40))
def test_any_bytes_are_fields_or_refused_as_protobuf_does(encoded: bytes) -> None:
    try:
        found = contents(encoded, ATTRIBUTES)
    except DecodeError:
        with pytest.raises(DecodeError):
            pb.Span.FromString(encoded)
    else:
        assert all(content in encoded for content in found)


def test_a_part_of_the_bytes_is_a_message_of_its_own() -> None:
    encoded = b"?" + field(1, b"a") + field(300, b"b" * 200) + b"?"

    found = [*fields(encoded, 1, len(encoded) - 1)]

    assert [(number, encoded[start:end]) for number, start, end in found] == [
        (1, b"a"),
        (300, b"b" * 200),
    ]


@pytest.mark.parametrize(
    "encoded",
    [b"\x0a\x02a", b"\x0a", b"\x0a\x05", b"\x08", b"\x09\x00", b"\xff" * 20, b"\x0a" + b"\xff" * 9],
    ids=["short", "no length", "nothing", "no number", "half a number", "no end", "huge"],
)
def test_what_goes_beyond_its_end_is_refused(encoded: bytes) -> None:
    with pytest.raises(DecodeError):
        list(fields(encoded + b"\x00" * 9, 0, len(encoded)))


def test_what_is_in_a_group_is_none_of_the_messages_fields_and_what_is_behind_it_is() -> None:
    encoded = field(1, b"a") + b"\x13" + field(1, b"within") + b"\x14" + field(1, b"b")

    assert contents(encoded, 1) == [b"a", b"b"]
