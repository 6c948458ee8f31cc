"""Two catalogues into one.

Who counted stays known: what a writer counted is in a catalogue once, however often
and by whatever ways it comes there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from otel_embedder.search.counts import KEYS, NOTHING
from otel_embedder.search.entries import SeenText
from otel_embedder.search.groups.kept import TakenGroup
from otel_embedder.search.store import Batch
from otel_embedder.search.times import END_OF_TIME, MINUTE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from otel_embedder.search.counts import Counts, Integers
    from otel_embedder.search.entries import Embedded, Entry, RowKey
    from otel_embedder.search.groups.kept import KeptGroup
    from otel_embedder.search.store import Store

# Brings texts alone, and is forgotten when they are there.
TEXTS_WRITER = "merging"
TEXTS_AT_ONCE = 2_000


class Merged(NamedTuple):
    """What was taken over.

    Attributes:
        texts: how many texts were read; those that were there already were joined.
        writers: whose counts were taken.
        known: whose counts were there already.

    """

    texts: int
    writers: int
    known: int


class Known(NamedTuple):
    """What counts speak of in a catalogue that is read, by its numbers."""

    rows: Mapping[int, RowKey]
    services: Mapping[int, str]
    groups: Mapping[int, KeptGroup]


def merge(source: Store, target: Store, *, advance: Callable[[float], None]) -> Merged:
    """Take what a catalogue holds over into another.

    Done again it changes nothing but for what has come since. Broken off it leaves out counts at
    most, which come when it is done again.

    Args:
        source: is only read.
        target: is written to.
        advance: is called with how many texts were taken, each time some were.

    Raises:
        StoreError: one can't be read, or the other not written.

    """
    texts = _take_texts(source, target, advance)
    _take_groups(source, target)
    writers = source.writers()
    # Read behind the writers: what their numbers speak of is there, and what has come since comes
    # with the next time.
    known = Known(
        source.rows(), source.services(), {each.number: each for each in source.groups.all()}
    )
    taken = [_take_counts(source, target, known, *each) for each in writers.items()]
    return Merged(texts, sum(taken), len(taken) - sum(taken))


def _take_texts(source: Store, target: Store, advance: Callable[[float], None]) -> int:
    keys = sorted(source.columns().keys.tolist())
    rows = source.rows()
    for start in range(0, len(keys), TEXTS_AT_ONCE):
        entries = source.entries(keys[start : start + TEXTS_AT_ONCE])
        numbers = sorted({entry.row for entry in entries})
        if not rows.keys() >= {*numbers}:
            rows = source.rows()  # some have come since
        places = {number: place for place, number in enumerate(numbers)}
        # With the model that made it: the entry's may be another by now.
        vectors = {
            each.words: each.embedded
            for each in source.with_vectors(entry.key for entry in entries)
        }
        texts = [_seen(entry, places[entry.row], vectors.get(entry.words)) for entry in entries]
        target.write(
            Batch(
                TEXTS_WRITER,
                number=target.last_number(TEXTS_WRITER) + 1,
                rows=[rows[number] for number in numbers],
                services=[],
                texts=texts,
                counts={},
            )
        )
        advance(len(entries))
    target.forget(TEXTS_WRITER)
    return len(keys)


def _take_groups(source: Store, target: Store) -> None:
    """Take groups of failures over, with what was decided about them."""
    groups = [TakenGroup(kept) for kept in source.groups.all()]
    if groups:
        number = target.last_number(TEXTS_WRITER) + 1
        target.write(Batch(TEXTS_WRITER, number, [], [], [], {}, groups=groups))
        target.forget(TEXTS_WRITER)


def _seen(entry: Entry, row: int, embedded: Embedded | None = None) -> SeenText:
    return SeenText(
        entry.words, entry.text_version, row, entry.status, entry.examples, embedded=embedded
    )


def _take_counts(source: Store, target: Store, spoken_of: Known, writer: str, number: int) -> bool:
    """Take what a writer counted; give whether there was more than is there already."""
    if target.last_number(writer) >= number:
        return False
    buckets = [*source.buckets(since=0, until=END_OF_TIME, finest=MINUTE, writer=writer)]
    rows, services, groups = spoken_of
    members = source.groups.members_of(writer)
    wanted = {key for each in buckets for key in _spoken_of(each.counts, "text").tolist()}
    entries = [entry for entry in source.entries(sorted(wanted)) if entry.row in rows]
    known = {
        "row": np.array(sorted(rows), np.int64),
        "service": np.array(sorted(services), np.int64),
        "text": np.array([entry.key for entry in entries], np.int64),
        "group": np.array(sorted(groups), np.int64),
    }
    places = {number: place for place, number in enumerate(known["row"].tolist())}
    batch = Batch(
        writer,
        number=number,
        rows=[rows[number] for number in known["row"].tolist()],
        services=[services[number] for number in known["service"].tolist()],
        texts=[_seen(entry, places[entry.row]) for entry in entries],
        counts={each.start: _in_places(each.counts, known) for each in buckets},
        groups=[TakenGroup(groups[each], members.get(each, ())) for each in sorted(groups)],
    )
    target.forget(writer)
    target.write(batch)
    return True


def _spoken_of(counts: Counts, kind: str) -> Integers:
    """Give the numbers of this kind that counts speak of."""
    columns = [
        column
        for name, table in counts.tables.items()
        for column, of_kind in zip(table.keys.T, KEYS[name], strict=True)
        if of_kind == kind
    ]
    return np.setdiff1d(np.concatenate([np.zeros(0, np.int64), *columns]), [NOTHING])


def _in_places(counts: Counts, known: Mapping[str, Integers]) -> Counts:
    """Give counts with places in sorted lists, each plus one, for the numbers in these."""
    spoken_of = {kind: _spoken_of(counts, kind) for kind in known}
    gone = {kind: np.setdiff1d(spoken_of[kind], numbers) for kind, numbers in known.items()}
    places = {kind: _places(numbers) for kind, numbers in known.items()}
    return counts.without(gone).numbered(places)


def _places(numbers: Integers) -> Integers:
    places = np.zeros(int(numbers.max(initial=0)) + 1, np.int64)
    places[numbers] = np.arange(1, len(numbers) + 1)
    return places
