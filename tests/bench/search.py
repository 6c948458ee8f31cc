"""How long a catalogue takes to open and to search: `python -m tests.bench.search [TEXTS ...]`.

The texts are made up: some thousand operations of ninety services, each in many
variants; their vectors lie about those of their operations, so that neighbours are
as near as those of real texts. Questions go through the model, if it is there. By the
clock, and in CPU time of all threads: on a busy machine only that says anything.
"""

from __future__ import annotations

import argparse
import resource
import time
from functools import partial
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.table import Table

from otel_embedder.embedder.bulk import BulkEmbedder
from otel_embedder.embedder.models.choice import (
    DEFAULT_ENGINE,
    DEFAULT_MODEL,
    ModelChoice,
    default_cache,
)
from otel_embedder.embedder.models.engines import load_model
from otel_embedder.search.asking.queries import LikeQuery, SearchQuery
from otel_embedder.search.catalogue import Catalogue
from otel_embedder.search.counts import Counts
from otel_embedder.search.counts import Table as CountTable
from otel_embedder.search.entries import Embedded, Example, Examples, RowKey, SeenText
from otel_embedder.search.links import trace_link
from otel_embedder.search.store import Batch
from otel_embedder.search.stores.sqlite import SqliteStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from otel_embedder.embedder.embedding import Vector

SIZES = (100_000,)
FOLDER = Path("build/bench")
SEED = 7
TEXT_VERSION = "words-1"
DIMENSION = 384
AT_ONCE = 10_000
NOON = 1_772_366_400
SECONDS = 1_000_000_000
ROUNDS = 60

