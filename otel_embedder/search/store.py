"""What keeps a catalogue: one protocol, so that nothing above it knows where and how."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import numpy as np
    import numpy.typing as npt

    from otel_embedder.embedder.embedding import Vector
    from otel_embedder.search.counts import Counts, Integers
    from otel_embedder.search.entries import Embedded, Entry, RowKey, SeenText

MINUTE, HOUR, DAY = 60, 3_600, 86_400  # seconds; each a level


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
            `rows`, `texts` and `services`, each plus one, so that 0 is none.

    """

    writer: str
    number: int
    rows: Sequence[RowKey]
    services: Sequence[str]
    texts: Sequence[SeenText]
    counts: Mapping[int, Counts]


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


class Kept(NamedTuple):
    """How long counts are kept in which steps, in seconds back from now.

    Attributes:
        minutes: after that minutes become hours.
        hours: after that hours become days.
        all: what was not seen for so long goes.

    """

    minutes: int
    hours: int
    all: int


class Store(Protocol):
    """Keeps a catalogue. Safe to use from several threads; each call is all or nothing.

    Whatever fails raises a StoreError, which says what to do.
    """

    def write(self, batch: Batch) -> None:
        """Take a batch; do nothing if its writer's number of it was taken before.

        What the catalogue knows of a text already is joined: the text version of the one seen
        last, examples of both, the vector if there is none of that model yet.
        """
        ...

    def last_number(self, writer: str) -> int:
        """Give the number of the last batch that was taken of a writer, 0 if none was."""
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

    def entries(self, *, after: int = 0) -> Iterator[Entry]:
        """Give the entries that changed after a change of this number, by number."""
        ...

    def vectors(self, model: str, *, after: int = 0) -> Iterator[Vectors]:
        """Give the vectors of a model that changed after a change of this number, by number."""
        ...

    def vector(self, key: int) -> Vector | None:
        """Give the vector of an entry, if it has one."""
        ...

    def rows(self) -> Mapping[int, RowKey]:
        """Give the rows by their numbers."""
        ...

    def services(self) -> Mapping[int, str]:
        """Give the services that are spoken of, by their numbers."""
        ...

    def with_stems(self, stems: Sequence[str], *, most: int) -> Integers:
        """Give the keys of entries that say some of these stems (`ranking.stems`), best first."""
        ...

    def stem_counts(self, stems: Sequence[str]) -> Mapping[str, int]:
        """Give how many entries say each of these stems; what none says may be missing."""
        ...

    def buckets(self, *, since: int, until: int, finest: int = MINUTE) -> Iterator[Bucket]:
        """Give what was counted from `since` to `until`, in seconds, by time, nothing twice.

        As fine as it is kept, but no finer than `finest`: MINUTE, HOUR or DAY. A bucket is given
        whole if some of it is in that time; a coarser one does for a finer one that is kept.
        """
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
        """Take a service out: its texts, rows and counts. Gives how many texts these were."""
        ...

    def size(self) -> int:
        """Give how many bytes the catalogue takes where it is kept."""
        ...

    def close(self) -> None:
        """Free what it holds."""
        ...
