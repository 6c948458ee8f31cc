"""What differs in what was taken out alone says the same, whatever else looks like that."""

from __future__ import annotations

from itertools import count, repeat
from typing import TYPE_CHECKING

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from otel_embedder.otlp.layouts import NO_FORM, Layouts
from otel_embedder.otlp.volatile import (
    MANY_VALUES,
    MAX_BYTES,
    MAX_KEYS,
    MAX_VOLATILE,
    UNTOUCHED,
    VolatileValues,
)
from otel_embedder.proto import otlp_wire_pb2 as pb
from otel_embedder.text.values import is_plain
from tests.otlp.test_layouts import fields_of
from tests.support.otlp_samples import span

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hypothesis.strategies import DrawFn

    from tests.support.otlp_samples import Value

    # A form, a version, and what is left.
    Key = tuple[int, int, bytes]

LEFT_OUT = ("thread.id", "thread.name", "x.left.out")
# These bytes are found, and what is behind them is taken for a value.
LOOKALIKES = (
    b"J\x0f\x12\x02\x18\x05\n\tthread.id",
    b"J\x11\x12\x04\n\x02ab\n\tthread.id",
    b"J\x0f",
    b"J\x10\x12\x03\x18\x85",
    b"\n\tthread.id\x12\x02\x18\x05",
    b"\n\tthread.id\x12\x03\x18\x85\x05",
    b"\n\x0bthread.name\x12\x05\n\x03abc",
    b"\n\x0bthread.name\x12\x0f\n\x0d\n\tthread.id\x12\x02",
    b"\n\x0bthread.name\x12\x20\n\x1e",
    b"\n\x0bthread.name\x12",
)
PADDED = b"\x4a\x10\n\tthread.id\x12\x03\x18\x85\x00"
TWO_IN_ONE = b"\x4a\x11\n\tthread.id\x12\x04\x18\x05\x18\x06"
LIST_BEHIND = b"\x4a\x11\n\tthread.id\x12\x04\x18\x05\x2a\x00"


def is_left_out(attribute: bytes) -> bool:
    try:
        pair = pb.KeyValue.FromString(attribute)
        return pair.key.decode("latin-1") in LEFT_OUT and is_plain(pair.value)
    except DecodeError:
        return False


def text(encoded: bytes) -> str | None:
    """Give what a span says; None if it is none."""
    try:
        read = pb.Span.FromString(encoded)
    except DecodeError:
        return None
    shown = [attribute for attribute in read.attributes if not is_left_out(attribute)]
    return f"{read.name!r} {shown} {read.kind}"


def latin(encoded: bytes) -> str:
    return encoded.decode("latin-1")


def backwards(encoded: bytes) -> bytes:
    """Give a span as a Collector writes it: the last field first, and a value before its key."""
    fields = fields_of(encoded)
    return b"".join(_turned(field) for field in reversed(fields))


def _turned(field: bytes) -> bytes:
    if field[:1] != b"\x4a" or field[1] & 0x80:
        return field
    return field[:2] + b"".join(reversed(fields_of(field[2:])))


@st.composite
def values(draw: DrawFn) -> AnyValue:
    lookalike = st.sampled_from(LOOKALIKES).map(latin)
    strings = st.text("ab\0", max_size=4) | lookalike | st.tuples(lookalike, lookalike).map("".join)
    integers = st.integers(0, 400) | st.integers(-5, 2**63 - 1)
    plain: st.SearchStrategy[AnyValue] = (
        integers.map(lambda each: AnyValue(int_value=each))
        | strings.map(lambda each: AnyValue(string_value=each))
        | st.booleans().map(lambda each: AnyValue(bool_value=each))
        | st.sampled_from(LOOKALIKES).map(lambda each: AnyValue(bytes_value=each))
    )
    value = draw(plain)
    if draw(st.integers(0, 5)):
        return value
    nested = AnyValue()
    nested.kvlist_value.values.add(key=draw(st.sampled_from(LEFT_OUT)), value=value)
    return nested


