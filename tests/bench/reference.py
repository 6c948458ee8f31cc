"""Compares the default engine with sentence-transformers: `python -m tests.bench.reference [FILE...]`.

The texts are those of the spans in files of OTLP, or of spans made up; each
counts once, however many spans have it. What is compared runs in turns, on the
same texts and as many threads.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from loky import cpu_count
from rich.console import Console
from rich.table import Table
from sentence_transformers import SentenceTransformer

from otel_embedder.choices import DEFAULT_MODEL
from otel_embedder.embedder.bulk import BulkEmbedder
from otel_embedder.embedder.engines import ModelChoice, load_model
from otel_embedder.embedder.weights import find_weights
from otel_embedder.settings import load_settings
from tests.bench.__main__ import cpu_model
from tests.bench.texts import made_up_texts, texts_of_file

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from otel_embedder.choices import Engine
    from otel_embedder.embedder import Vector

PACKAGES = ("ctranslate2", "torch", "sentence-transformers", "transformers", "numpy")
TEXTS_TO_WARM_UP = 32
MILLISECONDS = 1_000
# sentence-transformers' own default.
BATCH_SIZE = 32

MEAN_COSINE = 0.997
WORST_COSINE = 0.99
TIMES_FASTER = 5.0


@dataclass
class Contestant:
    """What embeds texts.

    Attributes:
        name: what it is called in the table.
        embed: gives the texts' vectors, shape (texts, dimension).
        rates: texts a second, one number a turn.
        cpu: milliseconds of CPU a text, one number a turn.

    """

    name: str
    embed: Callable[[list[str]], Vector]
    rates: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def take_turn(self, texts: list[str]) -> None:
        started, cpu_before = time.perf_counter(), time.process_time()
        self.embed(texts)
        self.rates.append(len(texts) / (time.perf_counter() - started))
        self.cpu.append((time.process_time() - cpu_before) / len(texts) * MILLISECONDS)

    def median_rate(self) -> float:
        return statistics.median(self.rates)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.reference", description=__doc__)
    parser.add_argument("files", nargs="*", metavar="FILE", help="OTLP, else spans are made up")
    parser.add_argument("--turns", type=int, default=3, help="of each engine; 3 by default")
    parser.add_argument("--texts", type=int, default=400, help="of each file; 400 by default")
    arguments = parser.parse_args()
    console = Console()
    console.print(machine())
    sets = {Path(file).name: texts_of_file(file) for file in arguments.files} or made_up_texts()
    for name, texts in sets.items():
        compare(console, name, sample(texts, arguments.texts), arguments.turns)


def machine() -> str:
    """Name what the numbers are true of."""
    packages = ", ".join(f"{package} {version(package)}" for package in PACKAGES)
    return f"{cpu_model()}, {cpu_count()} threads\nPython {platform.python_version()}, {packages}"


def sample(texts: Sequence[str], count: int) -> list[str]:
    """Give so many of the texts, or all: from the whole length of the file."""
    if len(texts) <= count:
        return list(texts)
    return [texts[index * len(texts) // count] for index in range(count)]


def compare(console: Console, name: str, texts: list[str], turns: int) -> None:
    default, *others = contestants()
    cosines = (default.embed(texts) * others[0].embed(texts)).sum(axis=1)
    for contestant in (default, *others):
        contestant.embed(texts[:TEXTS_TO_WARM_UP])
    for _ in range(turns):
        for contestant in (default, *others):
            contestant.take_turn(texts)
    console.print(rates_table(f"{len(texts)} texts of {name}, medians of {turns} turns", default, others))
    console.print(
        f"cosine: mean {cosines.mean():.4f} ({verdict(cosines.mean(), MEAN_COSINE)}), "
        f"worst {cosines.min():.4f} ({verdict(cosines.min(), WORST_COSINE)})\n"
    )


def contestants() -> list[Contestant]:
    """Give the default engine, sentence-transformers as people use it, and the reference engine."""
    reference = load("sentence-transformers")
    plain = SentenceTransformer(
        str(find_weights(DEFAULT_MODEL).directory),
        device="cpu",
        local_files_only=True,
        model_kwargs={"dtype": "float32"},
    )
    return [
        Contestant("default engine", bulk(load("ctranslate2"))),
        Contestant("sentence-transformers", partial(plain.encode, batch_size=BATCH_SIZE)),
        Contestant("reference engine", bulk(reference)),
    ]
