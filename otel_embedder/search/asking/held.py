"""A catalogue's vectors, words and what filters need, held in memory as arrays.

It follows a store by the numbers of its changes: what is new is put behind, what
changed is set in its place, and only where something was taken out is all read
again. Texts have positions, in the order of their keys, in which they came.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from otel_embedder.errors import StoreError
from otel_embedder.search.asking.answers import LeftOut
from otel_embedder.search.asking.queries import Narrowing
from otel_embedder.search.matrix import Matrix, run_of
from otel_embedder.search.ranking import WordIndex, least_of_best
from otel_embedder.search.store import Columns

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    import numpy.typing as npt

    from otel_embedder.embedder.embedding import Vector
    from otel_embedder.search.entries import RowKey
    from otel_embedder.search.ranking import Flags, Floats, Hashes, Integers
    from otel_embedder.search.store import Store

NOWHERE = -1
# Of texts: to read more of them takes two threads, of which one reads this share of the vectors,
# and the other all words and the rest.
MANY = 20_000
SHARE = 0.7

_COLUMNS = {
    "keys": np.int64,
    "rows": np.int64,
    "first_seen": np.int64,
    "last_seen": np.int64,
    "slowest": np.int64,
    "statuses": np.int16,
    "text_versions": np.int16,
    "models": np.int16,
}


class Seen(NamedTuple):
    """When texts were seen, in nanoseconds since 1970.

    Attributes:
        first: the first of them first.
        last: the last of them last.
        state: as long as it is the same, nothing has changed.

    """

    first: int
    last: int
    state: tuple[int, int]


class Passing(NamedTuple):
    """Which texts are compared.

    Attributes:
        positions: of these; shape (n,), sorted.
        left_out: those that pass the filters, and are not.

    """

    positions: Integers
    left_out: LeftOut


class Held:
    """What is held of a store. Not safe to use from several threads at once."""

    def __init__(self, store: Store, *, model: str, text_version: str) -> None:
        """Prepare to hold; nothing is read yet.

        Args:
            store: what keeps the catalogue.
            model: whose vectors are held.
            text_version: of the texts that are compared.

        """
        self._store = store
        self._model = model
        self._text_version = text_version
        self._generation = NOWHERE
        self._forget()

    def _forget(self) -> None:
        self._changed = 0
        self._names: Mapping[int, str] = {}
        self._rows: Mapping[int, RowKey] = {}
        self._columns = {name: np.zeros(0, kind) for name, kind in _COLUMNS.items()}
        self._matrix = Matrix()
        self.words = WordIndex()
        self._is_comparable: Flags = np.zeros(0, np.bool_)
        self._comparable_since = np.zeros(0, np.int64)
        self._note_standing()

    def __len__(self) -> int:
        return len(self._columns["keys"])

    def refresh(self) -> None:
        """Read what changed.

        Raises:
            StoreError: it can't be read.

        """
        generation = self._store.generation
        if generation != self._generation:
            self._forget()
            self._generation = generation
        columns = self._store.columns(after=self._changed)
        # What changes from here on comes with the next change that is read; so nothing is missed.
        if columns.changed == self._changed:
            return
        try:
            self._take_all(columns)
        except StoreError:
            # A part of it was taken: the next time all is read anew.
            self._generation = NOWHERE
            raise
        self._changed = columns.changed
        self._note_standing()

    def _take_all(self, columns: Columns) -> None:
        """Take what changed: these columns, and the words and vectors beside them."""
        self._take(columns)
        if len(columns.keys) < MANY:
            self._take_words()
            self._take_vectors(after=self._changed)
        else:
            # Each reads, sorts and copies for seconds, most of it without the interpreter's lock.
            with ThreadPoolExecutor(1) as aside:
                middle = self._changed + int(SHARE * (columns.changed - self._changed))
                words = aside.submit(self._take_words)
                rest = aside.submit(self._take_vectors, after=middle)
                self._take_vectors(after=self._changed, until=middle)
                words.result()
                rest.result()

    def _take(self, columns: Columns) -> None:
        self._names = columns.names
        if not self._has_row(columns).all():
            # Rows may have gone since the columns were read: what is held of them stays, and what
            # is new of them is left out, until all is read anew.
            self._rows = {**self._rows, **self._store.rows()}
            is_held = self._has_row(columns)
            columns = columns if is_held.all() else columns.at(is_held)
        positions = self._positions(columns.keys)
        old = np.flatnonzero(positions != NOWHERE)
        new = np.flatnonzero(positions == NOWHERE)
        new = new[np.argsort(columns.keys[new])]
        for name, kind in _COLUMNS.items():
            column, changed = self._columns[name], getattr(columns, name).astype(kind)
            column[positions[old]] = changed[old]
            self._columns[name] = np.concatenate((column, changed[new]))

    def _has_row(self, columns: Columns) -> Flags:
        return np.isin(columns.rows, np.fromiter(self._rows, np.int64, len(self._rows)))

    def _positions(self, keys: Integers) -> Integers:
        """Give the positions of these keys, NOWHERE where they have none."""
        known = self._columns["keys"]
        if not len(known):
            return np.full(len(keys), NOWHERE)
        positions = np.minimum(np.searchsorted(known, keys), len(known) - 1)
        return np.where(known[positions] == keys, positions, NOWHERE)

    def _take_words(self) -> None:
        """Take the words of texts that are new; a text's words never change."""
        known = len(self.words)
        last = int(self._columns["keys"][known - 1]) if known else 0
        for piece in self._store.stems(after=last):
            positions = self._positions(piece.keys)
            is_known = positions != NOWHERE
            if is_known.all():
                self._add_words(positions, piece.lengths, piece.hashes)
            else:  # what was written in the meantime comes the next time
                hashes = piece.hashes[np.repeat(is_known, piece.lengths)]
                self._add_words(positions[is_known], piece.lengths[is_known], hashes)
        gone = len(self) - len(self.words)
        if gone:  # since the columns were read: they say nothing
            self.words.add(np.zeros(0, np.uint32), np.zeros(gone, np.int64))

    def _add_words(self, positions: Integers, lengths: Integers, hashes: Hashes) -> None:
        """Add words of texts at these positions, which are sorted; texts between them say none."""
        first = len(self.words)
        all_lengths = np.zeros(int(positions.max(initial=first - 1)) + 1 - first, np.int64)
        all_lengths[positions - first] = lengths
        self.words.add(hashes, all_lengths)

    def _take_vectors(self, *, after: int, until: float = math.inf) -> None:
        """Take the vectors that changed after a change, and at least until another one."""
        for piece in self._store.vectors(self._model, after=after):
            positions = self._positions(piece.keys)
            known = positions != NOWHERE
            if known.all():
                self._matrix.put(positions, piece.matrix)
            else:  # what was written in the meantime comes the next time
                self._matrix.put(positions[known], piece.matrix[known])
            if piece.changed >= until:
                return

    def passing(self, filters: Narrowing, since: int | None, until: int | None) -> Passing:
        """Tell which texts pass filters, and can be compared.

        Args:
            filters: what is asked for.
            since: nanoseconds since 1970, or None.
            until: nanoseconds since 1970, or None.

        """
        if not filters.model_fields_set & Narrowing.model_fields.keys():
            return self._everything
        return self._among(self.matching(filters, since, until))

    def comparable(self) -> Integers:
        """Give the positions of all texts that can be compared."""
        return self._everything.positions

    def columns(self) -> Columns:
        """Give what is held of all texts; as it is until the next `refresh`."""
        return Columns(self._changed, **self._columns, names=self._names)

    @property
    def changed(self) -> int:
        """The number of the last change that is held."""
        return self._changed

    def column(self, name: str, positions: Integers) -> Integers:
        """Give what `Columns` has of texts by this name."""
        found: Integers = self._columns[name][positions].astype(np.int64)
        return found

    @property
    def names(self) -> Mapping[int, str]:
        """What the numbers in columns of names mean."""
        return self._names

    def vectors(self, positions: Integers) -> npt.NDArray[np.float32]:
        """Give about the vectors of texts that can be compared; shape (n, dimension)."""
        return self._matrix.vectors(positions)

    def _note_standing(self) -> None:
        """Note which texts can be compared, until something changes."""
        is_set = np.zeros(len(self), np.bool_)
        held = self._matrix.is_set[: len(self)]
        is_set[: len(held)] = held
        self._is_waiting = self._is_named("models", [""])
        self._is_of_model = self._is_named("models", [self._model]) & is_set
        is_of_version = self._is_named("text_versions", [self._text_version])
        was_comparable, self._is_comparable = self._is_comparable, self._is_of_model & is_of_version
        self._note_newer(was_comparable)
        self._everything = self._among(np.ones(len(self), np.bool_))

    def _note_newer(self, was_comparable: Flags) -> None:
        """Note since which change texts can be compared."""
        is_new = self._is_comparable.copy()
        is_new[: len(was_comparable)] &= ~was_comparable
        since = np.full(len(self), self._changed)
        known = ~is_new[: len(was_comparable)]
        since[: len(known)][known] = self._comparable_since[known]
        self._comparable_since = since

    def newer(self, positions: Integers, changed: int) -> Integers:
        """Give those of these positions whose texts can be compared since a change was held."""
        return positions[self._comparable_since[positions] > changed]

    def _among(self, passes: Flags) -> Passing:
        """Tell which of the texts that pass are compared."""
        left_out = LeftOut(
            waiting=_count(passes & self._is_waiting),
            other_model=_count(passes & ~self._is_waiting & ~self._is_of_model),
            other_text_version=_count(passes & self._is_of_model & ~self._is_comparable),
        )
        return Passing(np.flatnonzero(passes & self._is_comparable), left_out)

    def matching(self, filters: Narrowing, since: int | None, until: int | None) -> Flags:
        """Tell which texts pass filters, whether they can be compared or not."""
        passes = np.ones(len(self), np.bool_)
        if filters.service or filters.operation or filters.kind:
            taken = [number for number, row in self._rows.items() if filters.takes_row(row)]
            passes &= np.isin(self._columns["rows"], np.array(taken, np.int64))
        if filters.status:
            passes &= self._is_named("statuses", filters.status)
        if since is not None:
            passes &= self._columns["last_seen"] >= since
        if until is not None:
            passes &= self._columns["first_seen"] <= until
        if filters.min_duration is not None:
            passes &= self._columns["slowest"] >= filters.min_duration.total_seconds() * 1e9
        return passes

    def _is_named(self, column: str, names: Collection[str]) -> Flags:
        numbers = [number for number, name in self._names.items() if name in names]
        return np.isin(self._columns[column], numbers)

    def cosines(self, vector: Vector, positions: Integers) -> Floats:
        """Give about how near texts are to a vector; see `error`."""
        return self._matrix.cosines(vector, positions)

    def error(self, vector: Vector) -> float:
        """Give how far off one of the `cosines` may be."""
        return self._matrix.error(vector)

    def exact(self, vector: Vector, keys: Integers, about: Floats) -> Floats:
        """Give how near texts are to a vector, by their own as they were computed.

        Args:
            vector: that one.
            keys: of the texts.
            about: their `cosines`, which stay where a text or its vector has gone since.

        Raises:
            StoreError: they can't be read.

        """
        of_model = {
            each.key: each.embedded.vector
            for each in self._store.with_vectors(keys.tolist())
            if each.embedded.model == self._model
        }
        is_there = np.array([key in of_model for key in keys.tolist()], np.bool_)
        exact = about.copy()
        if of_model:
            exact[is_there] = np.stack([of_model[key] for key in keys[is_there].tolist()]) @ vector
        return exact

    def keys(self, positions: Integers) -> Integers:
        """Give the keys of the texts at these positions."""
        found: Integers = self._columns["keys"][run_of(positions)]
        return found

    def texts_of(self, row: int, since: int, until: int) -> Integers:
        """Give the keys of a row's texts that were seen in some time, those seen last first.

        Args:
            row: its number.
            since: nanoseconds since 1970.
            until: the same; what was seen first from then on is not among them.

        """
        last_seen = self._columns["last_seen"]
        is_one = (self._columns["rows"] == row) & (last_seen >= since)
        [positions] = np.nonzero(is_one & (self._columns["first_seen"] < until))
        return self.keys(positions[np.argsort(-last_seen[positions], kind="stable")])

    def is_comparable(self, key: int) -> bool:
        """Tell whether a text has a vector that others are compared with."""
        [position] = self._positions(np.array([key]))
        return bool(position != NOWHERE and self._is_comparable[position])

    def nearest(self, vector: Vector, count: int, *, other_than: int) -> list[tuple[int, float]]:
        """Give the keys of the texts that are nearest to a vector, but for those of a row."""
        positions = self._everything.positions
        positions = positions[self._columns["rows"][positions] != other_than]
        cosines = self.cosines(vector, positions)
        near = cosines >= least_of_best(cosines, count) - 2 * self.error(vector)
        keys, cosines = self.keys(positions[near]), cosines[near]
        cosines = self.exact(vector, keys, cosines)
        best = np.argsort(-cosines, kind="stable")[:count]
        return [*zip(keys[best].tolist(), cosines[best].tolist(), strict=True)]

    @property
    def rows(self) -> Mapping[int, RowKey]:
        """The rows by their numbers; what was given stays as it is."""
        return self._rows

    def seen(self) -> Seen:
        """Give when texts were seen, as of what is held."""
        state = self._generation, self._changed
        if not len(self):
            return Seen(0, 0, state)
        first, last = self._columns["first_seen"].min(), self._columns["last_seen"].max()
        return Seen(int(first), int(last), state)


def _count(flags: Flags) -> int:
    return int(np.count_nonzero(flags))
