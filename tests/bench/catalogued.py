"""What a catalogue costs the way of the spans: `python -m tests.bench.catalogued`.

A sidecar with one and one without take turns, with spans of known texts in traces of eight, each
with ids and times of its own; then others do, since two that are alike differ by some hundredths
for as long as they run. CPU is that of a whole process, until all is counted and written; that of
its event loop alone is what a span may have to wait for. Both have been under way for a turn when
it is begun to measure: the memory in which spans are counted is new then, and each page of it costs
microseconds once. Spans come as fast as they are taken, and more than find room beside their way:
how many were counted is told.
"""

from __future__ import annotations

import argparse
import time
from contextlib import ExitStack, closing
from pathlib import Path
from random import Random
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from rich.console import Console
from rich.table import Table

from otel_embedder.search.stores.opening import open_store
from otel_embedder.search.times import DAY
from tests.bench.cpu import Cpu
from tests.bench.load import sent
from tests.bench.passing import ENCODINGS, MICROSECONDS
from tests.bench.requests import SPANS, same, write
from tests.bench.sink import running_sink
from tests.support.processes import running_sidecar

if TYPE_CHECKING:
    from collections.abc import Iterator

TRACE_SPANS = 8
# Spans are counted an interval after they came.
INTERVAL = 5
UNTIL_WRITTEN = 3.0 * INTERVAL


class Pair(NamedTuple):
    """What two sidecars took, and how many spans the one with a catalogue counted."""

    without: Cpu
    with_: Cpu
    counted: int


def in_traces(requests: int, random: Random) -> Iterator[bytes]:
    """Make requests of the usual texts, whose spans are children of the first of their trace."""
    [usual] = map(ExportTraceServiceRequest.FromString, same(SPANS))
    for _ in range(requests):
        request = ExportTraceServiceRequest.FromString(usual.SerializeToString())
        spans = [*request.resource_spans[0].scope_spans[0].spans]
        random.shuffle(spans)
        now = time.time_ns()
        for number, span in enumerate(spans):
            root = spans[number - number % TRACE_SPANS]
            span.span_id = random.randbytes(8)
            span.trace_id = random.randbytes(16) if span is root else root.trace_id
            span.parent_span_id = b"" if span is root else root.span_id
            took = span.end_time_unix_nano - span.start_time_unix_nano
            span.start_time_unix_nano, span.end_time_unix_nano = now, now + took
        yield request.SerializeToString()


def counted(folder: Path, encoding: str) -> int:
    """Give how many spans a catalogue has."""
    with closing(open_store(f"sqlite:///{folder / encoding}.db", readonly=True)) as store:
        buckets = store.buckets(since=0, until=int(time.time()) + DAY)
        return sum(int(each.counts.table("rows").values[:, 0].sum()) for each in buckets)


def measured(encoding: str, rounds: int, requests: int, folder: Path, random: Random) -> Pair:
    """Give the CPU of a sidecar without a catalogue and of one with, which took turns."""
    file = folder / "requests"
    write([*in_traces(requests + 1, random)], file)
    with ExitStack() as running:
        sink = running.enter_context(running_sink())
        settings = ["--encoding", encoding, "--catalogue-interval", str(INTERVAL)]
        catalogue = ["--catalogue", f"sqlite:///{folder / encoding}.db"]
        sidecars = [
            running.enter_context(running_sidecar(sink, settings=[*settings, *more]))
            for more in ([], catalogue)
        ]
        for sidecar in sidecars:
            sent(sidecar.address, file, requests)
        time.sleep(UNTIL_WRITTEN)
        before = [Cpu.of(sidecar.pid) for sidecar in sidecars]
        for turn in range(rounds):
            write([*in_traces(requests + 1, random)], file)
            for sidecar in sidecars[:: 1 if turn % 2 else -1]:
                sent(sidecar.address, file, requests)
        time.sleep(UNTIL_WRITTEN)
        without, with_ = (
            Cpu.of(sidecar.pid).since(cpu) for sidecar, cpu in zip(sidecars, before, strict=True)
        )
    return Pair(without, with_, counted(folder, encoding))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.catalogued", description=__doc__)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--requests", type=int, default=100)
    arguments = parser.parse_args()
    spans_a_round = (arguments.requests + 1) * SPANS
    spans = arguments.rounds * spans_a_round
    table = Table("CPU µs a span", "without", "with", "ratio", "least", "most", "counted")
    random = Random(SPANS)
    for encoding in ENCODINGS:
        pairs: list[Pair] = []
        for _ in range(arguments.pairs):
            with TemporaryDirectory() as folder:
                work = arguments.rounds, arguments.requests, Path(folder)
                pairs.append(measured(encoding, *work, random))
        share = sum(pair.counted for pair in pairs) / len(pairs) / (spans + spans_a_round)
        for part, name in (("all", "process"), ("loop", "event loop")):
            without, with_ = (
                [getattr(each, part) / spans * MICROSECONDS for each in column]
                for column in ([pair.without for pair in pairs], [pair.with_ for pair in pairs])
            )
            ratios = [there / not_there for not_there, there in zip(without, with_, strict=True)]
            cells = median(without), median(with_), median(ratios), min(ratios), max(ratios)
            table.add_row(f"{name}, {encoding}", *map("{:.2f}".format, cells), f"{share:.0%}")
    table.title = f"{arguments.pairs} pairs of sidecars, {spans:,} spans each"
    Console().print(table)


if __name__ == "__main__":
    main()
