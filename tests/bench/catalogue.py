"""How fast a catalogue in a file is written, opened and asked, and how large it gets.

Texts are made up: as many words as a span's text has, by Zipf's law, and one of its own.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.table import Table

from otel_embedder.search.entries import Embedded
from otel_embedder.search.stores.sqlite import SqliteStore
from tests.support.catalogues import MODEL, a_batch, a_row, an_example, seen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from otel_embedder.search.store import Batch

DIMENSION = 384
WORDS_A_TEXT = 25
WORDS = 30_000
BATCH = 1_000
ROWS = 1_000
SEED = 7


def batches(entries: int) -> Iterator[Batch]:
    """Make up batches of new texts with vectors."""
    rng = np.random.default_rng(SEED)
    rows = [a_row(f"service {i % 50}", f"operation {i}") for i in range(ROWS)]
    for number in range(entries // BATCH):
        said = np.minimum(rng.zipf(1.3, (BATCH, WORDS_A_TEXT)), WORDS)
        vectors = rng.normal(size=(BATCH, DIMENSION)).astype(np.float32)
        texts = [
            seen(
                " ".join([*(f"word{word}" for word in said[i]), f"id{number}x{i}"]),
                an_example(number * 10 + i / BATCH),
                row=i % ROWS,
                vector=Embedded(MODEL, vectors[i]),
            )
            for i in range(BATCH)
        ]
        yield a_batch(number + 1, rows=rows, texts=texts)


def filled(path: Path, entries: int) -> tuple[float, float]:
    """Fill a file, and give the seconds that writing took, and writing a batch again."""
    store = SqliteStore(path)
    writing = 0.0
    again = a_batch()
    for batch in batches(entries):
        writing += seconds_of(lambda batch=batch: store.write(batch))  # type: ignore[misc]
        again = batch
    again = a_batch(again.number + 1, rows=again.rows, texts=again.texts)
    rewriting = seconds_of(lambda: store.write(again))
    store.close()
    return writing, rewriting


def seconds_of(act: Callable[[], object]) -> float:
    """Give how long something takes."""
    start = perf_counter()
    act()
    return perf_counter() - start


def measured(path: Path, entries: int) -> Table:
    """Measure with so many entries."""
    table = Table("what", "measured", title=f"{entries:,} entries")
    writing, rewriting = filled(path, entries)
    table.add_row("written", f"{entries / writing:,.0f} a second")
    table.add_row("seen again", f"{BATCH / rewriting:,.0f} a second")
    store = SqliteStore(path, readonly=True)
    size = store.size()
    table.add_row("on disk", f"{size / 1e6:,.0f} MB, {size / entries:,.0f} bytes an entry")
    table.add_row("columns", f"{seconds_of(store.columns):.2f} s")
    vectors = seconds_of(lambda: sum(len(part.keys) for part in store.vectors(MODEL)))
    table.add_row("vectors", f"{vectors:.2f} s")
    store.close()
    return table


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.catalogue", description=__doc__)
    parser.add_argument("--entries", type=int, nargs="+", default=[100_000])
    console = Console()
    for entries in parser.parse_args().entries:
        with TemporaryDirectory() as folder:
            console.print(measured(Path(folder, "catalogue.db"), entries))


if __name__ == "__main__":
    main()
