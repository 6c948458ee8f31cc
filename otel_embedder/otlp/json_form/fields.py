"""OTLP's messages encoded from parsed JSON, by a table of their fields.

Protobuf's own reader of JSON overlooks a word that it does not know, and refuses
a string that is not UTF-8. Here what has a certain meaning is read however it is
spelt, what has none is an error that names the field, and the bytes of a string
are those that it came with. A key that no field has is passed over, as OTLP asks.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
import struct
from functools import cache, cached_property
from typing import TYPE_CHECKING

from google.protobuf.descriptor import FieldDescriptor as Fd
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from otel_embedder.errors import FieldError
from otel_embedder.otlp.wire import length_prefix

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from collections.abc import Set as AbstractSet

    from google.protobuf.descriptor import Descriptor, EnumDescriptor

    Encode = Callable[[object], bytes]

VARINT, FIXED_64, LENGTH_DELIMITED, FIXED_32 = 0, 1, 2, 5  # protobuf's wire types
MAX_SHOWN = 40  # characters of a value in an error

# OTLP/JSON writes these in hex, unlike every other bytes field: each with its size in bytes.
# Source: the OTLP specification, "JSON Protobuf Encoding".
ID_BYTES = {"trace_id": 16, "span_id": 8, "parent_span_id": 8}
HEX = re.compile(r"(?:0[xX])?((?:[0-9a-fA-F]{2})*)")
# What protobuf's own writers of JSON make of an id, 16 or 8 bytes: hex it can't be.
BASE64_ID = re.compile(r"[A-Za-z0-9+/_-]{22}==|[A-Za-z0-9+/_-]{11}=")

WHOLE_NUMBER = re.compile(r"-?[0-9]{1,40}")
MAX_UINT32 = 2**32 - 1
INTEGERS = {
    Fd.TYPE_INT32: range(-(2**31), 2**31),
    Fd.TYPE_INT64: range(-(2**63), 2**63),
    Fd.TYPE_UINT32: range(2**32),
    Fd.TYPE_UINT64: range(2**64),
    Fd.TYPE_FIXED32: range(2**32),
    Fd.TYPE_FIXED64: range(2**64),
    Fd.TYPE_SFIXED64: range(-(2**63), 2**63),
}
FIXED = {
    Fd.TYPE_FIXED32: struct.Struct("<I").pack,
    Fd.TYPE_FIXED64: struct.Struct("<Q").pack,
    Fd.TYPE_SFIXED64: struct.Struct("<q").pack,
}
WIRE_TYPES = {
    Fd.TYPE_DOUBLE: FIXED_64,
    Fd.TYPE_FIXED64: FIXED_64,
    Fd.TYPE_SFIXED64: FIXED_64,
    Fd.TYPE_FIXED32: FIXED_32,
    Fd.TYPE_STRING: LENGTH_DELIMITED,
    Fd.TYPE_BYTES: LENGTH_DELIMITED,
    Fd.TYPE_MESSAGE: LENGTH_DELIMITED,
}
pack_double = struct.Struct("<d").pack

# Names that fields had before: Collectors of before 2022 write them.
FORMER_NAMES = {"instrumentation_library": "scope"}

# Halves of a surrogate pair; the others stand for bytes that are not UTF-8 (surrogateescape).
LONE_SURROGATE = re.compile("[\ud800-\udc7f\udd00-\udfff]")


def utf8(text: str) -> bytes:
    """Give a string of JSON as UTF-8, as far as it is: other bytes as they came.

    Half of a surrogate pair, which an emoji that was cut in two leaves, becomes the
    replacement character.
    """
    try:
        return text.encode()
    except UnicodeEncodeError:
        return LONE_SURROGATE.sub("\ufffd", text).encode(errors="surrogateescape")


def plain_name(key: str) -> str:
    """Give a key without what spellings differ in."""
    return key.replace("_", "").replace("-", "").lower()


def shown(value: object) -> str:
    """Give a value as an error shows it."""
    match value:
        case dict():
            return "an object"
        case list():
            return "a list"
        case None | bool():
            return {None: "null", True: "true", False: "false"}[value]
        case str():
            words = ascii(value[:MAX_SHOWN])[1:-1]
            return f'"{words}..."' if len(value) > MAX_SHOWN else f'"{words}"'
        case _:
            words = f"{value}"[: MAX_SHOWN + 1]
            return f"{words[:MAX_SHOWN]}..." if len(words) > MAX_SHOWN else words


def wanted(value: object, what: str) -> FieldError:
    """Give the error that another value is wanted."""
    return FieldError(f"is {shown(value)}, not {what}")


class MessageFields:
    """The fields of one kind of message, by every name that they have."""

    def __init__(self, kind: Descriptor) -> None:
        self._kind = kind
        self._is_choice = bool(kind.oneofs)

    @cached_property
    def _fields(self) -> dict[str, Encode]:
        # Made when it is first used, for messages hold one another.
        return {field.json_name: field_encoder(field) for field in self._kind.fields}

    @cached_property
    def _names(self) -> Mapping[str, str]:
        """The names of JSON, by their plain ones."""
        names = {plain_name(field.name): field.json_name for field in self._kind.fields}
        former = {plain_name(old): new for old, new in FORMER_NAMES.items() if new in self._fields}
        return {**former, **names}

    def knows(self, keys: AbstractSet[str]) -> bool:
        """Tell whether all keys are names of fields, spelt as they usually are."""
        return self._fields.keys() >= keys

    def encode(self, value: object) -> bytes:
        """Give a parsed object as this message, encoded.

        Raises:
            FieldError: a field in it holds what it can't.

        """
        if not isinstance(value, dict):
            raise wanted(value, self._example(value))
        pieces: list[bytes] = []
        fields, known = self._fields, 0
        if not fields.keys() >= value.keys():
            fields = self._spelt_otherwise(value)
        for key, each in value.items():
            encode = fields.get(key)
            if encode is None or each is None:
                continue
            known += 1
            try:
                pieces.append(encode(each))
            except FieldError as error:
                raise error.within(key) from error
        if self._is_choice and known != 1:
            self._check_choice(value, known)
        return b"".join(pieces)

    def _spelt_otherwise(self, value: Mapping[str, object]) -> dict[str, Encode]:
        """Give what encodes the fields of an object that has other keys than the usual."""
        found: dict[str, str] = {}
        for key in value:
            name = key if key in self._fields else self._names.get(plain_name(key))
            if name in found:
                raise FieldError(f"is the same field as {shown(found[name])}", key)
            if name is not None:
                found[name] = key
        return {key: self._fields[name] for name, key in found.items()}

    def _check_choice(self, value: Mapping[str, object], known: int) -> None:
        names = " or ".join(sorted(name for name in self._names.values() if "Strindex" not in name))
        if known > 1:
            raise FieldError(f"has {known} of {names}, and can have one")
        if any(each is not None for each in value.values()):
            raise FieldError(f"has only {shown(next(iter(value)))}, and none of {names}")

    def _example(self, value: object) -> str:
        match value:
            case str() if self._kind is AnyValue.DESCRIPTOR:
                return f'an object such as {{"stringValue": {shown(value)}}}'
            case bool() if self._kind is AnyValue.DESCRIPTOR:
                return f'an object such as {{"boolValue": {shown(value)}}}'
            case int() | float() if self._kind is AnyValue.DESCRIPTOR:
                return f'an object such as {{"doubleValue": {shown(value)}}}'
            case _:
                return "an object"


@cache
def message_fields(kind: Descriptor) -> MessageFields:
    """Give the fields of a kind of message."""
    return MessageFields(kind)


def field_encoder(field: Fd) -> Encode:
    """Give what encodes a field of its value, which is not None."""
    tag = varint(field.number << 3 | WIRE_TYPES.get(field.type, VARINT))
    encode = _value_encoder(field)
    if WIRE_TYPES.get(field.type) == LENGTH_DELIMITED:
        one = _with_length(tag, encode)
    else:

        def one(value: object) -> bytes:
            return tag + encode(value)

    return _each(one) if field.is_repeated else one


def _with_length(tag: bytes, encode: Encode) -> Encode:
    def one(value: object) -> bytes:
        encoded = encode(value)
        return length_prefix(tag, len(encoded)) + encoded

    return one


def _each(encode: Encode) -> Encode:
    def all_of(values: object) -> bytes:
        if not isinstance(values, list):
            raise wanted(values, "a list")
        pieces = []
        for number, value in enumerate(values):
            try:
                pieces.append(encode(value))
            except FieldError as error:
                raise error.within(_place(number, value)) from error
        return b"".join(pieces)

    return all_of


def _place(number: int, value: object) -> str:
    """Name an element of a list: by its key, if it has one."""
    key = value.get("key") if isinstance(value, dict) else None
    return f"[{shown(key)}]" if isinstance(key, str) else f"[{number}]"


def _value_encoder(field: Fd) -> Encode:
    if field.message_type:
        return message_fields(field.message_type).encode
    if field.enum_type:
        return _enum_encoder(field.enum_type)
    if field.type == Fd.TYPE_BYTES and field.name in ID_BYTES:
        return _id_encoder(ID_BYTES[field.name])
    if field.type in INTEGERS:
        return _integer_encoder(field.type)
    return {
        Fd.TYPE_STRING: _string,
        Fd.TYPE_BYTES: _binary,
        Fd.TYPE_BOOL: _boolean,
        Fd.TYPE_DOUBLE: _double,
    }[field.type]


def varint(number: int) -> bytes:
    """Encode a number; one below 0 as two's complement of 64 bits."""
    digits = bytearray()
    number &= 2**64 - 1
    while number > 127:  # noqa: PLR2004 - seven bits a byte
        digits.append(number & 127 | 128)
        number >>= 7
    digits.append(number)
    return bytes(digits)