@st.composite
def encoded_spans(draw: DrawFn) -> bytes:
    made = Span(trace_id=b"t" * 16, span_id=draw(st.binary(min_size=8, max_size=8)))
    made.name = draw(st.sampled_from(["pay", *map(latin, LOOKALIKES)]))
    made.start_time_unix_nano = made.end_time_unix_nano = draw(st.integers(1, 3))
    keys = st.sampled_from([*LEFT_OUT, "note", latin(LOOKALIKES[0])])
    for key in draw(st.lists(keys, max_size=4)):
        made.attributes.add(key=key, value=draw(values()))
    behind = draw(st.sampled_from([b"", b"", b"", PADDED, TWO_IN_ONE, LIST_BEHIND]))
    encoded = made.SerializeToString() + behind
    return backwards(encoded) if draw(st.booleans()) else encoded


def other(encoded: bytes, place: int, octet: int) -> bytes:
    """Change a byte of a span, in a way that keeps its length."""
    place %= len(encoded)
    return encoded[:place] + bytes([octet]) + encoded[place + 1 :]


def learned() -> Layouts:
    """Give what knows that all that is left out is volatile."""
    layouts = Layouts(VolatileValues(is_left_out))
    number = count(1)
    for _ in range(MANY_VALUES):
        spans = [span("pay", attributes={key: next(number)}) for key in LEFT_OUT]
        encoded = [each.SerializeToString() for each in spans]
        cut(layouts, [*encoded, *map(backwards, encoded)])
    return layouts


def cut(layouts: Layouts, spans: Sequence[bytes]) -> list[tuple[Key, bool]]:
    """Cut spans; give of each what it is known by, and whether it may be."""
    cuts = layouts.cut(spans)
    keys = [*zip(cuts.forms, repeat(cuts.taken.version, len(spans)), cuts.rests, strict=True)]
    return [(key, layouts.is_right(cuts, row, spans[row])) for row, key in enumerate(keys)]


@given(
    st.lists(encoded_spans(), min_size=1, max_size=6),
    st.lists(
        st.tuples(st.integers(0, 400), st.sampled_from(b"\0\1\x05\x12\x18\x80\nJab")), max_size=9
    ),
)
def test_what_has_the_same_left_says_the_same(
    kinds: list[bytes], changes: list[tuple[int, int]]
) -> None:
    layouts = learned()
    spans = [*kinds, *(other(each, *change) for each in kinds for change in changes)]
    batches = [spans, spans[::-1], *([each] for each in spans)]
    found = [each for batch in batches for each in cut(layouts, batch)]
    read = [text(each) for batch in batches for each in batch]
    said = {key: says for (key, is_right), says in zip(found, read, strict=True) if is_right}

    for (key, _), says in zip(found, read, strict=True):
        if key in said:
            assert says == said[key]


def keys_of(layouts: Layouts, spans: Sequence[Span]) -> set[Key]:
    """Give what spans are known by, all of which may be, however they are written."""
    encoded = [each.SerializeToString() for each in spans]
    forwards, turned = cut(layouts, encoded), cut(layouts, [*map(backwards, encoded)])
    assert all(is_right for _, is_right in (*forwards, *turned))
    assert len({key for key, _ in turned}) == len({key for key, _ in forwards})
    return {key for key, _ in forwards}


@pytest.mark.parametrize(
    "numbers", [range(10, 100), range(20_000, 20_100), range(2**40, 2**40 + 9)]
)
def test_spans_that_differ_in_what_no_text_has_are_known_by_the_same(
    numbers: Sequence[int],
) -> None:
    layouts = learned()
    spans = [
        span(attributes={"thread.id": number, "note": "a", "thread.name": f"t-{number}"})
        for number in numbers
    ]

    assert len(keys_of(layouts, spans)) == 1


