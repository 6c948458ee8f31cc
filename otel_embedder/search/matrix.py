"""Vectors in memory, each number in 16 bits: half the bytes, read in half the time.

To compare a question with all vectors is to read them. As whole numbers, and with a scale for each
vector, a cosine is off by some millionths; `error` bounds it. So the few that can be among the best
are found here, and put in order by the vectors as they were computed.
"""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from otel_embedder.search.store import check_of_one_length

if TYPE_CHECKING:
    from otel_embedder.embedder.embedding import Vector
    from otel_embedder.search.ranking import Flags, Integers

Floats32 = npt.NDArray[np.float32]

# Of vectors: a new block needs no copy of the old ones.
BLOCK = 65_536
# Where fewer than this share of texts pass a filter, theirs alone are multiplied.
FEW = 0.1
# Numbers that become floats at a time: these stay in the processor's cache, and BLAS takes one
# thread for as few.
PIECE_NUMBERS = 384 * 1024
GREATEST = 32_767  # in 16 bits
# What one step in 32 bits may be off, as a share of what came of it.
ROUNDING = 2.0**-24


class _Block(NamedTuple):
    """Some vectors: their numbers, and what each one's are to be multiplied by."""

    numbers: npt.NDArray[np.int16]
    scales: Floats32

    @classmethod
    def of(cls, dimension: int) -> _Block:
        return cls(np.zeros((BLOCK, dimension), np.int16), np.zeros(BLOCK, np.float32))

    def put(self, places: slice | Integers, vectors: Floats32, scales: Floats32) -> None:
        """Set the vectors at these places; one that is damaged is near to nothing."""
        with np.errstate(divide="ignore", invalid="ignore"):
            rounded = np.divide(vectors, scales[:, None])
            self.numbers[places] = np.rint(rounded, out=rounded)
        self.scales[places] = scales

    def products(self, places: Integers, vector: Vector) -> Floats32:
        """Multiply the vectors at these places, which are sorted, in whichever way is quickest."""
        chosen = run_of(places)
        if isinstance(chosen, slice) or len(places) < FEW * BLOCK:
            return _products(self.numbers[chosen], vector) * self.scales[chosen]
        return _products(self.numbers, vector)[places] * self.scales[places]


class Matrix:
    """Vectors by position, zeros where there is none. Several threads may set some.

    Attributes:
        is_set: whether there is one, by position; there may be more positions than vectors.

    """

    def __init__(self) -> None:
        """Begin with none."""
        self.is_set: Flags = np.zeros(0, np.bool_)
        self._lock = Lock()
        self._blocks: list[_Block] = []
        self._greatest_scale = 0.0

    def put(self, positions: Integers, vectors: Floats32) -> None:
        """Set the vectors at these positions, each of which is there once.

        Raises:
            StoreError: they are not as long as those that are there.

        """
        if not len(positions):
            return
        if (np.diff(positions) < 0).any():
            order = np.argsort(positions)
            positions, vectors = positions[order], vectors[order]
        scales = _scales(vectors)
        with self._lock:
            self._make_room(int(positions[-1]) // BLOCK + 1, vectors.shape[1])
            self._greatest_scale = max(self._greatest_scale, float(scales.max()))
            self.is_set[positions] = True
        bounds = np.searchsorted(positions, np.arange(len(self._blocks) + 1) * BLOCK)
        for block, start, end in zip(self._blocks, bounds, bounds[1:], strict=False):
            if start < end:
                places = run_of(positions[start:end] % BLOCK)
                block.put(places, vectors[start:end], scales[start:end])

    def _make_room(self, blocks: int, dimension: int) -> None:
        check_of_one_length([dimension, *(block.numbers.shape[1] for block in self._blocks)])
        while len(self._blocks) < blocks:
            self._blocks.append(_Block.of(dimension))
            self.is_set = np.append(self.is_set, np.zeros(BLOCK, np.bool_))

    def cosines(self, vector: Vector, positions: Integers) -> Floats32:
        """Give about the product with each of the vectors at these positions, which are sorted."""
        found = np.zeros(len(positions), np.float32)
        bounds = np.searchsorted(positions, np.arange(len(self._blocks) + 1) * BLOCK)
        for block, start, end in zip(self._blocks, bounds, bounds[1:], strict=False):
            if start < end:
                found[start:end] = block.products(positions[start:end] % BLOCK, vector)
        return found

    def error(self, vector: Vector) -> float:
        """Give how far one of `cosines` may be from a product of the vectors as they were computed.

        Half a step of each number; and what adding up in 32 bits is off, in whichever order BLAS
        does it: a step for each number, here and there, and three for the scale.
        """
        size = float(np.abs(vector).sum())
        steps = 2 * len(vector) + 3
        return size * self._greatest_scale * (0.5 + GREATEST * steps * ROUNDING)

    def vectors(self, positions: Integers) -> Floats32:
        """Give about the vectors at these positions; shape (n, dimension)."""
        blocks = [self._blocks[position // BLOCK] for position in positions.tolist()]
        places = (positions % BLOCK).tolist()
        rows = [
            block.numbers[place] * block.scales[place]
            for block, place in zip(blocks, places, strict=True)
        ]
        return np.stack(rows)


def run_of(positions: Integers) -> slice | Integers:
    """Give sorted positions as a slice, which needs no copy, if none in between is missing."""
    if not len(positions):
        return slice(0, 0)
    first, last = int(positions[0]), int(positions[-1])
    return slice(first, last + 1) if last - first + 1 == len(positions) else positions


def _scales(vectors: Floats32) -> Floats32:
    """Give what each vector's whole numbers are to be multiplied by; 0 where one is damaged."""
    greatest = np.abs(vectors).max(axis=1)
    greatest[~np.isfinite(greatest)] = 0
    scales: Floats32 = np.divide(greatest, GREATEST, dtype=np.float32)
    return scales


def _products(numbers: npt.NDArray[np.int16], vector: Vector) -> Floats32:
    """Multiply vectors of whole numbers with one of floats, some at a time."""
    products = np.empty(len(numbers), np.float32)
    length = max(1, PIECE_NUMBERS // max(1, numbers.shape[1]))
    piece = np.empty((length, numbers.shape[1]), np.float32)
    for start in range(0, len(numbers), length):
        some = numbers[start : start + length]
        floats = piece[: len(some)]
        np.copyto(floats, some)
        np.dot(floats, vector, out=products[start : start + length])
    return products
