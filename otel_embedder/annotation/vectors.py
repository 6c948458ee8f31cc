"""A vector as an attribute's value, in any of the encodings, and back."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from otel_embedder.annotation.settings import Encoding
    from otel_embedder.embedder.embedding import Vector
    from otel_embedder.otlp.attributes import Syntax


def packed(vector: Vector) -> bytes:
    """Give a vector as bytes and base64 have it: float32, little-endian."""
    return vector.astype("<f4").tobytes()


def base64_of(vector: Vector) -> str:
    """Give a vector as base64."""
    return base64.b64encode(packed(vector)).decode()


ENCODERS: Mapping[Encoding, Callable[[Syntax, Vector], list[bytes]]] = {
    "array": lambda syntax, vector: syntax.doubles(vector),
    "bytes": lambda syntax, vector: syntax.binary(packed(vector)),
    "base64": lambda syntax, vector: syntax.string(base64_of(vector)),
}


def decode_vector(value: object) -> Vector:
    """Read a vector from an attribute's value: bytes, base64, or an array of doubles.

    Raises:
        ValueError: it holds no vector.

    """
    match value:
        case bytes():
            return np.frombuffer(value, "<f4")
        case str():
            return np.frombuffer(base64.b64decode(value, validate=True), "<f4")
        case np.ndarray():
            with np.errstate(over="ignore"):  # what is too large for float32 becomes infinite
                return value.astype(np.float32)
        case _:
            raise ValueError(f"a vector is not kept as {type(value).__name__}")
