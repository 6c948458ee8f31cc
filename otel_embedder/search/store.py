"""What keeps a catalogue: one protocol, so that nothing above it knows where and how."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol, Self

import numpy as np

from otel_embedder.errors import StoreError
from otel_embedder.search.times import MINUTE, NANOSECONDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import numpy.typing as npt

    from otel_embedder.embedder.embedding import Vector
    from otel_embedder.search.counts import Counts, Integers
    from otel_embedder.search.entries import Embedded, Entry, RowKey, SeenText
    from otel_embedder.search.groups.failed import FailedTrace
    from otel_embedder.search.groups.kept import Came, GroupStore, TakenGroup
    from otel_embedder.search.ranking import Flags
    from otel_embedder.search.times import Kept

# Of failures: a failure whose words are always others must not fill a catalogue.
MOST_GROUPS = 10_000


@dataclass(frozen=True, slots=True)
class Batch:
    """What a writer has seen since its last one. A store takes all of it, or nothing.

    Attributes:
        writer: who: a process's own word, or a file's contents'.
        number: 1, 2, 3, ...: what a writer has written already changes nothing.
        rows: those that the rest speaks of.
        services: those that the rest speaks of.
        texts: those that were seen, and that the rest speaks of.
        counts: by the start of the minute, in seconds since 1970. Keys of tables are positions in
            `rows`, `texts`, `services` and `groups`, each plus one, so that 0 is none.
        failures: traces that failed; a store finds their groups, and counts them itself.
        groups: those that `counts` speaks of, as another catalogue knows them.

    """

    writer: str
    number: int
    rows: Sequence[RowKey]
    services: Sequence[str]
    texts: Sequence[SeenText]
    counts: Mapping[int, Counts]
    failures: Sequence[FailedTrace] = ()
    groups: Sequence[TakenGroup] = ()

    def __post_init__(self) -> None:
        """Refuse what no store could take, with a ValueError."""
        sizes = {
            "row": len(self.rows),
            "service": len(self.services),
            "text": len(self.texts),
            "group": len(self.groups),
        }
        if any(not 0 <= text.row < len(self.rows) for text in self.texts):
            raise ValueError("a text is of a row that the batch has not")
        for start, counts in self.counts.items():
            if start % MINUTE:
                raise ValueError(f"counts of a minute that begins at {start} s")
            counts.check(sizes)

    @property
    def latest(self) -> int:
        """The time of the latest that it speaks of, in seconds; 0 if it speaks of nothing."""
        seen = (text.examples.last[0].time // NANOSECONDS for text in self.texts)
        return max((*self.counts, *seen), default=0)


class Bucket(NamedTuple):
    """What all writers counted in some time.

    Attributes:
        start: seconds since 1970.
        seconds: how long it is: MINUTE, HOUR or DAY.
        counts: by the store's numbers.

    """

    start: int
    seconds: int
    counts: Counts


class Columns(NamedTuple):
    """What is asked of many entries at once. Each array has the shape (n,).

    Attributes:
        changed: the number of the last change that is in these.
        keys: of the entries.
        rows: the keys of their rows.
        first_seen: nanoseconds since 1970.
        last_seen: nanoseconds since 1970.
        slowest: how long their slowest span took, in nanoseconds; -1 where none's is known.
        statuses: numbers of UNSET, OK or ERROR in `names`.
        text_versions: numbers of text versions in `names`.
        models: numbers of models in `names`; 0, which is "", where there is no vector yet.
        names: by their numbers, which stay what they are; those of all entries.

    """

    changed: int
    keys: Integers
    rows: Integers
    first_seen: Integers
    last_seen: Integers
    slowest: Integers
    statuses: Integers
    text_versions: Integers
    models: Integers
    names: Mapping[int, str]

    @classmethod
    def of(cls, numbers: Integers, *, changed: int, names: Mapping[int, str]) -> Self:
        """Take the columns of a table of shape (n, 8)."""
        keys, rows, first, last, slowest, statuses, text_versions, models = numbers.T
        return cls(
            changed, keys, rows, first, last, slowest, statuses, text_versions, models, names
        )

    def at(self, where: Flags) -> Self:
        """Give those of some entries."""
        numbers = np.stack(self[1:-1], axis=1)
        return self.of(numbers[where], changed=self.changed, names=self.names)


class Vectors(NamedTuple):
    """Some of the vectors of a catalogue.

    Attributes:
        changed: the number of the last change of these.
        keys: of the entries, shape (n,).
        matrix: shape (n, dimension), float32.

    """

    changed: int
    keys: Integers
    matrix: npt.NDArray[np.float32]


def check_of_one_length(lengths: Iterable[int]) -> None:
    """Check that vectors of one model can be compared.

    Raises:
        StoreError: they are not all of one length.

    """
    different = sorted({*lengths})
    if len(different) > 1:
        told = " and ".join(map(str, different))
        raise StoreError(f"the catalogue has vectors of {told} numbers of one model: reembed it")


class WithVector(NamedTuple):
    """A text of a catalogue with its vector.

    Attributes:
        key: of its entry.
        words: the text.
        text_version: of the renderer that made it last, or that it was brought over to.
        embedded: its vector.

    """

    key: int
    words: str
    text_version: str
    embedded: Embedded


class Stems(NamedTuple):
    """The words of some of the entries of a catalogue.

    Attributes:
        keys: of the entries, shape (n,).
        lengths: how many words each has that say something, shape (n,).
        hashes: these as `ranking.stem_hashes` gives them, one entry's behind another's; shape
            (sum of the lengths,).

    """

    keys: Integers
    lengths: Integers
    hashes: npt.NDArray[np.uint32]


class Store(Protocol):
    """Keeps a catalogue. Safe to use from several threads; each call is all or nothing.

    Whatever fails raises a StoreError, which says what to do.
    """

    def write(self, batch: Batch) -> Sequence[Came]:
        """Take a batch; do nothing if its writer's number of it was taken before.

        Gives the groups of failures that are new, or have come again.

        What the catalogue knows of a text already is joined: the text version of the one seen
        last, examples of both, the vector if there is none of that model yet.
        """
        ...

    def last_number(self, writer: str) -> int:
        """Give the number of the last batch that was taken of a writer, 0 if none was."""
        ...

    def writers(self) -> Mapping[str, int]:
        """Give who counted, each with the number of the last batch that was taken."""
        ...

    def forget(self, writer: str) -> None:
        """Take out what a writer counted, and its number; texts stay."""
        ...

    def put_vectors(self, vectors: Iterable[tuple[int, Embedded]], *, text_version: str) -> None:
        """Give entries (by their keys) a vector, in the place of the one that they had.

        Entries of another text version are brought over to this one. Keys that are not there any
        more are passed over.
        """
        ...

    def columns(self, *, after: int = 0) -> Columns:
        """Give the entries that changed after a change of this number, in any order."""
        ...

    def entries(self, keys: Iterable[int]) -> list[Entry]:
        """Give these entries, in this order, without those that are not there any more."""
        ...

    def stems(self, *, after: int = 0) -> Iterator[Stems]:
        """Give the words of the entries whose keys are above this one, by their keys."""
        ...

    def with_trace(self, trace_id: bytes) -> list[int]:
        """Give the keys of the entries that have a span of this trace among their examples."""
        ...

    def vectors(self, model: str, *, after: int = 0) -> Iterator[Vectors]:
        """Give the vectors of a model that changed after a change of this number, by number."""
        ...

    def vector(self, key: int) -> Vector | None:
        """Give the vector of an entry, if it has one."""
        ...

    def with_vectors(self, keys: Iterable[int]) -> list[WithVector]:
        """Give what these entries say and their vectors, in this order, without those of none."""
        ...

    def rows(self) -> Mapping[int, RowKey]:
        """Give the rows by their numbers."""
        ...

    def services(self) -> Mapping[int, str]:
        """Give the services that are spoken of, by their numbers."""
        ...

    def buckets(
        self, *, since: int, until: int, finest: int = MINUTE, writer: str | None = None
    ) -> Iterator[Bucket]:
        """Give what was counted from `since` to `until`, in seconds, by time, nothing twice.

        As fine as it is kept, but no finer than `finest`: MINUTE, HOUR or DAY. A bucket is given
        whole if some of it is in that time, and no two of them overlap. Texts that they speak of
        may be gone. With a writer it is what that one counted alone.
        """
        ...

    @property
    def groups(self) -> GroupStore:
        """The groups of failures."""
        ...

    @property
    def generation(self) -> int:
        """Grows whenever something was taken out: what was read before is to be read again."""
        ...

    def tidy(self, kept: Kept, *, now: int, most_texts: int) -> None:
        """Put old minutes into hours and old hours into days, and let go what is too old.

        Of more than `most_texts` texts those go that were not seen for longest.
        """
        ...

    def delete_service(self, service: str) -> int:
        """Take a service out: its texts, rows and counts. Gives how many texts these were.

        Spans without a parent stay counted.
        """
        ...

    def size(self) -> int:
        """Give how many bytes the catalogue takes where it is kept."""
        ...

    def close(self) -> None:
        """Free what it holds."""
        ...
