"""What is remembered of attributes, and what is known of those that were not seen."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from otel_embedder.otlp.remembered import ENTRY_BYTES, MAX_REMEMBERED_BYTES
from otel_embedder.proto import otlp_wire_pb2 as pb
from otel_embedder.text.fragments import MAX_KEPT, Fragments, LeftOut
from otel_embedder.text.values import is_plain
from tests.support.generated import key_value
from tests.support.otlp_samples import any_value, messages


def encoded_of(number: int, key: str = "note") -> bytes:
    """Give an attribute; those of a key are all as long."""
    return key_value(key, f"{number:06d}").SerializeToString()


ROOM = MAX_REMEMBERED_BYTES // (ENTRY_BYTES + len(encoded_of(0)))


class Read:
    """Reads attributes; remembers which."""

    def __init__(self) -> None:
        self.seen: list[bytes] = []

    def __call__(self, encoded: bytes) -> str:
        self.seen.append(encoded)
        return "" if b"note" in encoded else "words"


def fragments_of(read: Read) -> Fragments:
    return Fragments(read, LeftOut(b"port".__eq__), None)


def test_what_adds_nothing_is_forgotten_before_what_does() -> None:
    read = Read()
    fragments = fragments_of(read)
    told = [encoded_of(number, "tell") for number in range(10)]
    looked_up = [fragments[encoded] for encoded in told]
    for number in range(2 * ROOM):
        assert fragments[encoded_of(number)] == ""
    read.seen.clear()

    assert [fragments[encoded] for encoded in told] == looked_up
    assert read.seen == []
    assert len(fragments) <= ROOM


def test_where_most_adds_something_all_is_forgotten() -> None:
    fragments = fragments_of(Read())
    for number in range(ROOM + 1):
        assert fragments[encoded_of(number, "tell")] == "words"

    assert len(fragments) == 1


def test_of_what_is_left_out_not_more_is_remembered_than_is_soon_looked_up() -> None:
    read = Read()
    fragments = Fragments(read, left_out := LeftOut(b"port".__eq__), None)
    left_out.has_key(b"port")
    for number in range(2 * MAX_KEPT):
        assert fragments[encoded_of(number, "port")] == ""

    assert read.seen == []
    assert len(fragments) == MAX_KEPT


@pytest.mark.parametrize("encoded", [b"\x0a\x04port\x12\x02\x0a\x07", b"\x0a\x05port"])
def test_what_is_broken_is_left_to_whoever_reads_it(encoded: bytes) -> None:
    left_out = LeftOut(b"port".__eq__)

    assert left_out.has_key(b"port")
    assert not left_out.is_known_to_have(encoded)


PORTS = st.integers(-(2**63), 2**63 - 1) | st.integers(0, 2**17)


@given(
    st.sampled_from(("port", "thread.id", "cart.color", "")),
    PORTS.map(any_value) | messages(AnyValue),
    st.sampled_from((1, -1)),
    st.sampled_from((b"", b"\x12\x02\x18\x01", b"\x0a\x01x", b"\x18\x01")),
)
def test_what_is_known_to_be_left_out_is_left_out(
    key: str, value: AnyValue, order: int, more: bytes
) -> None:
    left_out = LeftOut(lambda key: key in {b"port", b"thread.id", b""})
    fields = [KeyValue(key=key).SerializeToString(), KeyValue(value=value).SerializeToString()]
    encoded = b"".join(fields[::order]) + more

    assert not left_out.is_known_to_have(encoded)
    pair = pb.KeyValue.FromString(encoded)
    is_left_out = left_out.has_key(pair.key) and is_plain(pair.value)
    assert left_out.is_known_to_have(encoded) <= is_left_out
    assert more or left_out.is_known_to_have(encoded) == is_left_out
