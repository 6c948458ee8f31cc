"""How long it takes to ask a catalogue of a busy day for its groups of failures.

`python -m tests.bench.groups [--groups 500] [--operations 10000] [--minutes 1440]`: a catalogue in
a file of its own, in which in each minute a sixth of the operations and of the groups were seen.
"""

from __future__ import annotations

import argparse
import resource
import time
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from rich.console import Console

from otel_embedder.search.asking.queries import GroupsQuery
from otel_embedder.search.counts import Counts, Table
from otel_embedder.search.entries import RowKey
from otel_embedder.search.groups.asking import Groups
from otel_embedder.search.groups.failed import FailedTrace, Failure
from otel_embedder.search.store import Batch
from otel_embedder.search.stores.sqlite import SqliteStore
from otel_embedder.search.times import DAY, MINUTE, NANOSECONDS, Kept

BEGIN = 1_700_000_040 // DAY * DAY
SEED = 11
CELLS = 4  # of self times, a row
SHARE = 6


def main(groups: int, operations: int, minutes: int) -> None:
    """Fill a catalogue, ask it, and print what that took."""
    console = Console()
    with TemporaryDirectory() as folder:
        store = SqliteStore(Path(folder) / "day.db")
        began = time.perf_counter()
        fill(store, groups, operations, minutes)
        now = BEGIN + minutes * MINUTE
        store.tidy(Kept(DAY, 7 * DAY, 14 * DAY), now=now, most_texts=1_000)
        console.print(f"filled in {time.perf_counter() - began:.0f} s, {store.size() / 1e6:.0f} MB")
        asked = Groups(store, link=lambda *_: "", clock=lambda: datetime.fromtimestamp(now, UTC))
        for query in (GroupsQuery.model_validate({"since": "1d"}), GroupsQuery()):
            for _ in range(3):
                began, cpu = time.perf_counter(), time.process_time()
                answer = asked.find(query)
                took, cpu = time.perf_counter() - began, time.process_time() - cpu
                console.print(
                    f"{answer.total} groups since {query.since}: {took:.3f} s, {cpu:.3f} s of CPU"
                )
        console.print(
            f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB at most"
        )
        store.close()


def fill(store: SqliteStore, groups: int, operations: int, minutes: int) -> None:
    """Write a batch for each minute."""
    chance = np.random.default_rng(SEED)
    rows = [RowKey(f"service {n % 50}", f"GET /{n}", "SERVER", f"{n}") for n in range(operations)]
    for minute in range(minutes):
        start = BEGIN + minute * MINUTE
        keys = np.sort(chance.choice(operations, operations // SHARE, replace=False)) + 1
        cells = np.tile(np.arange(CELLS), len(keys))
        tables = {
            "rows": table([keys], chance, 2),
            "times": table([np.repeat(keys, CELLS), cells], chance, 1),
            "nexts": table([keys, np.roll(keys, 1)], chance, 1),
        }
        traces = [
            failed(int(number), minute, start)
            for number in chance.choice(groups, groups // SHARE, replace=False)
        ]
        counts = {start: Counts(1_000, tables)}
        store.write(Batch("one", minute + 1, rows, [], [], counts, failures=traces))


def table(keys: list[np.ndarray], chance: np.random.Generator, width: int) -> Table:
    """Give numbers as spans have them."""
    values = chance.geometric(0.01, (len(keys[0]), width))
    return Table.of(np.stack(keys, axis=1).astype(np.int64), values.astype(np.int64))


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
