"""Values of a program as OTLP has them, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from itertools import islice
from numbers import Integral, Real
from typing import TYPE_CHECKING

import numpy as np
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList

from otel_embedder.errors import MalformedTraceError
from otel_embedder.text.purse import ATTRIBUTE_BYTES
from otel_embedder.text.values import MAX_ITEMS, MAX_NESTING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

INT64 = range(-(2**63), 2**63)
# protobuf reads messages up to 100 deep; a value takes up to three of them.
MAX_DEPTH = 32
# Each takes two bytes at least, so the renderer reads no more of them in an attribute.
MAX_VALUES = ATTRIBUTE_BYTES


def encode_value(value: object, depth: int = 0) -> AnyValue:  # noqa: PLR0911 - one for each kind
    """Give any value as OTLP has it; of a kind that OTLP lacks as `str` has it.

    Raises:
        MalformedTraceError: it is nested deeper than protobuf can be.

    """
    if depth > MAX_DEPTH:
        raise MalformedTraceError(f"a value is nested more than {MAX_DEPTH} deep")
    match value:
        case None:
            return AnyValue()
        case bool() | np.bool_():
            return AnyValue(bool_value=bool(value))
        case Integral():
            return _encode_integer(int(value))
        case Real():
            return AnyValue(double_value=float(value))
        case bytes() | bytearray() | memoryview():
            return AnyValue(bytes_value=bytes(value))
        case str():
            return AnyValue(string_value=plain_text(value))
        case Mapping():
            pairs = [key_value(key, item, depth + 1) for key, item in value.items()]
            return AnyValue(kvlist_value=KeyValueList(values=pairs))
        case Sequence() | AbstractSet() | np.ndarray():
            items = [encode_value(item, depth + 1) for item in _in_order(value)]
            return AnyValue(array_value=ArrayValue(values=items))
        case _:
            return AnyValue(string_value=plain_text(value))


def _encode_integer(value: int) -> AnyValue:
    # Python does not write very large ones in decimal.
    return AnyValue(int_value=value) if value in INT64 else AnyValue(string_value=hex(value))


def _in_order(values: Iterable[object]) -> Iterable[object]:
    # A set has another order in each process; the text must not.
    return sorted(values, key=repr) if isinstance(values, AbstractSet) else values


def whole(value: object) -> object:
    """Leave a value as it is."""
    return value


def pruned(value: object) -> object:
    """Leave out of a value what the renderer does not read: a huge one costs no more than that."""
    return _pruned(value, 0, iter(range(MAX_VALUES)))


def _pruned(value: object, depth: int, left: Iterator[int]) -> object:
    most = MAX_ITEMS if depth < MAX_NESTING else 0
    match value:
        case str() | bytes() | bytearray() | memoryview():
            return value
        case Mapping():
            pairs = zip(islice(value.items(), most), left, strict=False)
            return {plain_text(key): _pruned(item, depth + 1, left) for (key, item), _ in pairs}
        case Sequence() | AbstractSet() | np.ndarray():
            items = zip(islice(_in_order(value), most), left, strict=False)
            return [_pruned(item, depth + 1, left) for item, _ in items]
        case _:
            return value


def key_value(key: object, value: object, depth: int = 0) -> KeyValue:
    """Give a pair of any key and value; see `encode_value`."""
    return KeyValue(key=plain_text(key), value=encode_value(value, depth))


def plain_text(value: object) -> str:
    """Give any value as text that OTLP can have."""
    # A lone surrogate is no UTF-8, and so can't be in OTLP.
    return str(value).encode(errors="replace").decode()


def decode_value(value: AnyValue) -> object:
    """Give an OTLP value as Python has it."""
    match value.WhichOneof("value"):
        # The last is an index into a table that only profiles have.
        case None | "string_value_strindex":
            return None
        case "array_value":
            return [decode_value(item) for item in value.array_value.values]
        case "kvlist_value":
            return decode_pairs(value.kvlist_value.values)
        case kind:
            plain: object = getattr(value, kind)
            return plain


def decode_pairs(pairs: Iterable[KeyValue]) -> dict[str, object]:
    """Give attributes as a dict."""
    return {pair.key: decode_value(pair.value) for pair in pairs}
