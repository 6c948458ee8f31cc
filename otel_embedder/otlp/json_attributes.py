"""Attributes as OTLP/JSON: what `annotate` writes as protobuf."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

from otel_embedder.otlp.attributes import Syntax, packed

if TYPE_CHECKING:
    from otel_embedder.embedder.embedding import Vector


def _attribute(key: bytes, value: list[bytes]) -> bytes:
    return b"".join((b'{"key":', _quoted(key.decode()), b',"value":', *value, b"}"))


def _string(value: str) -> list[bytes]:
    return [b'{"stringValue":', _quoted(value), b"}"]


def _quoted(value: str) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def _array(vector: Vector) -> list[bytes]:
    # To write each number by itself, as json.dumps would, takes twice the time.
    doubles = '},{"doubleValue":'.join(map(repr, vector.tolist()))
    return [b'{"arrayValue":{"values":[{"doubleValue":', doubles.encode(), b"}]}}"]


def _bytes(vector: Vector) -> list[bytes]:
    return [b'{"bytesValue":"', base64.b64encode(packed(vector)), b'"}']


def _base64(vector: Vector) -> list[bytes]:
    return [b'{"stringValue":"', base64.b64encode(packed(vector)), b'"}']


JSON = Syntax(
    {"array": _array, "bytes": _bytes, "base64": _base64},
    _string,
    _attribute,
    separator=b",",
    array_bytes=14_000,
)