SERVICES = [
    f"{name} {part}"
    for name in (
        "cart",
        "payment",
        "order",
        "checkout",
        "currency",
        "email",
        "shipping",
        "stock",
        "user",
        "search",
        "advert",
        "recommendation",
        "price",
        "invoice",
        "bank",
        "fraud",
        "catalog",
        "image",
    )
    for part in ("service", "gateway", "worker", "api", "store")
]
VERBS = ("get", "post", "put", "delete", "select read", "insert add", "publish", "consume", "list")
THINGS = (
    "cart",
    "items",
    "order",
    "payment",
    "address",
    "price",
    "rate",
    "user",
    "session",
    "token",
    "message",
    "invoice",
    "stock",
    "image",
    "review",
    "rule",
    "report",
    "quote",
    "card",
    "refund",
)
ENDS = (
    "",
    "200 ok",
    "404 not found",
    "500 internal server error",
    "deadline exceeded timeout",
    "connection refused",
    "unavailable",
    "slow",
    "permission denied",
    "invalid argument",
)
QUESTIONS = (
    "card payments time out at the bank",
    "the cart can't reach its store",
    "orders are refused as invalid",
    "who deletes user sessions",
    "slow image search",
    "permission denied for invoices",
    "currency rates are not found",
    "email messages unavailable",
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.search", description=__doc__)
    parser.add_argument("texts", nargs="*", type=int, default=SIZES)
    console = Console()
    embedder = _embedder()
    for size in parser.parse_args().texts:
        console.print(measure(size, embedder))


def _embedder() -> BulkEmbedder:
    choice = ModelChoice(DEFAULT_ENGINE, DEFAULT_MODEL, default_cache(), 1)
    return BulkEmbedder(load_model(choice), threads=1, max_texts=1)


def measure(size: int, embedder: BulkEmbedder) -> Table:
    path = FOLDER / f"catalogue-{size}.db"
    table = Table("of", "p50", "p95", "CPU p50", "CPU p95", title=f"{size:,} texts")
    if not path.exists():
        seconds, cpu = _taking(lambda: write(path, size))
        table.add_row("written", f"{seconds:,.0f} s", "", f"{cpu:,.0f} s")
    before = _resident()
    store = SqliteStore(path, readonly=True)
    catalogue = Catalogue(
        store, embedder, model=DEFAULT_MODEL, text_version=TEXT_VERSION, link=trace_link(None)
    )
    embedder.embed(["first"])  # the model is loaded before
    seconds, cpu = _taking(lambda: catalogue.search(SearchQuery(question="first")))
    table.add_row("opened, with the first answer", f"{seconds:,.1f} s", "", f"{cpu:,.1f} s")
    for name, ask in _asked(catalogue).items():
        columns = (sorted(each) for each in zip(*_times(ask), strict=True))
        shares = (each[int(ROUNDS * share)] for each in columns for share in (0.5, 0.95))
        table.add_row(name, *(f"{seconds * 1_000:,.0f} ms" for seconds in shares))
    table.add_row("memory", f"{(_resident() - before) / 1e6:,.0f} MB", "")
    table.add_row(
        "on disk", f"{store.size() / 1e6:,.0f} MB", f"{store.size() / size:,.0f} B a text"
    )
    store.close()
    return table


def _asked(catalogue: Catalogue) -> dict[str, Callable[[str], object]]:
    return {
        "question": lambda question: catalogue.search(SearchQuery(question=question)),
        "question, one service": lambda question: catalogue.search(
            SearchQuery(question=question, service=("cart service",))
        ),
        "question, errors": lambda question: catalogue.search(
            SearchQuery(question=question, status=("ERROR",))
        ),
        "like a text": lambda question: catalogue.like(LikeQuery(like=question)),
    }


def _times(ask: Callable[[str], object]) -> Iterator[tuple[float, float]]:
    for number in range(ROUNDS):
        question = f"{QUESTIONS[number % len(QUESTIONS)]} {THINGS[number % len(THINGS)]}"
        yield _taking(partial(ask, question))


def _taking(act: Callable[[], object]) -> tuple[float, float]:
    """Give the seconds that something takes by the clock, and of CPU."""
    started, cpu = time.perf_counter(), time.process_time()
    act()
    return time.perf_counter() - started, time.process_time() - cpu


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def write(path: Path, size: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    made = path.with_suffix(".part")
    made.unlink(missing_ok=True)
    store = SqliteStore(made)
    for number, texts in enumerate(_some(size), start=1):
        store.write(batch_of(texts, number))
    store.close()
    made.replace(path)


def _some(size: int) -> Iterator[list[tuple[RowKey, str, str, Vector]]]:
    random, vectors = Random(SEED), np.random.default_rng(SEED)
    bases: dict[RowKey, Vector] = {}
    seen: set[str] = set()
    some: list[tuple[RowKey, str, str, Vector]] = []
    while len(seen) < size:
        service, verb, thing = (random.choice(each) for each in (SERVICES, VERBS, THINGS))
        row = RowKey(service, f"{verb} {thing}", "SERVER", f"{service} {verb} {thing} server")
        end = random.choice(ENDS)
        more = " ".join(random.choices(THINGS, k=random.randint(1, 7)))
        text = f"{end} | {row.words} {more} {random.randint(0, size)}x"
        if text in seen:
            continue
        seen.add(text)
        base = bases.setdefault(row, vectors.standard_normal(DIMENSION).astype(np.float32))
        vector = base + 0.6 * vectors.standard_normal(DIMENSION).astype(np.float32)
        some.append((row, text, "ERROR" if end[:1].isdigit() else "UNSET", vector))
        if len(some) == AT_ONCE:
            yield some
            some = []
    if some:
        yield some


def batch_of(texts: Sequence[tuple[RowKey, str, str, Vector]], number: int) -> Batch:
    rows = {row: place for place, row in enumerate(dict.fromkeys(row for row, *_ in texts))}
    minute = NOON + number * 60
    seen = []
    for place, (row, text, status, vector) in enumerate(texts):
        ids = (number * AT_ONCE + place).to_bytes(16)
        example = Example(ids, ids[8:], minute * SECONDS + place, 1_000 * (place + 1))
        unit = vector / np.linalg.norm(vector)
        embedded = Embedded(DEFAULT_MODEL, unit)
        seen.append(SeenText(text, TEXT_VERSION, rows[row], status, Examples.of(example), embedded))
    keys = np.arange(1, len(texts) + 1)[:, None]
    counts = Counts(0, {"texts": CountTable.of(keys, np.ones((len(texts), 3), np.int64))})
    return Batch("bench", number, [*rows], [], seen, {minute: counts})


if __name__ == "__main__":
    main()
