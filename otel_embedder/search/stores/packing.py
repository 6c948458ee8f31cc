"""Counts and examples as bytes.

Of counts a byte says the version, the rest is deflated: the roots, and each table by its name,
column after column in as few bytes a number as they need. Tables tell their own shapes, so that
those of a newer release are kept, added up and written again by an older one that knows nothing
of them.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

import numpy as np

from otel_embedder.errors import StoreError
from otel_embedder.search.counts import Counts, Integers, Table
from otel_embedder.search.entries import Example, Examples

if TYPE_CHECKING:
    from collections.abc import Iterator

VERSION = 1
LEVEL = 6  # 9 takes three times as long for 2 % less
# Roots, tables.
_HEAD = struct.Struct("<qH")
# Of a table: bytes of its name, rows, width of a key, width of a value.
_TABLE = struct.Struct("<BIBB")
_WIDTHS = (1, 2, 4, 8)
DAMAGED_REMEDY = "go back to a copy of it, or begin anew"


def pack(counts: Counts) -> bytes:
    """Give counts as bytes."""
    pieces = [_HEAD.pack(counts.roots, len(counts.tables))]
    for name, table in sorted(counts.tables.items()):
        pieces.extend(_packed_table(name, table))
    return bytes((VERSION,)) + zlib.compress(b"".join(pieces), LEVEL)


def _packed_table(name: str, table: Table) -> list[bytes]:
    encoded = name.encode()
    shape = len(table), table.keys.shape[1], table.values.shape[1]
    # Sorted, so the steps are small.
    first = np.diff(table.keys[:, 0], prepend=0)
    columns = [first, *table.keys.T[1:], *table.values.T]
    return [_TABLE.pack(len(encoded), *shape), encoded, *map(_packed_column, columns)]


def _packed_column(column: Integers) -> bytes:
    width = next(width for width in _WIDTHS if _fits(column, width))
    return bytes((width,)) + column.astype(f"<i{width}").tobytes()


def _fits(column: Integers, width: int) -> bool:
    limits = np.iinfo(f"i{width}")
    return not len(column) or bool(limits.min <= column.min() and column.max() <= limits.max)


def unpack(packed: bytes) -> Counts:
    """Give the counts that were packed.

    Raises:
        StoreError: the bytes are damaged, or a newer release wrote them in another way.

    """
    if packed[:1] > bytes((VERSION,)):
        raise StoreError(
            f"a newer release wrote these counts (version {packed[0]}, this one knows {VERSION}):"
            " use that release or a newer one"
        )
    try:
        return _Reader(zlib.decompress(packed[1:])).counts()
    except (zlib.error, struct.error, ValueError) as error:
        raise StoreError(
            f"counts of the catalogue are damaged ({error}): {DAMAGED_REMEDY}"
        ) from error


class _Reader:
    """Reads what was packed, from the front."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._position = 0

    def counts(self) -> Counts:
        roots, tables = self._read(_HEAD)
        counts = Counts(roots, dict(self._table() for _ in range(tables)))
        if self._position != len(self._content):
            raise ValueError("more bytes than they say")
        return counts

    def _read(self, form: struct.Struct) -> tuple[int, ...]:
        values = form.unpack_from(self._content, self._position)
        self._position += form.size
        return values

    def _table(self) -> tuple[str, Table]:
        length, rows, key_width, value_width = self._read(_TABLE)
        name = self._take(length).decode()
        keys = [self._column(rows) for _ in range(key_width)]
        keys[0] = np.cumsum(keys[0])
        values = [self._column(rows) for _ in range(value_width)]
        return name, Table(np.stack(keys, axis=1), np.stack(values, axis=1))

    def _column(self, rows: int) -> Integers:
        width = self._take(1)[0]
        if width not in _WIDTHS:
            raise ValueError(f"numbers of {width} bytes")
        return np.frombuffer(self._take(rows * width), f"<i{width}").astype(np.int64)

    def examples(self) -> Iterator[Example]:
        while self._position < len(self._content):
            time, duration, trace_id, span_id = self._read(_EXAMPLE)
            yield Example(
                self._take(trace_id),
                self._take(span_id),
                time,
                None if duration == UNKNOWN else duration,
            )

    def _take(self, length: int) -> bytes:
        taken = self._content[self._position : self._position + length]
        if len(taken) < length:
            raise ValueError("fewer bytes than they say")
        self._position += length
        return taken


# Of an example: when, how long (UNKNOWN: not known), bytes of trace id and span id.
_EXAMPLE = struct.Struct("<qqBB")
UNKNOWN = -1


def pack_examples(examples: Examples) -> bytes:
    """Give examples as bytes, each once."""
    return b"".join(_packed_example(example) for example in dict.fromkeys(examples.all()))


def _packed_example(example: Example) -> bytes:
    trace_id, span_id, time, duration = example
    known = UNKNOWN if duration is None else duration
    return _EXAMPLE.pack(time, known, len(trace_id), len(span_id)) + trace_id + span_id


def unpack_examples(packed: bytes) -> Examples:
    """Give the examples that were packed.

    Raises:
        StoreError: the bytes are damaged.

    """
    reader = _Reader(packed)
    try:
        return Examples.of(*reader.examples())
    except (struct.error, ValueError, IndexError) as error:
        raise StoreError(
            f"examples of the catalogue are damaged ({error}): {DAMAGED_REMEDY}"
        ) from error
