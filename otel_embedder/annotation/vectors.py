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

# How far from 1 the length of a vector of ours may be, for what rounding does.
UNIT_TOLERANCE = 1e-3


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

    An array is numpy's if it comes from OTLP, and a tuple if it comes from OpenTelemetry's SDK.

    Raises:
        ValueError: it holds no vector.

    """
    match value:
        case bytes():
            return np.frombuffer(value, "<f4")
        case str():
            return np.frombuffer(base64.b64decode(value, validate=True), "<f4")
        case tuple() if not all(isinstance(each, float) for each in value):
            raise ValueError("a vector has no other numbers than doubles")
        case tuple() | np.ndarray():
            with np.errstate(over="ignore"):  # what is too large for float32 becomes infinite
                return np.asarray(value, np.float64).astype(np.float32)
        case _:
            raise ValueError(f"a vector is not kept as {type(value).__name__}")


def whole_vector(value: object, dimension: int | None) -> Vector | None:
    """Read a vector of ours from an attribute's value; None if that is damaged.

    Args:
        value: the value.
        dimension: how many numbers the vector has; None if that is not known.

    """
    try:
        vector = decode_vector(value)
    except ValueError:
        return None
    # All of ours are of unit length. What is not finite has no length, and what is cut a shorter.
    with np.errstate(over="ignore", invalid="ignore"):
        length = float(np.linalg.norm(vector))
    is_whole = dimension in {None, len(vector)} and abs(length - 1) < UNIT_TOLERANCE
    return vector if is_whole else None
