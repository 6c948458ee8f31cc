"""Our walk over protobuf's wire format, beside protobuf's own parser."""

from __future__ import annotations

import pytest
from google.protobuf.message import DecodeError, Message
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_embedder.errors import MalformedRequestError
from otel_embedder.otlp.protobuf import MAX_DEPTH, RUN_BYTES
from otel_embedder.otlp.wire import RequestReader, parse_request
from otel_embedder.proto import otlp_wire_pb2 as pb
from tests.support.otlp_samples import field, varint

Scope = tuple[bytes, list[bytes]]
Resource = tuple[bytes, bytes, list[Scope]]
Request = tuple[bytes, list[Resource]]

EXAMPLES = settings(deadline=None, max_examples=1_000)

# Of messages that have these, of unknown ones, and what is none.
NUMBERS = st.sampled_from((1, 1, 1, 2, 2, 2, 3, 16, 1_000, 2**29 - 1, 2**29, 0))
VALUES = st.sampled_from((0, 1, 300, 2**32, 2**63, 2**64 - 1, 2**64, 2**69))
# How many bytes longer than needed a varint is.
LONGER = st.sampled_from((0,) * 8 + (1, 2, 3, 4, 9))


@st.composite
def varints(draw: st.DrawFn, number: int) -> bytes:
    """Spell a number, now and then longer than needed."""
    spelt, longer = bytearray(varint(number)), draw(LONGER)
    if longer:
        spelt[-1] |= 0x80
        spelt += b"\x80" * (longer - 1) + b"\0"
    return bytes(spelt)


def tagged(number: int, kind: int) -> st.SearchStrategy[bytes]:
    return varints(number << 3 | kind)


@st.composite
def fields(draw: st.DrawFn, inside: st.SearchStrategy[bytes]) -> bytes:
    """Make a field of any kind, right more often than not."""
    number, kind = draw(NUMBERS), draw(st.sampled_from((0, 1, 2, 2, 2, 2, 2, 3, 4, 5, 6)))
    tag = draw(tagged(number, kind))
    match kind:
        case 0:
            return tag + draw(VALUES.flatmap(varints))
        case 1 | 5:
            return tag + bytes(8 if kind == 1 else 4)
        case 2:
            value = draw(inside)
            return tag + draw(varints(len(value))) + value
        case 3:
            return tag + draw(inside) + draw(tagged(draw(st.sampled_from((number, 7))), 4))
        case _:
            return tag


MESSAGES = st.recursive(
    st.binary(max_size=3) | st.sampled_from((bytes(127), bytes(128), bytes(16_384))),
    lambda inside: st.lists(fields(inside), max_size=4).map(b"".join),
    max_leaves=20,
)


def by_protobuf(encoded: bytes) -> Request | None:
    """Give what protobuf reads of a request, None if it can't."""
    try:
        request = pb.TraceRequest.FromString(encoded)
    except DecodeError:
        return None
    resources = [
        (
            without(resource, "scope_spans"),
            b"".join(resource.resource),
            [(without(scope, "spans"), [*scope.spans]) for scope in resource.scope_spans],
        )
        for resource in request.resource_spans
    ]
    return without(request, "resource_spans"), resources


def without(message: Message, name: str) -> bytes:
    """Encode a message without a field."""
    copy = type(message).FromString(message.SerializeToString())
    copy.ClearField(name)
    return copy.SerializeToString()


def by_us(encoded: bytes) -> Request | None:
    """Give what we read of it, with what stands beside in protobuf's spelling."""
    try:
        request = parse_request(encoded)
    except MalformedRequestError:
        return None
    resources = [
        (
            respelt(pb.ResourceSpans, resource.header),
            resource.resource,
            [
                (respelt(pb.ScopeSpans, scope.header), [span.encoded for span in scope.spans])
                for scope in resource.scopes
            ],
        )
        for resource in request.resources
    ]
    return respelt(pb.TraceRequest, request.header), resources


def respelt(kind: type[Message], encoded: bytes) -> bytes:
    return kind.FromString(encoded).SerializeToString()


@EXAMPLES
@given(MESSAGES)
def test_we_read_what_protobuf_reads_and_refuse_what_it_refuses(encoded: bytes) -> None:
    assert by_us(encoded) == by_protobuf(encoded)


@pytest.mark.parametrize("way", [(), (1,), (1, 2)], ids=["request", "resource", "scope"])
@pytest.mark.parametrize("more", [0, 1])
def test_groups_may_be_as_deep_as_protobuf_has_it(way: tuple[int, ...], more: int) -> None:
    depth = MAX_DEPTH - len(way) + more
    encoded = b"\x1b" * depth + b"\x1c" * depth
    for number in reversed(way):
        encoded = field(number, encoded)

    assert by_us(encoded) == by_protobuf(encoded)
    assert (by_us(encoded) is None) is bool(more)


@pytest.mark.parametrize(
    "encoded",
    [
        field(1, field(2, field(2, b"") * 100_000)),
        field(1, field(2, b"\x28\0" * 100_000)),
        field(1, b"\x1b" + b"\x28\0" * 100_000 + b"\x1c"),
        field(1, field(2, b"")) * 50_000,
    ],
    ids=["spans", "unknown fields", "a group", "resources"],
)
def test_no_step_is_long_whatever_is_in_a_request(encoded: bytes) -> None:
    steps = [*RequestReader(encoded).steps()]

    assert max(steps) <= RUN_BYTES // 2
    assert sum(steps) >= 100_000


@pytest.mark.parametrize("size", [127, 128, 16_383, 16_384, 3_000_000])
def test_a_span_of_any_length_is_read(size: int) -> None:
    [resource] = parse_request(field(1, field(2, field(2, bytes(size)) * 2))).resources

    assert [span.encoded for span in resource.scopes[0].spans] == [bytes(size)] * 2
