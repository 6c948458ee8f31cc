"""Compares the default engine with sentence-transformers: `python -m tests.bench.reference`.

The texts are those of the spans in files of OTLP, or of spans made up; each
counts once, however many spans have it. What is compared runs in turns, on the
same texts and as many threads.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from loky import cpu_count
from rich.console import Console
from rich.table import Table
from sentence_transformers import SentenceTransformer

from otel_embedder.embedder.bulk import BulkEmbedder
from otel_embedder.embedder.models.choice import DEFAULT_MODEL, ModelChoice
from otel_embedder.embedder.models.engines import load_model, model_choice
from otel_embedder.embedder.models.weights import find_weights
from otel_embedder.settings import load_settings
from tests.bench.machine import cpu_model
from tests.bench.texts import made_up_texts, texts_of_file

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from otel_embedder.embedder.embedding import Model, Vector
    from otel_embedder.embedder.models.choice import Engine

    Embed = Callable[[list[str]], Vector]

PACKAGES = ("ctranslate2", "torch", "sentence-transformers", "transformers", "numpy")
ENGINES: tuple[Engine, ...] = ("ctranslate2", "sentence-transformers")
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
    embed: Embed
    rates: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def take_turn(self, texts: list[str]) -> None:
        started, cpu_before = time.perf_counter(), time.process_time()
        self.embed(texts)
        self.rates.append(len(texts) / (time.perf_counter() - started))
        self.cpu.append((time.process_time() - cpu_before) / len(texts) * MILLISECONDS)

    def median_rate(self) -> float:
        return statistics.median(self.rates)

    def median_cpu(self) -> float:
        return statistics.median(self.cpu)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.reference", description=__doc__)
    parser.add_argument("files", nargs="*", metavar="FILE", help="OTLP; else spans are made up")
    parser.add_argument("--turns", type=int, default=3, help="of each engine; 3, if not said")
    parser.add_argument("--texts", type=int, default=300, help="of each file; 300, if not said")
    arguments = parser.parse_args()
    console = Console()
    console.print(machine())
    sets = {Path(file).name: texts_of_file(file) for file in arguments.files} or made_up_texts()
    with console.status("Loading the models"):
        embed = engines()
    cosines = []
    for name, texts in sets.items():
        with console.status(f"Embedding {name}"):
            some = sample(texts, arguments.texts)
            cosines.append(compare(console, name, some, embed, arguments.turns))
    console.print(f"all texts: {words_of(np.concatenate(cosines))}")


def machine() -> str:
    """Name what the numbers are true of."""
    packages = ", ".join(f"{package} {version(package)}" for package in PACKAGES)
    # What else runs takes more from one engine than from another.
    load = os.getloadavg()[0]
    cpus = f"{cpu_model()}, {cpu_count()} threads, load before {load:.1f}"
    return f"{cpus}\nPython {platform.python_version()}, {packages}"


def sample(texts: Sequence[str], count: int) -> list[str]:
    """Give so many of the texts, from all over the list, or all."""
    if len(texts) <= count:
        return list(texts)
    return [texts[index * len(texts) // count] for index in range(count)]


def engines() -> dict[str, Embed]:
    """Give what is compared; the first is measured against the others.

    `encode` with its own batches, padded, is how sentence-transformers is used. The reference
    engine has it encode each text alone, so that the same text has the same bits.
    """
    default, reference = (load_model(choice(engine)) for engine in ENGINES)
    plain = SentenceTransformer(
        str(find_weights(DEFAULT_MODEL).directory),
        device="cpu",
        local_files_only=True,
        model_kwargs={"dtype": "float32"},
    )

    def encoded(texts: list[str]) -> Vector:
        torch.set_num_threads(cpu_count())
        vectors: Vector = plain.encode(texts, batch_size=BATCH_SIZE)
        torch.set_num_threads(1)  # as the reference engine has it
        return vectors

    return {
        "default engine": lambda texts: embedded(default, texts),
        "sentence-transformers": encoded,
        "reference engine": lambda texts: embedded(reference, texts),
    }


def choice(engine: Engine) -> ModelChoice:
    return replace(model_choice(load_settings({})), engine=engine)


def embedded(model: Model, texts: list[str]) -> Vector:
    with BulkEmbedder(model, threads=cpu_count(), max_texts=len(texts)) as embedder:
        return np.stack([embedding.vector for embedding in embedder.embed(texts)])


def compare(
    console: Console, name: str, texts: list[str], engines: Mapping[str, Embed], turns: int
) -> Vector:
    """Print how the engines do on some texts; give the cosines of the first two: shape (texts,)."""
    contestants = [Contestant(engine, embed) for engine, embed in engines.items()]
    ours, theirs, *_ = (contestant.embed(texts) for contestant in contestants)
    cosines: Vector = (ours * theirs).sum(axis=1)
    for _ in range(turns):
        for contestant in contestants:
            contestant.take_turn(texts)
    console.print(table_of(contestants, f"{len(texts)} texts of {name}, medians of {turns} turns"))
    console.print(f"{words_of(cosines)}\n")
    return cosines


def words_of(cosines: Vector) -> str:
    mean, worst = float(cosines.mean(dtype=np.float64)), float(cosines.min())
    return (
        f"cosine of {len(cosines)} texts to the reference: mean {mean:.5f}, goal "
        f"{verdict(mean, MEAN_COSINE)}; worst {worst:.5f}, goal {verdict(worst, WORST_COSINE)}"
    )


def table_of(contestants: Sequence[Contestant], title: str) -> Table:
    table = Table("", "texts/s", "slower by", "goal", "CPU, ms", title=title)
    default = contestants[0]
    for contestant in contestants:
        rates, times = contestant.rates, default.median_rate() / contestant.median_rate()
        others = contestant is not default
        table.add_row(
            contestant.name,
            f"{contestant.median_rate():.0f} ({min(rates):.0f}-{max(rates):.0f})",
            f"{times:.1f} x" if others else "",
            verdict(times, TIMES_FASTER, " x") if others else "",
            f"{contestant.median_cpu():.1f}",
        )
    return table


def verdict(value: float, goal: float, unit: str = "") -> str:
    met = "[green]met[/]" if value >= goal else "[red]missed[/]"
    return f"{goal:g}{unit}: {met}"


if __name__ == "__main__":
    main()