def _string(value: object) -> bytes:
    if not isinstance(value, str):
        raise wanted(value, "a string")
    return utf8(value)


def _binary(value: object) -> bytes:
    if isinstance(value, str):
        digits = value.replace("-", "+").replace("_", "/").rstrip("=")
        try:
            return base64.b64decode(digits + "=" * (-len(digits) % 4), validate=True)
        except (binascii.Error, ValueError):
            pass
    raise wanted(value, "base64")


def _boolean(value: object) -> bytes:
    if isinstance(value, str) and value.lower() in {"true", "false"}:
        value = value.lower() == "true"
    if not isinstance(value, bool):
        raise wanted(value, "true or false")
    return b"\1" if value else b"\0"


def _double(value: object) -> bytes:
    number = _number(value)
    # JSON has neither: as a string, "NaN", they are what protobuf writes.
    if number is None or (not math.isfinite(number) and not _is_word(value)):
        raise wanted(value, "a number")
    return pack_double(number)


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def _is_word(value: object) -> bool:
    return isinstance(value, str) and value.strip("+-")[:1] in {"N", "n", "I", "i"}


def integer(value: object) -> int | None:
    """Give the whole number that a value of JSON is, None if it is none."""
    if isinstance(value, str) and not WHOLE_NUMBER.fullmatch(value):
        value = _number(value)
    match value:
        case bool():
            return None
        case int():
            return value
        case str():
            return int(value)
        case float() if value.is_integer():
            return int(value)
        # A 64-bit integer as protobuf.js has it.
        case {"low": int(low), "high": int(high)}:
            return (high << 32) + (low & MAX_UINT32)
        case _:
            return None


