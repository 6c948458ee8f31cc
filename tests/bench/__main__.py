"""Runs all measurements and prints them as tables."""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

from loky import cpu_count
from rich.console import Console
from rich.table import Table

from tests.bench import library, model, passing, rendering, start, workers
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


# By load and contestant: how many times the CPU of the processor in Go that does the same.
GOALS = {
    ("512 spans", "sidecar, array"): 0.30,
    ("512 spans", "sidecar, bytes"): 0.85,
    ("64 spans", "sidecar, array"): 0.55,
    ("64 spans", "sidecar, bytes"): 1.3,
}
# The same of a Collector that passes on.
COLLECTOR_GOALS = {("512 spans", "sidecar, attach new"): 1.6}

# How many times the spans of one process two workers carry.
WORKERS_GOAL = 1.6

FULL = Extent(rounds=5, requests=100, texts=1_000, starts=5)
QUICK = Extent(rounds=3, requests=40, texts=200, starts=1)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="measure less: two minutes")
    extent = QUICK if parser.parse_args().quick else FULL
    console = Console()
    console.print(machine())
    for measure in (
        measure_passing,
        measure_workers,
        measure_rendering,
        measure_model,
        measure_library,
        measure_start,
    ):
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
        "Passing spans on as a Collector writes them, texts all known: CPU, us/span, "
        f"medians of {extent.rounds} turns"
    )
    columns = ("requests of", "", "CPU, us/span", "x Collector", "x Go", "goal", "spans/s")
    table = Table(*columns, title=title)
    with (
        TemporaryDirectory() as scratch,
        passing.running_contestants() as contestants,
        console.status("Passing spans on"),
    ):
        for course in passing.courses(contestants, Path(scratch)):
            course.warm_up()
            course.run(extent.rounds, extent.requests)
            for contestant in contestants:
                table.add_row(*passing_row(course, contestant, contestants[0]))
            table.add_section()
    console.print(table)


def passing_row(
    course: passing.Course, contestant: passing.Contestant, first: passing.Contestant
) -> list[str]:
    """Give what a table says of a contestant on a course."""
    cpu = course.cpu(contestant.name)
    median = statistics.median(cpu)
    by_first = median / statistics.median(course.cpu(first.name))
    by_go = median / statistics.median(course.cpu(contestant.peer)) if contestant.peer else None
    measured = course.load.name, contestant.name
    by_goal = by_first if by_go is None else by_go
    goal = GOALS.get(measured) or COLLECTOR_GOALS.get(measured)
    return [
        course.load.name if contestant is first else "",
        contestant.name,
        f"{median:.1f} ({min(cpu):.1f}-{max(cpu):.1f})",
        f"{by_first:.1f}",
        "" if by_go is None else f"{by_go:.2f}",
        verdict(by_goal, goal, "x"),
        f"{course.median_rate(contestant):,.0f}",
    ]


def measure_workers(console: Console, extent: Extent) -> None:
    columns = ("", "loops, us/span", "busiest has", "carries at most", "", "goal", "memory")
    table = Table(*columns, title=f"Several workers: medians of {extent.rounds} turns")
    with TemporaryDirectory() as scratch, console.status("Passing spans on by workers"):
        carried = workers.carried(Path(scratch), extent.rounds, extent.requests)
    for each in carried:
        ratio = each.most / carried[0].most
        table.add_row(
            each.name,
            f"{each.cpu:.1f}",
            f"{each.share:.0%}",
            f"{each.most:,.0f} spans/s",
            f"x {ratio:.2f}",
            "" if each is carried[0] else at_least(ratio, WORKERS_GOAL),
            " + ".join(f"{size / MEGABYTE:.0f}" for size in each.memory) + " MB",
        )
    console.print(table)


def measure_rendering(console: Console, extent: Extent) -> None:
    table = Table(
        "", *rendering.PROFILES, title="Rendering a span never seen / known, CPU, us/span"
    )
    with console.status("Rendering"):
        costs = rendering.costs(extent.texts)
    for kind, by_profile in costs.items():
        table.add_row(kind, *(f"{cost.unseen:.0f} / {cost.known:.1f}" for cost in by_profile))
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
        warm = starter.warm(extent.starts)
    for name, starts, goal in (
        ("first answer, with a converted model", converted, 1.5),
        ("first answer, without one", fresh, 3.0),
        ("first answer, with a catalogue", warm.with_one, warm.without.seconds + 0.1),
    ):
        seconds = f"{starts.seconds:.2f} s ({', '.join(sorted(starts.sources))})"
        table.add_row(name, seconds, verdict(starts.seconds, goal, "s"))
    memory = f"{megabytes:.0f} MB"
    after = f"resident memory after {start.SPANS} spans of {start.TEXTS} texts"
    table.add_row(after, memory, verdict(megabytes, 200, "MB"))
    hits = f"{warm.after:.3f} of texts known, {warm.before:.3f} before"
    share = f".95: {'[green]met[/]' if warm.after >= 0.95 * warm.before else '[red]missed[/]'}"
    table.add_row("the first minute, with a catalogue", hits, share)
    console.print(table)


def verdict(value: float, goal: float | None, unit: str) -> str:
    if goal is None:
        return ""
    met = "[green]met[/]" if value <= goal else "[red]missed[/]"
    return f"{goal:g} {unit}: {met}"


def at_least(value: float, goal: float) -> str:
    return f"{goal:g} x: {'[green]met[/]' if value >= goal else '[red]missed[/]'}"


if __name__ == "__main__":
    main()
