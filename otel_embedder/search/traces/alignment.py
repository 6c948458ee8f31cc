"""Two traces side by side: which span of one is which of the other, and what sets them apart.

Children are put beside each other by what is counted together, in their order as far as that goes.
Two traces are no statistics: what is told here is what is different, not that it is news.
"""

from __future__ import annotations

from collections import defaultdict
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from otel_embedder.search.entries import RowKey
    from otel_embedder.search.traces.trees import Node

    Sides = tuple[RowKey, Node | None, Node | None]

Mark = Literal["missing", "added", "fails", "fails no more", "slower", "faster"]

# A span is slower by what it took itself: so many times as long, and so much longer.
LEAST_TIMES = 1.5
LEAST_MILLISECONDS = 1.0


class Pair(NamedTuple):
    """A span of one trace beside that of the other; one of them may be missing.

    Attributes:
        depth: under how many others it is.
        row: what it is counted as.
        first: in the first trace; None if it was added.
        second: in the second trace; None if it is missing there.

    """

    depth: int
    row: RowKey
    first: Node | None
    second: Node | None

    @property
    def marks(self) -> tuple[Mark, ...]:
        """What sets the second apart from the first."""
        if self.second is None:
            return ("missing",)
        if self.first is None:
            return ("added", "fails") if self.second.is_error else ("added",)
        return (*_failing(self.first, self.second), *_lasting(self.first, self.second))


def _failing(first: Node, second: Node) -> tuple[Mark, ...]:
    if first.is_error == second.is_error:
        return ()
    return ("fails",) if second.is_error else ("fails no more",)


def _lasting(first: Node, second: Node) -> tuple[Mark, ...]:
    one, other = first.self_milliseconds, second.self_milliseconds
    less, more = sorted((one, other))
    if more - less < LEAST_MILLISECONDS or more < LEAST_TIMES * less:
        return ()
    return ("slower",) if other > one else ("faster",)


def align(first: Sequence[Node], second: Sequence[Node]) -> Iterator[Pair]:
    """Give the spans of two traces side by side, each before those that it called.

    Args:
        first: the roots of one.
        second: the roots of the other.

    """
    waiting = [Pair(0, *sides) for sides in reversed(_beside(first, second))]
    while waiting:
        pair = waiting.pop()
        yield pair
        one, other = (side.children if side else () for side in (pair.first, pair.second))
        below = [Pair(pair.depth + 1, *sides) for sides in _beside(one, other)]
        waiting += reversed(below)


def _beside(first: Sequence[Node], second: Sequence[Node]) -> list[Sides]:
    """Put siblings beside each other; those that are in both in another order, too."""
    one, other = ([each.row for each in nodes] for nodes in (first, second))
    matcher = SequenceMatcher(None, one, other, autojunk=False)
    sides: list[Sides] = []
    for _, i, end_i, j, end_j in matcher.get_opcodes():
        if one[i:end_i] == other[j:end_j]:
            pairs = zip(first[i:end_i], second[j:end_j], strict=True)
            sides += [(each.row, each, same) for each, same in pairs]
        else:
            sides += [(each.row, each, None) for each in first[i:end_i]]
            sides += [(each.row, None, each) for each in second[j:end_j]]
    return _moved(sides)


def _moved(sides: Sequence[Sides]) -> list[Sides]:
    """Join what is missing here and added there, where the second has it."""
    left: dict[RowKey, list[Node]] = defaultdict(list)
    for row, one, other in sides:
        if one is not None and other is None:
            left[row].append(one)
    joined: list[Sides] = []
    taken: set[int] = set()
    for row, one, other in sides:
        if one is None and left[row]:
            found = left[row].pop(0)
            taken.add(id(found))
            joined.append((row, found, other))
        else:
            joined.append((row, one, other))
    return [each for each in joined if each[2] is not None or id(each[1]) not in taken]
