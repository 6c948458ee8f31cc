"""Runs all measurements and prints them as tables."""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

from loky import cpu_count
from rich.console import Console
from rich.table import Table

from tests.bench import library, model, passing, start
from tests.bench.load import SPANS_A_REQUEST
from tests.support.processes import collector_binary

PACKAGES = ("grpcio", "protobuf", "numpy", "ctranslate2")
MEGABYTE = 1_000_000


@dataclass(frozen=True, slots=True)
class Extent:
    """How much to measure."""

    rounds: int
    requests: int
    texts: int
    starts: int


FULL = Extent(rounds=7, requests=200, texts=1_000, starts=5)
QUICK = Extent(rounds=3, requests=60, texts=200, starts=1)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="measure less: half a minute")
    extent = QUICK if parser.parse_args().quick else FULL
    console = Console()
    console.print(machine())
    for measure in (measure_passing, measure_model, measure_library, measure_start):
        measure(console, extent)


def machine() -> str:
    """Name what the numbers are true of."""
    collector = subprocess.check_output([collector_binary(), "--version"], text=True).strip()
    packages = ", ".join(f"{package} {version(package)}" for package in PACKAGES)
    return (
        f"{cpu_model()}, {cpu_count()} of {os.cpu_count()} CPUs\n"
        f"Python {platform.python_version()}, {packages}\n{collector}"
    )


def cpu_model() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return next((line.split(": ")[1] for line in lines if "model name" in line), "unknown CPU")


def measure_passing(console: Console, extent: Extent) -> None:
    title = (
        f"Passing spans on: requests of {SPANS_A_REQUEST} spans, texts all known, "
        f"medians of {extent.rounds} turns"
    )
    table = Table("", "CPU, us/span", "ratio", "goal", "spans/s", title=title)
    with console.status("Passing spans on"), passing.running_contestants() as contestants:
        for _ in range(extent.rounds):
            for contestant in contestants:
                contestant.take_turn(extent.requests)
    for contestant in contestants:
        ratio = contestant.median_cpu() / contestants[0].median_cpu()
        table.add_row(
            contestant.name,
            f"{contestant.median_cpu():.1f} ({min(contestant.cpu):.1f}-{max(contestant.cpu):.1f})",
            f"{ratio:.1f} x",
            verdict(ratio, contestant.goal, "x"),
            f"{contestant.median_rate():,.0f}",
        )
    console.print(table)


def measure_model(console: Console, extent: Extent) -> None:
    table = Table("", "", title="The model")
    with console.status("Loading the model"):
        loaded = model.loaded_model()
    with console.status("Embedding many texts"):
        rate = model.texts_a_second(loaded, extent.texts)
        table.add_row(f"{extent.texts} texts, {cpu_count()} at a time", f"{rate:.0f} texts/s")
    with console.status("Embedding one text alone"):
        for tokens in model.LENGTHS:
            alone = model.milliseconds_alone(loaded, tokens)
            table.add_row(f"one text alone, {tokens} tokens", f"{alone:.1f} ms")
    console.print(table)


def measure_library(console: Console, extent: Extent) -> None:
    table = Table("", "median", "slowest", "goal", title="The library, one trace a call")
    with console.status("Calling the library"):
        known, unknown = library.cached_and_uncached(extent.texts)
    for name, calls, goal in (("known text", known, 1.0), ("new text", unknown, 100.0)):
        median, slowest = f"{calls.median:.2f} ms", f"{calls.slowest:.1f} ms"
        table.add_row(name, median, slowest, verdict(calls.median, goal, "ms"))
    console.print(table)


def measure_start(console: Console, extent: Extent) -> None:
    table = Table("", "", "goal", title="Start and memory")
    with TemporaryDirectory() as scratch, console.status("Starting"):
        starter = start.Starter(Path(scratch))
        converted = starter.with_converted_model(extent.starts)
        fresh = starter.without_converted_model(extent.starts)
        megabytes = starter.resident_bytes() / MEGABYTE
    for name, starts, goal in (
        ("first answer, with a converted model", converted, 1.5),
        ("first answer, without one", fresh, 3.0),
    ):
        seconds = f"{starts.seconds:.2f} s ({', '.join(sorted(starts.sources))})"
        table.add_row(name, seconds, verdict(starts.seconds, goal, "s"))
    memory = f"{megabytes:.0f} MB"
    after = f"resident memory after {start.SPANS} spans of {start.TEXTS} texts"
    table.add_row(after, memory, verdict(megabytes, 200, "MB"))
    console.print(table)


def verdict(value: float, goal: float | None, unit: str) -> str:
    if goal is None:
        return ""
    met = "[green]met[/]" if value <= goal else "[red]missed[/]"
    return f"{goal:g} {unit}: {met}"


if __name__ == "__main__":
    main()
