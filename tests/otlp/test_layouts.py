"""What is cut out of spans by a layout that was right once is what protobuf reads, in any form."""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from otel_embedder.otlp.layouts import MAX_KINDS, NO_FORM, NUMBERS, Layouts
from otel_embedder.otlp.protobuf import Cursor
from tests.support.wire import new_layouts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hypothesis.strategies import DrawFn

    Own = tuple[bytes, bytes, bytes, int, int]

NAMES = ("pay", "charge the card", "charge the bill", "\x0a\x10\x12\x08\x22\x08\x39\x41")
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
        trace_state=draw(st.sampled_from(["", "", "", "a=1"])),
        name=draw(st.sampled_from(NAMES)),
        start_time_unix_nano=draw(nanoseconds),
        end_time_unix_nano=draw(nanoseconds),
        flags=draw(st.sampled_from([0, 257])),
    )
    fields = fields_of(span.SerializeToString())
    written = draw(st.sampled_from([fields, fields[::-1]]) | st.permutations(fields))
    return b"".join(written) + draw(st.sampled_from([b"", b"", *BEHIND, *ODD]))


def with_other_bytes(encoded: bytes, number: int) -> bytes:
    """Change one byte of a span, whichever that is."""
    place = number % len(encoded)
    return encoded[:place] + bytes([encoded[place] ^ 1 << number % 8]) + encoded[place + 1 :]


def plainly(encoded: bytes) -> Own | None:
    """Read a span by OTLP's own message; None if it is none."""
    try:
        span = Span.FromString(encoded)
    except DecodeError:
        return None
    return (
        span.trace_id.ljust(16, b"\0"),
        span.span_id.ljust(8, b"\0"),
        span.parent_span_id.ljust(8, b"\0"),
        span.start_time_unix_nano,
        span.end_time_unix_nano,
    )


def cut(layouts: Layouts, spans: Sequence[bytes]) -> list[tuple[tuple[int, bytes], Own, bool]]:
    """Cut spans; give of each what it is known by, its own, and whether it was cut rightly."""
    cuts = layouts.cut(spans)
    assert cuts.own.shape == (len(spans), NUMBERS)
    return [
        (
            (cuts.forms[row], cuts.rests[row]),
            (
                cuts.own[row, :2].tobytes(),
                cuts.own[row, 2].tobytes(),
                cuts.own[row, 3].tobytes(),
                int(cuts.own[row, 4]),
                int(cuts.own[row, 5]),
            ),
            layouts.is_right(cuts, row, span),
        )
        for row, span in enumerate(spans)
    ]


@given(
    st.lists(encoded_spans(), min_size=1, max_size=8),
    st.lists(st.integers(0, 2**20), max_size=8),
)
def test_what_has_the_bytes_of_what_was_cut_rightly_is_cut_rightly(
    kinds: list[bytes], changes: list[int]
) -> None:
    layouts = new_layouts()
    spans = [*kinds, *(with_other_bytes(span, n) for span in kinds for n in changes if span)]
    found = [each for some in (spans, spans[::-1], spans) for each in cut(layouts, some)]
    read = [plainly(span) for some in (spans, spans[::-1], spans) for span in some]
    right = {key for (key, _, is_right), own in zip(found, read, strict=True) if is_right and own}

    for (key, own, _), expected in zip(found, read, strict=True):
        if key in right:
            assert own == expected


def made(number: int, name: str = "pay", *, is_backwards: bool = False) -> bytes:
    span = Span(
        trace_id=number.to_bytes(16), span_id=number.to_bytes(8), parent_span_id=b"\1" * 8,
        name=name, start_time_unix_nano=number, end_time_unix_nano=number + 1,
    )  # fmt: skip
    fields = fields_of(span.SerializeToString())
    return b"".join(reversed(fields) if is_backwards else fields)


def test_spans_of_a_kind_differ_in_what_is_cut_out_alone() -> None:
    layouts = new_layouts()
    for is_backwards in (False, True):
        spans = [made(number, is_backwards=is_backwards) for number in range(1, 300)]
        found = cut(layouts, spans)

        assert len({key for key, _, _ in found}) == 1
        assert [own for _, own, _ in found] == [*map(plainly, spans)]
        assert all(is_right for _, _, is_right in found)


def test_what_is_of_any_length_is_not_cut() -> None:
    spans = [Span(trace_state="a=1", trace_id=b"a" * 16), Span(links=[Span.Link()], name="a")]

    found = cut(new_layouts(), [span.SerializeToString() for span in spans])

    assert [form for (form, _), _, _ in found] == [NO_FORM] * 2
    assert not any(is_right for _, _, is_right in found)


def test_after_a_wrong_guess_no_more_of_its_kind_are_cut() -> None:
    layouts = new_layouts()
    first, second = made(1, "a charge"), made(2, "a charge")
    # The same length, and the same beside the ids, but all behind these stands elsewhere.
    other = second[:-18] + second[-9:] + second[-18:-9]

    [*_, (_, _, is_right)] = cut(layouts, [first, other])
    [(key, _, _)] = cut(layouts, [made(3, "a charge")])

    assert not is_right
    assert key[0] == NO_FORM


def test_kinds_are_bounded() -> None:
    layouts, most = new_layouts(), 0
    for start in range(0, MAX_KINDS + 1_000, 500):
        numbers = range(start, start + 500)
        layouts.cut([made(n, f"{n:08}", is_backwards=True) for n in numbers])
        most = max(most, layouts.memory())

    assert layouts.memory() < most
