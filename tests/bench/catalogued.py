"""What a catalogue costs the way of the spans: `python -m tests.bench.catalogued`.

Sidecars with and without one take turns, in both encodings, with spans of known texts in traces of
eight, each with ids and times of its own. CPU is that of a whole process, until all is counted and
written; that of its event loop alone is what a span may have to wait for. Spans come as fast as
they are taken, and more than find room beside their way: how many were counted is told.
"""

from __future__ import annotations

import argparse
import time
from contextlib import ExitStack, closing
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

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
WARM_UP = 20
# Spans are counted an interval after they came.
INTERVAL = 5
UNTIL_WRITTEN = 3.0 * INTERVAL


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


def measured(rounds: int, requests: int, folder: Path) -> dict[tuple[str, bool], Cpu]:
    """Give the CPU by encoding, and by whether there was a catalogue."""
    file, random = folder / "requests", Random(SPANS)
    write([*in_traces(WARM_UP + 1, random)], file)
    with ExitStack() as running:
        sink = running.enter_context(running_sink())
        sidecars = {}
        for encoding in ENCODINGS:
            for is_kept in (False, True):
                settings = ["--encoding", encoding, "--catalogue-interval", str(INTERVAL)]
                if is_kept:
                    settings += ["--catalogue", f"sqlite:///{folder / encoding}.db"]
                sidecar = running.enter_context(running_sidecar(sink, settings=settings))
                sidecars[encoding, is_kept] = sidecar
        for sidecar in sidecars.values():
            sent(sidecar.address, file, WARM_UP)
        time.sleep(UNTIL_WRITTEN)
        before = {name: Cpu.of(sidecar.pid) for name, sidecar in sidecars.items()}
        for turn in range(rounds):
            write([*in_traces(requests + 1, random)], file)
            for sidecar in [*sidecars.values()][:: 1 if turn % 2 else -1]:
                sent(sidecar.address, file, requests)
        time.sleep(UNTIL_WRITTEN)
        return {name: Cpu.of(sidecar.pid).since(before[name]) for name, sidecar in sidecars.items()}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.catalogued", description=__doc__)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--requests", type=int, default=100)
    arguments = parser.parse_args()
    with TemporaryDirectory() as folder:
        found = measured(arguments.rounds, arguments.requests, Path(folder))
        kept = [counted(Path(folder), encoding) for encoding in ENCODINGS]
    spans = arguments.rounds * (arguments.requests + 1) * SPANS
    share = sum(kept) / len(kept) / (spans + (WARM_UP + 1) * SPANS)
    table = Table(
        "CPU µs a span",
        "without",
        "with",
        "ratio",
        title=f"{spans:,} spans each, {share:.0%} counted",
    )
    for encoding in ENCODINGS:
        for part, without, with_ in zip(
            ("process", "event loop"), found[encoding, False], found[encoding, True], strict=True
        ):
            each = (f"{seconds / spans * MICROSECONDS:.2f}" for seconds in (without, with_))
            table.add_row(f"{part}, {encoding}", *each, f"{with_ / without:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
