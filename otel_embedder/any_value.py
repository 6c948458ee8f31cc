"""OTLP's AnyValue as words, a level at a time, so that depth and size stay bounded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_embedder.proto import otlp_wire_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import Sequence

# A text has room for 256 word pieces: more of a value would not be read.
MAX_NESTING = 4
MAX_ITEMS = 64
MAX_CHARACTERS = 1_024
ELLIPSIS = "..."


def decode(encoded: bytes) -> str:
    """Give a string's characters on one line; what is not UTF-8 becomes a question mark."""
    characters = encoded[: 4 * MAX_CHARACTERS].decode(errors="replace")
    return " ".join(characters.replace("\0", " ").split())


def render_value(encoded: bytes, depth: int = 0) -> str:  # noqa: PLR0911 - one for each kind
    """Give an encoded AnyValue as words, of whatever kind it is.

    Raises:
        google.protobuf.message.DecodeError: it is not an AnyValue.

    """
    value = pb.AnyValue.FromString(encoded)
    match value.WhichOneof("value"):
        case "string_value":
            return decode(value.string_value)
        case "bool_value":
            return "true" if value.bool_value else "false"
        case "int_value":
            return str(value.int_value)
        case "double_value":
            return f"{value.double_value:.6g}"
        case "bytes_value":
            return f"<{len(value.bytes_value)} bytes>"
        case "array_value":
            return _render_array(value.array_value, depth + 1)
        case "kvlist_value":
            return _render_key_values(value.kvlist_value, depth + 1)
        case _:
            return "null"


def read_key_value(encoded: bytes) -> tuple[str, bytes]:
    """Give an encoded KeyValue's key, and its value, still encoded.

    Raises:
        google.protobuf.message.DecodeError: it is not a KeyValue.

    """
    key_value = pb.KeyValue.FromString(encoded)
    return decode(key_value.key), key_value.value


def _render_array(encoded: bytes, depth: int) -> str:
    if depth > MAX_NESTING:
        return f"[{ELLIPSIS}]"
    values = pb.ArrayValue.FromString(encoded).values
    return f"[{_joined([render_value(value, depth) for value in values[:MAX_ITEMS]])}]"


def _render_key_values(encoded: bytes, depth: int) -> str:
    if depth > MAX_NESTING:
        return f"{{{ELLIPSIS}}}"
    pairs = map(read_key_value, pb.KeyValueList.FromString(encoded).values[:MAX_ITEMS])
    return f"{{{_joined(sorted(f'{key}={render_value(value, depth)}' for key, value in pairs))}}}"


def _joined(words: Sequence[str]) -> str:
    text = ", ".join(words)
    return text if len(text) <= MAX_CHARACTERS else text[:MAX_CHARACTERS] + ELLIPSIS
