"""A catalogue that lives as long as its process."""

from __future__ import annotations

from dataclasses import replace
from itertools import takewhile
from threading import RLock
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np

from otel_embedder.search.counts import NOTHING, Counts, group_counts, with_nothing
from otel_embedder.search.entries import Embedded, Entry, RowKey, SeenText
from otel_embedder.search.ranking import stem_hashes
from otel_embedder.search.store import (
    MOST_GROUPS,
    Bucket,
    Columns,
    Stems,
    Vectors,
    WithVector,
    check_of_one_length,
)
from otel_embedder.search.stores import levels
from otel_embedder.search.stores.packing import pack, unpack
from otel_embedder.search.stores.sqlite_groups import GroupsInMemory
from otel_embedder.search.times import DAY, MINUTE, NANOSECONDS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from otel_embedder.embedder.embedding import Vector
    from otel_embedder.search.groups.kept import Came
    from otel_embedder.search.store import Batch
    from otel_embedder.search.stores.levels import Head
    from otel_embedder.search.times import Kept

ENTRIES_AT_ONCE = 2_000
Item = TypeVar("Item")


class MemoryStore:
    """Keeps a catalogue in memory; see `store.Store`."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._lock = RLock()
        self._last_change = 0
        self._generation = 0
        self._names = _Numbers[str]()
        self._writers = _Numbers[str]()
        self._rows = _Numbers[RowKey]()
        self._services = _Numbers[str]()
        self._texts = _Numbers[str]()
        # By key, in the order of their last changes.
        self._entries: dict[int, Entry] = {}
        self._vectors: dict[int, tuple[int, Embedded]] = {}
        self._written: dict[int, int] = {}  # number of the last batch by writer
        self._cells = _MemoryCells()
        self.groups = GroupsInMemory(self._lock, self._count_failures, self._writers.known)

    def _count_failures(self, writer: int, minute: int, traces: dict[int, int]) -> None:
        counts = group_counts(traces)
        levels.add(self._cells, writer, minute, counts, changed=self._next_change())

    def write(self, batch: Batch) -> list[Came]:
        """Take a batch; give the groups of failures that are new, or have come again."""
        with self._lock:
            writer = self._writers.number(batch.writer)
            if batch.number <= self._written.get(writer, 0):
                return []
            day = levels.begin(batch.latest, DAY)
            rows = with_nothing(self._rows.number(row, day) for row in batch.rows)
            services = with_nothing(self._services.number(each, day) for each in batch.services)
            texts = with_nothing(self._see(text, int(rows[text.row + 1])) for text in batch.texts)
            groups = with_nothing(self.groups.within.join(writer, batch.groups))
            numbers = {"row": rows, "service": services, "text": texts, "group": groups}
            for start, counts in batch.counts.items():
                changed = self._next_change()
                levels.add(self._cells, writer, start, counts.numbered(numbers), changed=changed)
            self._written[writer] = batch.number
            return self.groups.within.take(writer, batch.failures) if batch.failures else []

    def _next_change(self) -> int:
        self._last_change += 1
        return self._last_change

    def _see(self, text: SeenText, row: int) -> int:
        key = self._texts.number(text.words)
        known = self._entries.get(key)
        if known is None:
            self._put(Entry.of(text, key=key, row=row))
        else:
            self._put(known.seen_again(text, row=row))
        if text.embedded is not None and text.embedded.model != self._entries[key].model:
            self._embed(key, text.embedded)
        return key

    def _put(self, entry: Entry) -> None:
        self._entries.pop(entry.key, None)
        self._entries[entry.key] = replace(entry, changed=self._next_change())

    def _embed(self, key: int, embedded: Embedded) -> None:
        self._put(replace(self._entries[key], model=embedded.model))
        self._vectors.pop(key, None)
        vector = embedded.vector.astype(np.float32)
        self._vectors[key] = self._next_change(), Embedded(embedded.model, vector)

    def last_number(self, writer: str) -> int:
        """Give the number of the last batch of a writer."""
        with self._lock:
            number = self._writers.known(writer)
            return 0 if number is None else self._written.get(number, 0)

    def writers(self) -> Mapping[str, int]:
        """Give who counted, each with the number of the last batch."""
        with self._lock:
            names = self._writers.items
            return {name: self._written.get(number, 0) for number, name in names.items()}

    def forget(self, writer: str) -> None:
        """Take out what a writer counted, and its number."""
        with self._lock:
            number = self._writers.known(writer)
            if number is None:
                return
            self._cells.delete([head for head in self._cells.all() if head.writer == number])
            self._writers.remove([number])
            self._written.pop(number, None)
            self.groups.within.forget(number)
            self._generation += 1

    def put_vectors(self, vectors: Iterable[tuple[int, Embedded]], *, text_version: str) -> None:
        """Give entries a vector, and bring them to this text version."""
        given = list(vectors)
        with self._lock:
            for key, embedded in given:
                if key in self._entries:
                    self._put(self._entries[key].brought_to(text_version))
                    self._embed(key, embedded)

    def columns(self, *, after: int = 0) -> Columns:
        """Give the entries that changed after a change of this number."""
        with self._lock:
            newest_first = reversed(self._entries.values())
            entries = list(takewhile(lambda entry: entry.changed > after, newest_first))
            changed = entries[0].changed if entries else after
            numbers = np.array([self._in_numbers(each) for each in entries], np.int64)
            names = {0: "", **self._names.items}
            return Columns.of(numbers.reshape(-1, 8), changed=changed, names=names)

    def _in_numbers(self, entry: Entry) -> tuple[int, ...]:
        words = entry.status, entry.text_version, entry.model
        names = [self._names.number(word) if word else 0 for word in words]
        return entry.key, entry.row, entry.first_seen, entry.last_seen, entry.slowest, *names

    def entries(self, keys: Iterable[int]) -> list[Entry]:
        """Give these entries, in this order."""
        wanted = [int(key) for key in keys]
        with self._lock:
            return [self._entries[key] for key in wanted if key in self._entries]

    def stems(self, *, after: int = 0) -> Iterator[Stems]:
        """Give the words of the entries whose keys are above this one."""
        with self._lock:
            words = [(key, each.words) for key, each in self._entries.items() if key > after]
        words.sort()
        for start in range(0, len(words), ENTRIES_AT_ONCE):
            piece = words[start : start + ENTRIES_AT_ONCE]
            hashes = [stem_hashes(each) for _, each in piece]
            keys = np.array([key for key, _ in piece], np.int64)
            lengths = np.array([len(each) for each in hashes], np.int64)
            yield Stems(keys, lengths, np.concatenate(hashes))

    def with_trace(self, trace_id: bytes) -> list[int]:
        """Give the keys of the entries that have a span of this trace among their examples."""
        with self._lock:
            return [
                key
                for key, entry in self._entries.items()
                if any(each.trace_id == trace_id for each in entry.examples.all())
            ]

    def vectors(self, model: str, *, after: int = 0) -> Iterator[Vectors]:
        """Give the vectors of a model that changed after a change of this number."""
        with self._lock:
            newest_first = reversed(self._vectors.items())
            found = [
                (changed, key, embedded.vector)
                for key, (changed, embedded) in takewhile(lambda kv: kv[1][0] > after, newest_first)
                if embedded.model == model
            ]
        found.reverse()
        for start in range(0, len(found), ENTRIES_AT_ONCE):
            changes, keys, vectors = zip(*found[start : start + ENTRIES_AT_ONCE], strict=True)
            check_of_one_length(map(len, vectors))
            yield Vectors(changes[-1], np.array(keys, np.int64), np.stack(vectors))

    def vector(self, key: int) -> Vector | None:
        """Give the vector of an entry."""
        with self._lock:
            _, embedded = self._vectors.get(key, (0, None))
            return None if embedded is None else embedded.vector

    def with_vectors(self, keys: Iterable[int]) -> list[WithVector]:
        """Give what these entries say and their vectors, in this order."""
        with self._lock:
            found = [int(key) for key in keys if int(key) in self._vectors]
            entries = [self._entries[key] for key in found]
            return [
                WithVector(key, entry.words, entry.text_version, self._vectors[key][1])
                for key, entry in zip(found, entries, strict=True)
            ]

    def rows(self) -> Mapping[int, RowKey]:
        """Give the rows by their numbers."""
        with self._lock:
            return dict(self._rows.items)

    def services(self) -> Mapping[int, str]:
        """Give the services by their numbers."""
        with self._lock:
            return dict(self._services.items)

    def buckets(
        self, *, since: int, until: int, finest: int = MINUTE, writer: str | None = None
    ) -> Iterator[Bucket]:
        """Give what was counted in a time."""
        with self._lock:
            # Of a writer that is not known there is nothing.
            number = None if writer is None else self._writers.known(writer) or NOTHING
            groups = levels.groups(
                self._cells, since=since, until=until, finest=finest, writer=number
            )
            found = [
                (group, [self._cells.packed(head) for head in group.heads]) for group in groups
            ]
        for group, cells in found:
            yield Bucket(group.start, group.seconds, Counts.sum(map(unpack, cells)))

    @property
    def generation(self) -> int:
        """Grows whenever something was taken out."""
        return self._generation

    def tidy(self, kept: Kept, *, now: int, most_texts: int) -> None:
        """Put minutes into hours and hours into days, and let go what is too old."""
        with self._lock:
            for due in levels.due(self._cells.all(), kept, now=now):
                levels.settle(self._cells, due, kept, now=now)
            outlived = levels.outlived(self._cells.all(), kept, now=now)
            self._cells.delete(outlived)
            texts = self._too_old((now - kept.all) * NANOSECONDS, most_texts)
            self._let_go(texts)
            rows = self._drop_unseen(levels.begin(now - kept.all, DAY))
            before = (now - kept.all) * NANOSECONDS
            groups = self.groups.within.let_go(before=before, most=MOST_GROUPS)
            if outlived or texts or rows or groups:
                self._generation += 1

    def _too_old(self, time: int, most_texts: int) -> list[int]:
        youngest_first = sorted(
            self._entries.values(), key=lambda entry: (entry.last_seen, entry.key), reverse=True
        )
        return [
            entry.key
            for position, entry in enumerate(youngest_first)
            if position >= most_texts or entry.last_seen < time
        ]

    def _let_go(self, keys: Collection[int]) -> None:
        for key in keys:
            del self._entries[key]
            self._vectors.pop(key, None)
        self._texts.remove(keys)

    def _drop_unseen(self, day: int) -> bool:
        """Let rows, services and writers go of which nothing speaks any more."""
        used = {entry.row for entry in self._entries.values()}
        rows = [number for number in self._rows.seen_before(day) if number not in used]
        services = self._services.seen_before(day)
        active = {head.writer for head in self._cells.all()}
        writers = [number for number in self._writers.items if number not in active]
        self._rows.remove(rows)
        self._services.remove(services)
        self._writers.remove(writers)
        for number in writers:
            self._written.pop(number, None)
        return bool(rows or services)

    def delete_service(self, service: str) -> int:
        """Take a service out."""
        with self._lock:
            rows = [number for number, row in self._rows.items.items() if row.service == service]
            number = self._services.known(service)
            services = [] if number is None else [number]
            texts = [entry.key for entry in self._entries.values() if entry.row in set(rows)]
            groups = self.groups.within.delete_service(service)
            gone = {"row": rows, "service": services, "text": texts, "group": groups}
            levels.take_out(
                self._cells, {kind: np.array(each, np.int64) for kind, each in gone.items()}
            )
            self._let_go(texts)
            self._rows.remove(rows)
            self._services.remove(services)
            self._generation += 1
            return len(texts)

    def size(self) -> int:
        """Give how many bytes vectors, words and counts take; it is more with what joins them."""
        with self._lock:
            vectors = sum(embedded.vector.nbytes for _, embedded in self._vectors.values())
            words = sum(len(entry.words) for entry in self._entries.values())
            return vectors + words + self._cells.bytes

    def close(self) -> None:
        """Free what it holds."""
        self.groups.close()


class _Numbers(Generic[Item]):
    """Gives things numbers, from 1 on, none twice."""

    def __init__(self) -> None:
        self.items: dict[int, Item] = {}
        self._numbers: dict[Item, int] = {}
        self._seen: dict[int, int] = {}
        self._last = 0

    def number(self, item: Item, day: int = 0) -> int:
        """Give its number, and remember that it was seen that day."""
        number = self._numbers.get(item)
        if number is None:
            self._last += 1
            number = self._numbers[item] = self._last
            self.items[number] = item
        self._seen[number] = max(day, self._seen.get(number, 0))
        return number

    def known(self, item: Item) -> int | None:
        return self._numbers.get(item)

    def seen_before(self, day: int) -> list[int]:
        """Give those that were last seen before this day."""
        return [number for number, seen in self._seen.items() if seen < day]

    def remove(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            del self._numbers[self.items.pop(number)], self._seen[number]


class _MemoryCells:
    """Cells in memory, packed; see `levels.Cells`."""

    def __init__(self) -> None:
        self._cells: dict[tuple[int, int, int], tuple[Head, bytes]] = {}

    def head(self, writer: int, level: int, start: int) -> Head | None:
        found = self._cells.get((writer, level, start))
        return found and found[0]

    def all(self) -> list[Head]:
        return [head for head, _ in self._cells.values()]

    def heads(self, *, since: int, until: int, writer: int | None = None) -> list[Head]:
        return [
            head
            for head in self.all()
            if since <= head.start < until and writer in (None, head.writer)
        ]

    def packed(self, head: Head) -> bytes:
        return self._cells[head[:3]][1]

    def get(self, head: Head) -> Counts:
        return unpack(self.packed(head))

    def put(self, head: Head, counts: Counts) -> None:
        self._cells[head[:3]] = head, pack(counts)

    def delete(self, heads: Iterable[Head]) -> None:
        for head in heads:
            del self._cells[head[:3]]

    @property
    def bytes(self) -> int:
        return sum(len(packed) for _, packed in self._cells.values())
