"""Minutes become hours, and hours days: what a store does with counts as they grow old.

Each writer's counts of a minute, an hour or a day are a cell. A cell counts by itself, or is the
*made* sum of finer ones that are still kept: then it is good as long as none of these changed
after it was made, which their change numbers tell. When the finer ones grow too old they go, and
the coarser cell counts by itself; what still comes for that time is added to it.

So at any moment each span is in exactly one of the cells that count by themselves.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple, Protocol

from otel_embedder.search.counts import Counts
from otel_embedder.search.times import DAY, HOUR, MINUTE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from otel_embedder.search.counts import Integers
    from otel_embedder.search.times import Kept

FINER = {DAY: HOUR, HOUR: MINUTE}


class Head(NamedTuple):
    """What a cell is known by.

    Attributes:
        writer: whose counts it has; a number of the store's.
        level: MINUTE, HOUR or DAY.
        start: seconds since 1970, a multiple of its level.
        changed: the number of the change that it has last; of a made cell, of what it is made of.
        made: whether it is the sum of finer ones that are still kept.

    """

    writer: int
    level: int
    start: int
    changed: int
    made: bool


class Cells(Protocol):
    """Where cells are kept."""

    def head(self, writer: int, level: int, start: int) -> Head | None:
        """Give the head of a cell, if there is one."""
        ...

    def heads(self, *, since: int, until: int, writer: int | None = None) -> list[Head]:
        """Give the heads of all cells that start in this time, of one writer or all."""
        ...

    def all(self) -> list[Head]:
        """Give the heads of all cells."""
        ...

    def get(self, head: Head) -> Counts:
        """Give what a cell counted."""
        ...

    def put(self, head: Head, counts: Counts) -> None:
        """Set a cell."""
        ...

    def delete(self, heads: Iterable[Head]) -> None:
        """Take cells out."""
        ...


class Group(NamedTuple):
    """Cells that are to be read as one bucket."""

    start: int
    seconds: int
    heads: list[Head]


def begin(time: int, level: int) -> int:
    """Give when the minute, hour or day begins that a time is in."""
    return time - time % level


def add(cells: Cells, writer: int, minute: int, counts: Counts, *, changed: int) -> None:
    """Add what a writer counted in a minute, where that time counts."""
    known = _counting(cells, writer, minute)
    if known is None:
        cells.put(Head(writer, MINUTE, minute, changed, made=False), counts)
    else:
        total = Counts.sum((cells.get(known), counts))
        cells.put(known._replace(changed=changed), total)


def take_out(cells: Cells, gone: Mapping[str, Integers]) -> None:
    """Take what speaks of these numbers out of all cells, by the words of `counts.KEYS`."""
    for head in cells.all():
        counts = cells.get(head)
        rest = counts.without(gone)
        if rest is not counts:
            cells.put(head, rest)


def _counting(cells: Cells, writer: int, minute: int) -> Head | None:
    """Give the cell that counts a minute's spans by itself, if there is one already."""
    heads = (cells.head(writer, level, begin(minute, level)) for level in (DAY, HOUR, MINUTE))
    return next((head for head in heads if head is not None and not head.made), None)


def groups(
    cells: Cells, *, since: int, until: int, finest: int, writer: int | None = None
) -> list[Group]:
    """Give what is to be read of a time, by time: all that was counted in it, nothing twice."""
    whole = cells.heads(since=begin(since, DAY), until=begin(until - 1, DAY) + DAY, writer=writer)
    days: list[Group] = []
    for start, heads in _by_start(whole, DAY):
        days.extend(_cut(start, _chosen(heads, DAY, finest), DAY, finest))
    return [group for group in days if group.start < until and group.start + group.seconds > since]


def _by_start(heads: Iterable[Head], level: int) -> Iterator[tuple[int, list[Head]]]:
    def start(head: Head) -> int:
        return begin(head.start, level)

    return ((key, list(group)) for key, group in groupby(sorted(heads, key=start), key=start))


