"""Texts as points in a plane: the two directions in which they differ most (PCA).

The directions are found once and kept, so that a point stays where it is and new ones
find their place among them. Only while there were few to find them of are they found anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from otel_embedder.search.asking.answers import Points
from otel_embedder.search.times import NANOSECONDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_embedder.search.asking.browsing import MapQuery
    from otel_embedder.search.asking.held import Held
    from otel_embedder.search.ranking import Floats, Integers

Matrix = npt.NDArray[np.float32]

# Of so many texts the directions hardly change any more.
ENOUGH = 2_000
# With fewer, they are found anew when there are so many times as many.
GROWN = 4
# More only take longer.
MOST_SAMPLED = 20_000
DIGITS = 4


class Axes(NamedTuple):
    """The directions.

    Attributes:
        number: 1 for the first that were found, 2 for the next.
        texts: of how many they were found.
        directions: shape (2, dimension).
        middle: the place of the middle of these texts on each, shape (2,).

    """

    number: int
    texts: int
    directions: Matrix
    middle: Floats


class Plane:
    """Puts texts into a plane. Not safe to use from several threads at once."""

    def __init__(self) -> None:
        self._axes: Axes | None = None

    def points(self, held: Held, positions: Integers, query: MapQuery) -> Points:
        """Give the points of texts that can be compared, as many as are asked for.

        Args:
            held: holds the texts.
            positions: of those that pass.
            query: how many to give.

        """
        if not len(positions):
            return Points.none(0 if self._axes is None else self._axes.number, held.changed)
        axes, total = self._found(held), len(positions)
        if len(positions) > query.count:
            last_seen = held.column("last_seen", positions)
            latest = np.argpartition(last_seen, -query.count)[-query.count :]
            positions = positions[np.sort(latest)]
        places = [
            np.round(held.cosines(direction, positions) - middle, DIGITS)
            for direction, middle in zip(axes.directions, axes.middle, strict=True)
        ]
        return _points(held, positions, places, axes=axes.number, total=total)

    def _found(self, held: Held) -> Axes:
        axes, texts = self._axes, held.comparable()
        is_old = axes is not None and axes.texts < ENOUGH and len(texts) >= GROWN * axes.texts
        if axes is None or is_old:
            number = 1 if axes is None else axes.number + 1
            step = -(-len(texts) // MOST_SAMPLED)
            axes = self._axes = _axes(held.vectors(texts[::step]), number, len(texts))
        return axes


def _axes(vectors: Matrix, number: int, texts: int) -> Axes:
    mean = vectors.mean(axis=0)
    centred = vectors - mean
    _, found = np.linalg.eigh(centred.T @ centred)
    directions = np.ascontiguousarray(found[:, -1:-3:-1].T)
    # Either sign would do: always the same one does, so that a map is not mirrored.
    greatest = np.abs(directions).argmax(axis=1)
    directions *= np.sign(directions[np.arange(len(directions)), greatest])[:, None]
    return Axes(number, texts, directions.astype(np.float32), directions @ mean)


def _points(
    held: Held, positions: Integers, places: Sequence[Floats], *, axes: int, total: int
) -> Points:
    x, y = (tuple(each.tolist()) for each in places)
    rows = [held.rows[row] for row in held.column("rows", positions).tolist()]
    services, service = _numbered([row.service for row in rows])
    operations, operation = _numbered([row.operation for row in rows])
    kinds, kind = _numbered([row.kind for row in rows])
    statuses, status = _numbered(
        [held.names[number] for number in held.column("statuses", positions).tolist()]
    )
    return Points(
        axes=axes,
        changed=held.changed,
        total=total,
        key=tuple(held.keys(positions).tolist()),
        x=x,
        y=y,
        service=service,
        operation=operation,
        kind=kind,
        status=status,
        first_seen=tuple((held.column("first_seen", positions) // NANOSECONDS).tolist()),
        last_seen=tuple((held.column("last_seen", positions) // NANOSECONDS).tolist()),
        services=services,
        operations=operations,
        kinds=kinds,
        statuses=statuses,
    )


def _numbered(values: Sequence[str]) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Give the distinct values, sorted, and for each value its place among them."""
    distinct = sorted({*values})
    places = {value: place for place, value in enumerate(distinct)}
    return tuple(distinct), tuple(places[value] for value in values)
