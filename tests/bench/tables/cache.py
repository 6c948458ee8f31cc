"""What a look-up costs in caches of few and of many texts, and what an entry takes in memory."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import statistics
import subprocess
import sys
import time
from random import Random
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from otel_embedder.embedder.cache import CachingEmbedder
from otel_embedder.embedder.embedding import Embedding, WantedText
from tests.bench.requests import unseen_words
from tests.bench.results import Column, Curves, Table, goal
from tests.support.fakes import DIMENSION, FakeEmbedder, FakeMetrics
from tests.support.processes import own_environment, resident_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.bench.extent import Extent

COLUMNS = (
    Column("texts", ",.0f"),
    Column("look-up of the last 500, us", ".2f"),
    Column("x of the fewest", ".2f"),
    Column("goal"),
    Column("of any, us", ".2f"),
    Column("of any, x of the fewest", ".2f"),
    Column("bytes an entry", ",.0f"),
)
GOAL = 1.3
RECENT = 500
A_REQUEST = 370  # distinct texts of 512 spans
REQUESTS = 200
SEED = 7
MOST_ROUNDS = 3  # to fill a million takes some ten seconds
# As long as a span's text is.
SENTENCE = (
    "checkout service post cart items server 200 ok shop example payment gateway retry {words}"
)


class Measured(NamedTuple):
    """What a cache costs.

    Attributes:
        recent: microseconds a look-up of one of the texts that were asked for last.
        any_: the same of one of all.
        entry: bytes of memory.

    """

    recent: float
    any_: float
    entry: float


def measure(extent: Extent) -> Table:
    """Fill caches of each size, each in a process of its own, turn about."""
    table = Table("A cache of so many texts, in process: CPU", COLUMNS)
    rounds = min(extent.rounds, MOST_ROUNDS)
    turns = [[_measured_apart(size) for size in extent.cache] for _ in range(rounds)]
    medians = [
        Measured(*map(statistics.median, zip(*each, strict=True)))
        for each in zip(*turns, strict=True)
    ]
    least = medians[0]
    for size, each in zip(extent.cache, medians, strict=True):
        recent, any_ = each.recent / least.recent, each.any_ / least.any_
        verdict = goal(recent, GOAL, "x")
        table.add(size, each.recent, recent, verdict, each.any_, any_, each.entry)
    table.notes.append(
        "look-ups of any text wait for the machine's memory: spans whose texts recur don't ask so"
    )
    table.curves = Curves("texts", along=0, up=1)
    return table


def _measured_apart(size: int) -> Measured:
    """Measure in a process of its own, whose heap has no gaps to put entries in."""
    command = [sys.executable, "-m", __name__, str(size)]
    return Measured(*json.loads(subprocess.check_output(command, env=own_environment({}))))


async def _filled_and_asked(size: int) -> Measured:
    cache = CachingEmbedder(FakeEmbedder(), max_texts=size, metrics=FakeMetrics())
    # What else grows with the first of it is not the cache's.
    before = _resident()
    vectors = np.random.default_rng(SEED)
    for number in range(size):
        vector = vectors.standard_normal(DIMENSION, dtype=np.float32)
        cache.recall(_text(number), Embedding(vector, "fake-model", "model"))
    entry = (_resident() - before) / size
    random = Random(SEED)
    anything = [random.choices(range(size), k=A_REQUEST) for _ in range(REQUESTS)]
    recent = [random.choices(range(min(size, RECENT)), k=A_REQUEST) for _ in range(REQUESTS)]
    return Measured(_microseconds(cache, recent), _microseconds(cache, anything), entry)


def _text(number: int) -> str:
    return f"{SENTENCE.format(words=unseen_words(number))} {number}"


def _microseconds(cache: CachingEmbedder, requests: Sequence[Sequence[int]]) -> float:
    """Give what a look-up costs; texts are made anew, as a renderer makes them."""
    wanted = [
        [WantedText(_text(number), urgent=False) for number in request] for request in requests
    ]
    cache.embed(wanted[0])
    started = time.thread_time()
    for texts in wanted:
        cache.embed(texts)
    return (time.thread_time() - started) / len(requests) / A_REQUEST * 1e6


def _resident() -> int:
    gc.collect()
    return resident_bytes(os.getpid())


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(_filled_and_asked(int(sys.argv[1])))))
