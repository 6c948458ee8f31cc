"""What stands in for a vector that no model could make.

A stand-in is noise seeded by a trace id, or by a text of which the model knows no word.
It means nothing, and carries its own model name so that no search takes it for meaning.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

from otel_embedder.embedder.embedding import Embedding

if TYPE_CHECKING:
    from otel_embedder.embedder.embedding import Vector

STAND_IN_MODEL = "fallback-sha256"
DIGEST_VALUES = hashlib.sha256().digest_size // 4


def stand_in(seed: str, dimension: int) -> Embedding:
    """Give the deterministic stand-in of a seed: shape (dimension,), mean 0, unit length."""
    return StandIn(seed, dimension)


class StandIn(Embedding):
    """The stand-in of a seed, whose vector is made when it is asked for, each time anew.

    One request may get as many as it has traces, and nobody knows yet whether there is
    memory for all of them.
    """

    __slots__ = ("_dimension", "_seed")

    _dimension: int
    _seed: str

    def __init__(self, seed: str, dimension: int) -> None:
        said = {"model": STAND_IN_MODEL, "source": "fallback", "text_id": None}
        for name, value in {**said, "_seed": seed, "_dimension": dimension}.items():
            object.__setattr__(self, name, value)  # an embedding is frozen

    @property
    def vector(self) -> Vector:
        """The vector: noise.

        SHA-256 of the seed and a counter gives as many values as are wanted.
        Stretching one digest instead repeats it, and makes any two stand-ins alike.
        """
        seed = self._seed.encode("utf-8", "replace")
        blocks = range(-(-self._dimension // DIGEST_VALUES))
        digests = b"".join(hashlib.sha256(seed + block.to_bytes(4)).digest() for block in blocks)
        values = np.frombuffer(digests, dtype=">u4")[: self._dimension].astype(np.float64)
        values -= values.mean()
        return (values / np.linalg.norm(values)).astype(np.float32)
