"""What commands take for large files of each form: time, and the most memory that they hold.

python -m tests.bench.backlog --megabytes 1000
python -m tests.bench.backlog --megabytes 2000 --form list --form gzip --command render
"""

from __future__ import annotations

import argparse
import gzip
import json
import multiprocessing
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from rich.console import Console
from rich.table import Table
from zstandard import ZstdCompressor

from tests.support.generated import requests_of_texts
from tests.support.otlp_json import otlp_line
from tests.support.processes import BYTES_A_KIBIBYTE, own_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from _typeshed import SupportsWrite

    Opened = AbstractContextManager[SupportsWrite[bytes]]

MEGABYTE = 1_000_000
SPANS = 50_000
GOAL_MEGABYTES = 400
# What a process held counts for those that it starts: what writes the files is another one.
SPAWN = multiprocessing.get_context("spawn")
BUILD = Path("build")  # a disk; what is temporary may be kept in memory
COMMANDS = {
    "annotate": lambda file: ["annotate", file, "-o", f"{file}.out.zst"],
    "render": lambda file: ["render", file],
}


class Written(NamedTuple):
    """How requests stand in a file.

    Attributes:
        encode: gives a request as it stands there.
        before: what stands in front of the first.
        between: what stands in front of each other.
        after: what stands behind the last.
        open: gives the file to write to.

    """

    encode: Callable[[bytes], bytes]
    before: bytes = b""
    between: bytes = b""
    after: bytes = b""
    open: Callable[[Path], Opened] = lambda path: path.open("wb")


@dataclass(frozen=True, slots=True)
class Run:
    """A run of a command.

    Attributes:
        seconds: how long it took.
        peak: the most memory that it held, in bytes.

    """

    seconds: float
    peak: int


def main() -> None:
    arguments = parsed_arguments()
    table = Table("", "on disk", "seconds", "peak memory", title="Large files")
    for name in arguments.form or FORMS:
        with TemporaryDirectory(dir=BUILD) as scratch:
            file = Path(scratch, "traces")
            writing = SPAWN.Process(
                target=write_file,
                args=(file, name, arguments.megabytes * MEGABYTE, arguments.texts),
            )
            writing.start()
            writing.join()
            for command in arguments.command or COMMANDS:
                run = run_of(COMMANDS[command](str(file)))
                table.add_row(
                    f"{command} {arguments.megabytes:,} MB of {name}",
                    f"{file.stat().st_size / MEGABYTE:,.0f} MB",
                    f"{run.seconds:.1f}",
                    f"{run.peak / MEGABYTE:.0f} of {GOAL_MEGABYTES} MB",
                )
    Console().print(table)


def parsed_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.backlog",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--megabytes", type=int, default=1_000, help="How large the files are.")
    parser.add_argument("--texts", type=int, default=5_000, help="How many texts are in them.")
    parser.add_argument("--form", action="append", choices=FORMS, help="Another is not measured.")
    parser.add_argument("--command", action="append", choices=COMMANDS, help="The same.")
    return parser.parse_args()


def write_file(file: Path, form: str, size: int, texts: int) -> None:
    """Fill a file with the same requests again and again, about so many bytes before packing."""
    written = FORMS[form]
    encoded = [*map(written.encode, requests_of_texts(SPANS, texts=texts))]
    rounds = max(1, round(size / sum(map(len, encoded))))
    with written.open(file) as opened:
        opened.write(written.before)
        for number in range(rounds):
            opened.write(written.between if number else b"")
            opened.write(written.between.join(encoded))
        opened.write(written.after)


def run_of(arguments: list[str]) -> Run:
    """Run a command, and read what it prints as fast as it comes."""
    started = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "otel_embedder", *arguments],
        env=own_environment({}),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(said)
    return Run(time.monotonic() - started, usage.ru_maxrss * BYTES_A_KIBIBYTE)


def _line(request: bytes) -> bytes:
    return otlp_line(ExportTraceServiceRequest.FromString(request))


def _compact(request: bytes) -> bytes:
    return _line(request).rstrip()


def _over_lines(request: bytes) -> bytes:
    return json.dumps(json.loads(_line(request)), indent=2).encode() + b"\n"


def _with_length(request: bytes) -> bytes:
    return len(request).to_bytes(4) + request


@contextmanager
def _gzip(path: Path) -> Iterator[SupportsWrite[bytes]]:
    with gzip.open(path, "wb", compresslevel=1) as packed:
        yield packed


@contextmanager
def _zstd(path: Path) -> Iterator[SupportsWrite[bytes]]:
    with path.open("wb") as file, ZstdCompressor().stream_writer(file) as packed:
        yield packed


FORMS = {
    "lines": Written(_line),
    "pretty": Written(_over_lines),
    "list": Written(_compact, before=b"[", between=b",", after=b"]"),
    "pretty-list": Written(_over_lines, before=b"[\n", between=b",\n", after=b"]\n"),
    "one-line": Written(_compact),
    "protobuf": Written(_with_length),
    "gzip": Written(_line, open=_gzip),
    "zstd": Written(_line, open=_zstd),
    "protobuf-zstd": Written(_with_length, open=_zstd),
}


if __name__ == "__main__":
    main()