@pytest.mark.parametrize(
    "values",
    [(1, 1_000), ("a", "ab"), (1, "a"), ("x" * 65, "y" * 65), (-1, -2), (True, False), (1.0, 2.0)],
    ids=["longer", "longer string", "another type", "long", "negative", "bool", "double"],
)
def test_what_is_taken_out_are_short_strings_and_integers_of_one_length(
    values: tuple[Value, Value],
) -> None:
    spans = [span("pay", attributes={"thread.id": each}) for each in values]

    assert len(keys_of(learned(), spans)) == len(values)


def test_what_is_shown_is_not_taken_out() -> None:
    layouts = learned()
    for start in range(0, 5 * MANY_VALUES, MANY_VALUES):
        spans = [span("pay", attributes={"note": n}) for n in range(start, start + MANY_VALUES)]

        assert len(keys_of(layouts, spans)) == MANY_VALUES


def test_a_value_is_volatile_once_it_was_another_one_many_times() -> None:
    layouts = Layouts(VolatileValues(is_left_out))
    spans = [span(attributes={"thread.id": number}) for number in range(MANY_VALUES)]

    assert len(keys_of(layouts, spans[1:])) == MANY_VALUES - 1
    assert len(keys_of(layouts, spans)) == MANY_VALUES
    assert len(keys_of(layouts, spans)) == 1


def test_what_looks_like_it_in_a_shown_value_makes_a_span_unknown() -> None:
    layouts = learned()
    note = "\n\tthread.id\x12\x02\x18"
    spans = [span(attributes={"note": note + end}) for end in "ab"]

    found = cut(layouts, [each.SerializeToString() for each in spans])

    assert not any(is_right for _, is_right in found)


def test_what_looks_like_one_in_another_makes_a_span_unknown() -> None:
    layouts = learned()
    inner = span(attributes={"thread.name": "\n\tthread.id\x12\x02\x18\x05"})

    [((form, _, _), is_right)] = cut(layouts, [inner.SerializeToString()])

    assert form == NO_FORM
    assert not is_right


def test_what_may_begin_in_two_places_makes_a_span_unknown() -> None:
    layouts = learned()
    made = span(attributes={"thread.name": "J\x0f\x12\x02", "thread.id": 5})

    [((form, _, _), is_right)] = cut(layouts, [backwards(made.SerializeToString())])

    assert form == NO_FORM
    assert not is_right


def test_of_very_many_bytes_nothing_is_taken_out() -> None:
    layouts = learned()
    spans = [span("x" * MAX_BYTES, attributes={"thread.id": n}) for n in (5, 6)]
    encoded = [each.SerializeToString() for each in spans]

    found = cut(layouts, [*encoded, *encoded])

    assert all(is_right for _, is_right in found)
    assert len({key for key, _ in found}) == len(spans)
    assert {version for (_, version, _), _ in found} == {UNTOUCHED}


def test_keys_are_bounded() -> None:
    volatile = VolatileValues(lambda _: True)
    layouts, most = Layouts(volatile), 0
    for key in range(MAX_KEYS + 9):
        spans = [span(attributes={f"key.{key:04}": n}) for n in range(MANY_VALUES)]
        cut(layouts, [each.SerializeToString() for each in spans])
        most = max(most, volatile.memory())
    few = [span(attributes={f"key.{MAX_KEYS:04}": n}) for n in range(9)]

    assert volatile.memory() < most
    assert len({key for key, _ in cut(layouts, [each.SerializeToString() for each in few])}) == 1


def test_of_many_volatile_keys_the_first_are_taken_out() -> None:
    layouts = Layouts(VolatileValues(lambda _: True))
    keys = [f"key.{number:04}" for number in range(MAX_VOLATILE + 1)]
    for number in range(10, 10 + MANY_VALUES):
        cut(layouts, [span(attributes={key: number}).SerializeToString() for key in keys])
    spans = [[span(attributes={key: n}).SerializeToString() for n in (1, 2)] for key in keys]

    known = [len({key for key, _ in cut(layouts, some)}) for some in spans]

    assert known == [1] * MAX_VOLATILE + [2]