def _by_writer(heads: Iterable[Head]) -> Iterator[list[Head]]:
    def writer(head: Head) -> int:
        return head.writer

    return (list(group) for _, group in groupby(sorted(heads, key=writer), key=writer))


def _chosen(heads: Iterable[Head], level: int, finest: int) -> list[Head]:
    """Choose, of the cells of a day, hour or minute, those that have all of it once."""
    return [head for of_one in _by_writer(heads) for head in _chosen_of_one(of_one, level, finest)]


def _chosen_of_one(heads: list[Head], level: int, finest: int) -> list[Head]:
    coarse, finer = _split(heads, level)
    if coarse is not None and (not coarse.made or (level <= finest and _is_good(coarse, finer))):
        return [coarse]
    return [
        head
        for _, part in _by_start(finer, FINER[level])
        for head in _chosen_of_one(part, FINER[level], finest)
    ]


def _split(heads: Iterable[Head], level: int) -> tuple[Head | None, list[Head]]:
    coarse = None
    finer = []
    for head in heads:
        if head.level == level:
            coarse = head
        else:
            finer.append(head)
    return coarse, finer


def _is_good(coarse: Head, finer: Iterable[Head]) -> bool:
    return coarse.changed >= max((head.changed for head in finer), default=0)


def _cut(start: int, heads: list[Head], level: int, finest: int) -> Iterator[Group]:
    """Make groups that don't overlap: where one writer has an hour, others' minutes join it."""
    if level <= finest or any(head.level == level for head in heads):
        yield Group(start, level, heads)
        return
    for part, of_part in _by_start(heads, FINER[level]):
        yield from _cut(part, of_part, FINER[level], finest)


def due(heads: Sequence[Head], kept: Kept, *, now: int) -> list[Head]:
    """Give the hours, and then the days, that `settle` has something to do with."""
    return [
        coarse
        for level in (HOUR, DAY)
        for start, of_start in _by_start(heads, level)
        if start + level <= now
        for of_one in _by_writer(of_start)
        if (coarse := _due(of_one, level, start, kept, now)) is not None
    ]


def _due(heads: list[Head], level: int, start: int, kept: Kept, now: int) -> Head | None:
    coarse, finer = _split((head for head in heads if head.level <= level), level)
    if not finer:
        return None
    if coarse is not None and _is_good(coarse, finer) and not _is_old(level, start, kept, now):
        return None
    return coarse or Head(finer[0].writer, level, start, 0, made=True)


def _is_old(level: int, start: int, kept: Kept, now: int) -> bool:
    return start + level <= now - (kept.minutes if level == HOUR else kept.hours)


def settle(cells: Cells, due: Head, kept: Kept, *, now: int) -> None:
    """Make an hour or a day of what is finer, and let that go if it is too old."""
    level, start = due.level, due.start
    heads = cells.heads(since=start, until=start + level, writer=due.writer)
    coarse, finer = _split((head for head in heads if head.level <= level), level)
    if not finer:
        return
    if coarse is not None and _is_good(coarse, finer):
        counts = cells.get(coarse)
    else:
        counts = Counts.sum(cells.get(head) for head in _parts(finer, level))
    is_old = _is_old(level, start, kept, now)
    changed = max(head.changed for head in (*finer, *([coarse] if coarse else [])))
    cells.put(Head(due.writer, level, start, changed, made=not is_old), counts)
    if is_old:
        cells.delete(finer)


def _parts(finer: list[Head], level: int) -> Iterator[Head]:
    for _, part in _by_start(finer, FINER[level]):
        yield from _chosen_of_one(part, FINER[level], FINER[level])


def outlived(heads: Iterable[Head], kept: Kept, *, now: int) -> list[Head]:
    """Give the cells of the days that are past keeping."""
    return [head for head in heads if begin(head.start, DAY) + DAY <= now - kept.all]
