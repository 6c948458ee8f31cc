"""A process that writes batches to a catalogue; what is true of them follows from their number.

It says each number that was taken on a line of its own.
"""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Self

from otel_embedder.search.stores.opening import open_store
from otel_embedder.search.times import MINUTE
from tests.support.catalogues import a_batch, a_row, an_example, counts, embedded, plain, seen

if TYPE_CHECKING:
    from pathlib import Path

    from otel_embedder.search.store import Batch, Store

BATCHES_A_MINUTE = 5
TEXTS_A_BATCH = 20
# Some of a batch's texts are those of all writers' batches.
SHARED_TEXTS = 5


def batch_of(writer: str, number: int) -> Batch:
    """Give a writer's batch of a number: always the same."""
    minute = number // BATCHES_A_MINUTE * MINUTE
    words = [f"shared {i}" for i in range(SHARED_TEXTS)]
    words += [f"{writer} {number} {i}" for i in range(TEXTS_A_BATCH - SHARED_TEXTS)]
    texts = [
        seen(each, an_example(minute, trace=writer), vector=embedded(*[float(number)] * 384))
        for each in words
    ]
    tables = counts(
        number,
        rows={(1,): (number, 1)},
        texts={(i + 1,): (1, 0, 0) for i in range(TEXTS_A_BATCH)},
    )
    return a_batch(
        number, writer=writer, rows=[a_row(writer)], texts=texts, minutes={minute: tables}
    )


def check(store: Store, written: dict[str, int]) -> None:
    """Fail if a store doesn't hold just the batches up to these numbers, by writer."""
    roots = sum(number * (number + 1) // 2 for number in written.values())
    until = (max(written.values()) // BATCHES_A_MINUTE + 1) * MINUTE
    buckets = list(store.buckets(since=0, until=until))
    spans = [plain(bucket.counts) for bucket in buckets]
    own_texts = sum(written.values()) * (TEXTS_A_BATCH - SHARED_TEXTS)

    assert {writer: store.last_number(writer) for writer in written} == written
    assert sum(bucket.counts.roots for bucket in buckets) == roots
    assert sum(n for each in spans for n, _ in each["rows"].values()) == roots
    assert (
        sum(n for each in spans for n, *_ in each["texts"].values())
        == sum(written.values()) * TEXTS_A_BATCH
    )
    assert len(store.columns().keys) == own_texts + SHARED_TEXTS
    assert sum(len(part.keys) for part in store.vectors("model")) == own_texts + SHARED_TEXTS
    assert sum(len(part.keys) for part in store.stems()) == own_texts + SHARED_TEXTS


class WriterProcess:
    """The process, as who started it sees it."""

    def __init__(self, path: Path, writer: str, *, batches: int) -> None:
        """Let it write so many batches after those that it wrote before."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(path), writer, str(batches)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self._said = self._process.stdout

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._said.close()

    def next_number(self) -> int:
        """Wait until it says that a batch was taken, and give its number; 0 if it has ended."""
        return int(self._said.readline() or 0)

    def kill(self) -> list[int]:
        """End it at once, and give what it has said up to then and was not read."""
        self._process.kill()
        # The last line may be cut off.
        return [int(line) for line in self._said if line.endswith("\n")]

    def wait(self) -> None:
        """Wait until it has ended, as it should."""
        self._said.read()
        assert self._process.wait() == 0


def main(path: str, writer: str, batches: str) -> None:
    store = open_store(f"sqlite:///{path}")
    last = store.last_number(writer)
    # As one does that was killed before it knew.
    for number in range(max(last, 1), last + int(batches) + 1):
        store.write(batch_of(writer, number))
        print(number, flush=True)  # noqa: T201
    store.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
