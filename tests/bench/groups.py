"""How long it takes to ask a catalogue of a busy day for its failures, and for what has changed.

`python -m tests.bench.groups [--groups 500] [--operations 10000] [--minutes 1440]`: a catalogue in
a file of its own. In each minute a sixth of the operations and of the groups were seen, in the last
75 all operations; in the last 15 some take ten times as long.
"""

from __future__ import annotations

import argparse
import resource
import time
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console

from otel_embedder.search.asking.queries import ChangesQuery, GroupsQuery
from otel_embedder.search.catalogue import Catalogue
from otel_embedder.search.counts import Counts, Table
from otel_embedder.search.entries import RowKey
from otel_embedder.search.groups.failed import FailedTrace, Failure
from otel_embedder.search.links import trace_link
from otel_embedder.search.store import Batch
from otel_embedder.search.stores.sqlite import SqliteStore
from otel_embedder.search.times import DAY, MINUTE, NANOSECONDS, Kept
from tests.support.made_up import MODEL, TEXT_VERSION, FakeEmbedder, Seen

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_embedder.search.store import Store

BEGIN = 1_700_000_040 // DAY * DAY
SEED = 11
CELLS = 4  # of self times, a row
SHARE = 6
COMPARED, WINDOW = 75, 15  # minutes
SLOW = 50  # one of so many operations becomes slow
LATER_CELLS = 5  # a decade
ROUNDS = 3


def main(groups: int, operations: int, minutes: int) -> None:
    """Fill a catalogue, ask it, and print what that took."""
    console = Console()
    now = BEGIN + minutes * MINUTE
    with TemporaryDirectory() as folder:
        path = Path(folder) / "day.db"
        # In another process: the memory of this one is that of whoever asks.
        with ProcessPoolExecutor(1) as pool:
            pool.submit(fill, path, groups, operations, minutes).result()
        store = SqliteStore(path, readonly=True)
        console.print(f"filled: {store.size() / 1e6:.0f} MB")
        catalogue = Catalogue(
            store,
            FakeEmbedder(),
            model=MODEL,
            text_version=TEXT_VERSION,
            link=trace_link(None),
            clock=lambda: datetime.fromtimestamp(now, UTC),
        )
        since = GroupsQuery.model_validate({"since": "1d"})
        console.print(f"{memory()} before it is asked")
        tell(console, "groups --since 1d", lambda: catalogue.groups(since).total)
        tell(console, "groups", lambda: catalogue.groups(GroupsQuery()).total)
        tell(console, "changes", lambda: len(catalogue.changes(ChangesQuery()).certain))
        store.close()


def tell(console: Console, name: str, ask: Callable[[], int]) -> None:
    """Ask some times, and print what it took; the first time texts are read."""
    for _ in range(ROUNDS):
        began, cpu = time.perf_counter(), time.process_time()
        found = ask()
        took, cpu = time.perf_counter() - began, time.process_time() - cpu
        console.print(f"{name}: {found} in {cpu:.3f} s of CPU, {took:.3f} s; {memory()}")


def memory() -> str:
    """Give the most memory that this process ever held."""
    return f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB at most"


def fill(path: Path, groups: int, operations: int, minutes: int) -> None:
    """Write a catalogue of a day."""
    store = SqliteStore(path)
    Day(groups, operations, minutes).write_to(store)
    kept = Kept(DAY, 7 * DAY, 14 * DAY)
    store.tidy(kept, now=BEGIN + minutes * MINUTE, most_texts=operations)
    store.close()


class Day:
    """A day that is made up."""

    def __init__(self, groups: int, operations: int, minutes: int) -> None:
        self._groups = groups
        self._minutes = minutes
        self._chance = np.random.default_rng(SEED)
        self._seen = [
            Seen(
                f"text {n}", f"service {n % 50}", f"GET /{n}", number=n + 1, at=self._start(-WINDOW)
            )
            for n in range(operations)
        ]
        self._rows = [RowKey(*each.row) for each in self._seen]

    def write_to(self, store: Store) -> None:
        """Write a batch for each minute, and the texts with the last."""
        texts = [each.text(row) for row, each in enumerate(self._seen)]
        for minute in range(self._minutes):
            is_last = minute == self._minutes - 1
            counts = {self._start(minute): Counts(1_000, self._tables(minute - self._minutes))}
            store.write(
                Batch(
                    "one",
                    minute + 1,
                    self._rows,
                    services=[],
                    texts=texts if is_last else [],
                    counts=counts,
                    failures=self._failures(minute),
                )
            )

    def _start(self, minute: int) -> int:
        """Give when a minute begins; one below 0 counts from the end."""
        return BEGIN + (minute if minute >= 0 else self._minutes + minute) * MINUTE

    def _tables(self, minute: int) -> dict[str, Table]:
        """Give what is counted in a minute, from the end."""
        every = len(self._rows)
        seen = every if minute >= -COMPARED else every // SHARE
        keys = np.sort(self._chance.choice(every, seen, replace=False)) + 1
        cells = np.tile(np.arange(CELLS), len(keys))
        if minute >= -WINDOW:
            cells += LATER_CELLS * (np.repeat(keys, CELLS) % SLOW == 0)
        return {
            "rows": self._table([keys], 2),
            "times": self._table([np.repeat(keys, CELLS), cells], 1),
            "nexts": self._table([keys, np.roll(keys, 1)], 1),
        }

    def _table(self, keys: list[np.ndarray], width: int) -> Table:
        """Give numbers as spans have them."""
        values = self._chance.geometric(0.01, (len(keys[0]), width))
        return Table.of(np.stack(keys, axis=1).astype(np.int64), values.astype(np.int64))

    def _failures(self, minute: int) -> list[FailedTrace]:
        seen = self._chance.choice(self._groups, self._groups // SHARE, replace=False)
        return [failed(int(group), minute, self._start(minute)) for group in seen]


def failed(group: int, minute: int, start: int) -> FailedTrace:
    """Give a trace of a group in a minute."""
    trace = (group * 100_000 + minute + 1).to_bytes(16)
    words = f"it failed {f'{group:04}'.translate(LETTERS)}"
    failure = Failure(f"service {group % 50}", f"GET /{group}", "", words)
    return FailedTrace(trace, trace[:8], (start + group % 60) * NANOSECONDS, failure, ("front",))


LETTERS = str.maketrans("0123456789", "abcdefghij")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--groups", type=int, default=500)
    parser.add_argument("--operations", type=int, default=10_000)
    parser.add_argument("--minutes", type=int, default=1_440)
    main(**vars(parser.parse_args()))