def _integer_encoder(type_: int) -> Encode:
    allowed = INTEGERS[type_]
    write = FIXED.get(type_, varint)

    def encode(value: object) -> bytes:
        number = integer(value)
        if number is None:
            raise wanted(value, "a whole number")
        if number not in allowed:
            bits = 64 if len(bin(allowed.stop)) > 40 else 32  # noqa: PLR2004 - either
            raise FieldError(
                f"is {shown(number)}, beyond {bits} bits: not from {allowed[0]} to {allowed[-1]}"
            )
        return write(number)

    return encode


def _id_encoder(size: int) -> Encode:
    def encode(value: object) -> bytes:
        if isinstance(value, str):
            if match := HEX.fullmatch(value):
                return bytes.fromhex(match[1])
            if BASE64_ID.fullmatch(value):
                return _binary(value)
        raise wanted(value, f"{2 * size} hex digits")

    return encode


def _enum_encoder(kind: EnumDescriptor) -> Encode:
    names = [value.name for value in kind.values]
    # STATUS_CODE_ of STATUS_CODE_ERROR: the names of an enum's values all begin so.
    prefix = names[0].removesuffix(names[0].split("_")[-1])
    numbers = {value.name.removeprefix(prefix): value.number for value in kind.values}

    def encode(value: object) -> bytes:
        number = integer(value)
        if number is None and isinstance(value, str):
            word = value.strip().upper().rpartition(".")[2].replace("-", "_").replace(" ", "_")
            number = numbers.get(word.removeprefix(prefix))
        if number is None or number not in INTEGERS[Fd.TYPE_INT32]:
            raise wanted(value, f"one of {', '.join(names)}, or its number")
        return varint(number)

    return encode


KEY_VALUE = message_fields(KeyValue.DESCRIPTOR)
