"""What it costs to record spans for a catalogue and to count them, in CPU time a span.

Of a file's spans, as often as asked in turn, so that what else the machine does is in all of it:

    python -m tests.bench.recording traces.jsonl.gz
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from rich.console import Console
from rich.table import Table

from otel_embedder.cli.parts.arguments import refuse_cut_off
from otel_embedder.files.trace_files import TraceFiles
from otel_embedder.search.recording.recorder import Bounds, Recorder
from otel_embedder.text.options import RenderOptions
from otel_embedder.text.rendering import new_renderer

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_embedder.text.rendering import TextRenderer

ROUNDS = 7
BOUNDS = Bounds(spans=20_000_000, bytes=4_000_000_000, sayings=1_000_000)


class Part(NamedTuple):
    """Some spans of a resource, and their texts."""

    resource: bytes
    spans: list[bytes]
    texts: list[str | None]


def parts_of(file: str, renderer: TextRenderer) -> list[Part]:
    """Read a file."""
    parts: list[Part] = []
    for request in TraceFiles([file], on_cut_off=refuse_cut_off).requests():
        for resource in request.resources:
            service = renderer.service(resource.resource)
            scopes = resource.scopes
            spans = [span.encoded for scope in scopes for span in scope.spans]
            texts = [renderer.render(span, service).content for span in spans]
            parts.append(Part(resource.resource, spans, [*texts]))
    return parts


def measured(parts: list[Part], renderer: TextRenderer) -> dict[str, list[float]]:
    """Give the seconds of each stage in each round; the first, in which all is new, is left out."""
    recorder = Recorder("bench", renderer, bounds=BOUNDS)
    now = time.time_ns()
    stages: dict[str, Callable[[], object]] = {
        "render": lambda: [renderer.render(span, "") for part in parts for span in part.spans],
        "record": lambda: [
            recorder.take(*part, [None] * len(part.spans), now=now) for part in parts
        ],
        "join and count": lambda: recorder.flush(now),
    }
    seconds: defaultdict[str, list[float]] = defaultdict(list)
    for number in range(ROUNDS + 1):
        for name, stage in stages.items():
            began = time.thread_time()
            stage()
            if number:
                seconds[name].append(time.thread_time() - began)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file")
    renderer = new_renderer(RenderOptions())
    parts = parts_of(parser.parse_args().file, renderer)
    spans = sum(len(part.spans) for part in parts)
    table = Table("stage", "µs a span, least", "median", title=f"{spans:,} spans")
    for name, seconds in measured(parts, renderer).items():
        least, median = (
            f"{each / spans * 1e6:.2f}" for each in (min(seconds), sorted(seconds)[ROUNDS // 2])
        )
        table.add_row(name, least, median)
    Console().print(table)


if __name__ == "__main__":
    main()
