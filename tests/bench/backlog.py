"""What `annotate` takes for large files: time, and the most memory that it holds.

python -m tests.bench.backlog --megabytes 1000
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from rich.console import Console
from rich.table import Table

from tests.support.generated import requests_of_texts
from tests.support.otlp_json import otlp_line
from tests.support.processes import BYTES_A_KIBIBYTE, own_environment

if TYPE_CHECKING:
    from collections.abc import Callable

MEGABYTE = 1_000_000
SPANS = 50_000
GOAL_MEGABYTES = 400


@dataclass(frozen=True, slots=True)
class Run:
    """A run of the command.

    Attributes:
        seconds: how long it took.
        peak: the most memory that it held, in bytes.
        said: its summary.

    """

    seconds: float
    peak: int
    said: str


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.backlog", description=__doc__)
    parser.add_argument("--megabytes", type=int, default=1_000, help="How large the files are.")
    parser.add_argument("--texts", type=int, default=5_000, help="How many texts are in them.")
    arguments = parser.parse_args()
    table = Table("", "seconds", "peak memory", "summary", title="Annotating files")
    for form, write in FORMS.items():
        with TemporaryDirectory() as scratch:
            file = Path(scratch, "traces")
            write_file(file, write, arguments.megabytes * MEGABYTE, arguments.texts)
            run = annotate(file, Path(scratch, "out.zst"))
        peak = f"{run.peak / MEGABYTE:.0f} of {GOAL_MEGABYTES} MB"
        size = f"{arguments.megabytes:,} MB of {form}"
        table.add_row(size, f"{run.seconds:.1f}", peak, run.said)
    Console().print(table)


def write_file(file: Path, write: Callable[[bytes], bytes], size: int, texts: int) -> None:
    """Fill a file with the same requests again and again."""
    requests = b"".join(map(write, requests_of_texts(SPANS, texts=texts)))
    with file.open("wb") as opened:
        for _ in range(max(1, size // len(requests))):
            opened.write(requests)


def annotate(file: Path, out: Path) -> Run:
    started = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "otel_embedder", "annotate", str(file), "-o", str(out)],
        env=own_environment({}),
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(said)
    return Run(time.monotonic() - started, usage.ru_maxrss * BYTES_A_KIBIBYTE, said.strip())


def _line(request: bytes) -> bytes:
    return otlp_line(ExportTraceServiceRequest.FromString(request))


def _with_length(request: bytes) -> bytes:
    return len(request).to_bytes(4) + request


FORMS = {"OTLP/JSON lines": _line, "OTLP protobuf behind lengths": _with_length}


if __name__ == "__main__":
    main()
