"""How large a catalogue gets in a busy day: `python -m tests.bench.day`.

A thousand spans a second, as a writer's batches of a minute each; time is moved forward, and the
catalogue is tidied as a sidecar does. Rows and texts are as uneven as those of real systems (by
Zipf's law), and some texts come only now.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import closing
from pathlib import Path
from random import randbytes
from tempfile import TemporaryDirectory
from time import process_time
from typing import TYPE_CHECKING

import numpy as np

from otel_embedder.search.counts import Counts, Table
from otel_embedder.search.entries import Embedded, Example, Examples, RowKey, SeenText
from otel_embedder.search.store import Batch
from otel_embedder.search.stores.sqlite import SqliteStore
from otel_embedder.search.times import DAY, HOUR, MINUTE, NANOSECONDS, Kept

if TYPE_CHECKING:
    from collections.abc import Iterator

SPANS = 60_000  # a minute
ROWS = 2_000
SERVICES = 60
TEXTS_A_ROW = 12  # those that are there from the beginning
NEW_TEXTS = 10  # a minute
CELLS = 4  # of self times, on average, that a row has
DIMENSION = 384
BEGIN = 1_772_323_200
KEPT = Kept(minutes=DAY, hours=7 * DAY, all=14 * DAY)
MOST_TEXTS = 200_000
EVENNESS = 1.4  # so that a minute has 1,800 rows, and 3,500 texts
SEED = 7


def minutes(count: int) -> Iterator[Batch]:
    """Make a batch of each minute."""
    random = np.random.default_rng(SEED)
    rows = [
        RowKey(f"service {i % SERVICES}", f"operation {i}", "SERVER", f"service operation {i} get")
        for i in range(ROWS)
    ]
    services = [f"service {i}" for i in range(SERVICES)]
    known: set[int] = set()
    for number in range(count):
        start = BEGIN + number * MINUTE
        said = ROWS * TEXTS_A_ROW + number * NEW_TEXTS
        texts, spans = np.unique(random.zipf(EVENNESS, SPANS) % said, return_counts=True)
        of_row = texts % ROWS
        seen = [
            _seen(text, row, start, None if text in known else _embedded(random))
            for text, row in zip(texts.tolist(), of_row.tolist(), strict=True)
        ]
        known.update(texts.tolist())
        counts = Counts(SPANS // 8, _tables(of_row, spans, random))
        yield Batch("day", number + 1, rows, services, seen, {start: counts})


def _embedded(random: np.random.Generator) -> Embedded:
    vector = random.standard_normal(DIMENSION, np.float32)
    return Embedded("model", vector / np.linalg.norm(vector))


def _seen(text: int, row: int, start: int, embedded: Embedded | None) -> SeenText:
    some = [
        Example(randbytes(16), randbytes(8), (start + second) * NANOSECONDS, 1_000 * text)
        for second in (0, 20, 40)
    ]
    words = f"service {row % SERVICES} operation {row} get of things that are like {text} others"
    return SeenText(words, "words-1", row, "UNSET", Examples.of(*some), embedded)


def _tables(
    of_row: np.typing.NDArray[np.int64],
    spans: np.typing.NDArray[np.int64],
    random: np.random.Generator,
) -> dict[str, Table]:
    row = np.repeat(of_row + 1, CELLS)
    each = np.maximum(1, np.repeat(spans, CELLS) // CELLS)
    cell = random.integers(-6, 12, len(row))
    next_row, service = random.integers(0, 3, len(row)), random.integers(1, 4, len(row))
    alike = 1 + (row * 7 + next_row) % ROWS
    own = np.minimum(each, random.integers(0, 2, len(row)))
    text = np.arange(1, len(of_row) + 1)
    return {
        "rows": Table.of(row[:, None], np.stack((each, own), axis=1)),
        "times": Table.of(np.stack((row, cell), axis=1), each[:, None]),
        "nexts": Table.of(np.stack((row, alike), axis=1), each[:, None]),
        "calls": Table.of(np.stack((row, service), axis=1), each[:, None]),
        "texts": Table.of(text[:, None], np.stack((spans, spans, spans * 1_000), axis=1)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.day", description=__doc__)
    parser.add_argument("--minutes", type=int, default=DAY // MINUTE)
    wanted = parser.parse_args().minutes
    began = process_time()
    with TemporaryDirectory() as folder, closing(SqliteStore(Path(folder, "spans.db"))) as store:
        for number, batch in enumerate(minutes(wanted), start=1):
            store.write(batch)
            if number % (HOUR // MINUTE) == 0 or number == wanted:
                store.tidy(KEPT, now=BEGIN + number * MINUTE, most_texts=MOST_TEXTS)
                texts, size = len(store.columns().keys), store.size() / 1e6
                cpu = process_time() - began
                line = f"{number:,} min: {texts:,} texts, {size:,.0f} MB on disk, {cpu:,.0f} s CPU"
                sys.stdout.write(f"{line}\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main()
