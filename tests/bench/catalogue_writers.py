"""Two processes write one catalogue, one tidies and reads it: is anything lost, or there twice?

The suite does the same with few batches; this goes on for as long as you like.
"""

from __future__ import annotations

import argparse
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic

from otel_embedder.search.stores.opening import open_store
from otel_embedder.search.times import HOUR, MINUTE
from tests.support.catalogue_writer import BATCHES_A_MINUTE, WriterProcess, check
from tests.support.catalogues import KEPT

WRITERS = ("one", "other")
WITHOUT_END = 1_000_000
READ_EVERY = 20  # batches


def run(path: Path, seconds: float) -> dict[str, int]:
    """Write and read for so long, and check; gives the last numbers by writer."""
    end = monotonic() + seconds
    with (
        closing(open_store(f"sqlite:///{path}")) as store,
        WriterProcess(path, WRITERS[0], batches=WITHOUT_END) as one,
        WriterProcess(path, WRITERS[1], batches=WITHOUT_END) as other,
    ):
        while monotonic() < end:
            said = [max(each.next_number() for _ in range(READ_EVERY)) for each in (one, other)]
            now = min(said) // BATCHES_A_MINUTE * MINUTE
            store.tidy(KEPT._replace(minutes=HOUR), now=now, most_texts=WITHOUT_END)
            buckets = store.buckets(since=0, until=now + HOUR)
            roots = sum(bucket.counts.roots for bucket in buckets)
            assert roots >= sum(number * (number + 1) // 2 for number in said)
        one.kill()
        other.kill()
        written = {writer: store.last_number(writer) for writer in WRITERS}
        check(store, written)
    return written


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.catalogue_writers", description=__doc__
    )
    parser.add_argument("--seconds", type=float, default=60)
    with TemporaryDirectory() as folder:
        written = run(Path(folder, "catalogue.db"), parser.parse_args().seconds)
    print(f"nothing lost, nothing twice; batches written: {written}")  # noqa: T201


if __name__ == "__main__":
    main()
