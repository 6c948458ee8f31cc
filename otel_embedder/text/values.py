"""OTLP's AnyValue as words, a level at a time, so that depth and size stay bounded."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING

from otel_embedder.otlp.reused import Reused
from otel_embedder.proto import otlp_wire_pb2 as pb
from otel_embedder.text.hiding.secrets import SECRET, SECRET_CHARACTERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from otel_embedder.text.hiding.secrets import Secrets

# A text has room for 256 word pieces: more of a value would not be read.
MAX_NESTING = 4
MAX_ITEMS = 64
MAX_CHARACTERS = 1_024
MAX_BYTES = 4 * MAX_CHARACTERS
ELLIPSIS = "..."

# Whether there is one may be known.
NOT_SECRET = {"", "null", "true", "false"}

_VALUES = Reused(pb.AnyValue)

# What says which one it is: {"name": "Authorization", "value": ...}.
NAMING_KEYS = ("name", "key")
VALUE_KEY = "value"
OPTION = re.compile(r"[\w.-]+")


def common_length(lengths: Iterable[int], room: int) -> int | None:
    """Give the length to cut the longest of some to, so that all have room; None if they have."""
    in_order = sorted(lengths)
    for number, length in enumerate(in_order):
        share = room // (len(in_order) - number)
        if length > share:
            return share
        room -= length
    return None


def decode(encoded: bytes, hide: Callable[[str], str]) -> str:
    """Give a string's characters on one line; what is not UTF-8 becomes a question mark.

    Args:
        encoded: the string.
        hide: puts a word for each secret in it, before any of it is cut.

    """
    characters = hide(encoded[:MAX_BYTES].decode(errors="replace"))
    if len(encoded) > MAX_BYTES:
        before, word, rest = characters.rpartition(SECRET)
        characters = before + word + rest[:-SECRET_CHARACTERS]
    return " ".join(characters.replace("\0", " ").split())


def render_value(encoded: bytes, secrets: Secrets, depth: int = 0) -> str:  # noqa: PLR0911 - one for each kind
    """Give an encoded AnyValue as words, of whatever kind it is, without secrets.

    Raises:
        google.protobuf.message.DecodeError: it is not an AnyValue.

    """
    value = pb.AnyValue.FromString(encoded)
    match value.WhichOneof("value"):
        case "string_value":
            return decode(value.string_value, secrets.hidden)
        case "bool_value":
            return "true" if value.bool_value else "false"
        case "int_value":
            return secrets.hidden(str(value.int_value))
        case "double_value":
            return f"{value.double_value:.6g}"
        case "bytes_value":
            return f"<{len(value.bytes_value)} bytes>"
        case "array_value":
            return _render_array(value.array_value, secrets, depth + 1)
        case "kvlist_value":
            return _render_key_values(value.kvlist_value, secrets, depth + 1)
        case _:
            return "null"


def is_plain(encoded: bytes) -> bool:
    """Tell whether an encoded AnyValue is one that has no others in it.

    Raises:
        google.protobuf.message.DecodeError: it is not an AnyValue.

    """
    value = _VALUES.read(encoded)
    return not (value.array_value or value.kvlist_value)


def render_named(key: str, encoded: bytes, secrets: Secrets, depth: int = 0) -> str:
    """Give the value of a key as words: one word, whatever it is, if the key names a secret.

    Raises:
        google.protobuf.message.DecodeError: it is not an AnyValue.

    """
    words = render_value(encoded, secrets, depth)
    return words if words in NOT_SECRET else secrets.shown(key, words)


def read_key_value(encoded: bytes, secrets: Secrets) -> tuple[str, bytes]:
    """Give an encoded KeyValue's key, and its value, still encoded.

    Raises:
        google.protobuf.message.DecodeError: it is not a KeyValue.

    """
    key_value = pb.KeyValue.FromString(encoded)
    return decode(key_value.key, secrets.hidden_key), key_value.value


def _render_array(encoded: bytes, secrets: Secrets, depth: int) -> str:
    if depth > MAX_NESTING:
        return f"[{ELLIPSIS}]"
    values = pb.ArrayValue.FromString(encoded).values[:MAX_ITEMS]
    words = [render_value(value, secrets, depth) for value in values]
    return f"[{_joined(_without_operands(words, secrets), secrets)}]"


def _without_operands(words: Sequence[str], secrets: Secrets) -> list[str]:
    """Hide what stands behind the name of a secret, as in ["--password", "x"]."""
    names = secrets.names_anywhere, secrets.names
    return [
        SECRET if OPTION.fullmatch(name) and names[name.startswith("-")](name) else word
        for name, word in pairwise(["", *words])
    ]


def _render_key_values(encoded: bytes, secrets: Secrets, depth: int) -> str:
    if depth > MAX_NESTING:
        return f"{{{ELLIPSIS}}}"
    values = pb.KeyValueList.FromString(encoded).values[:MAX_ITEMS]
    pairs = [read_key_value(value, secrets) for value in values]
    words = [(key, render_named(key, value, secrets, depth)) for key, value in pairs]
    if any(key in NAMING_KEYS and secrets.names(name) for key, name in words):
        words = [(key, SECRET if key == VALUE_KEY else word) for key, word in words]
    return f"{{{_joined(sorted(f'{key}={word}' for key, word in words), secrets)}}}"


def _joined(words: Sequence[str], secrets: Secrets) -> str:
    text = ", ".join(words)
    # A secret may be in pieces, such as the lines of a private key.
    hidden = secrets.hidden(text[: MAX_CHARACTERS + SECRET_CHARACTERS])
    return hidden if len(text) <= MAX_CHARACTERS else hidden[:MAX_CHARACTERS] + ELLIPSIS
