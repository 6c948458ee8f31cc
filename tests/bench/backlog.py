"""What commands take for large files of each form: CPU, and the most memory that they hold.

python -m tests.bench.backlog --megabytes 1000
python -m tests.bench.backlog --megabytes 2000 --form list --form gzip --command render
python -m tests.bench.backlog --texts 100 --megabytes 20 --megabytes 200 --megabytes 2000

Of several sizes, each shows what a MB more took than in the one before: what a start and the model
take is in the first.
"""

from __future__ import annotations

import argparse
import gzip
import json
import multiprocessing
import os
import subprocess
import sys
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
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from _typeshed import SupportsWrite
    from opentelemetry.proto.trace.v1.trace_pb2 import Span

    Opened = AbstractContextManager[SupportsWrite[bytes]]

MEGABYTE = 1_000_000
SPANS = 10_000
GOAL_MEGABYTES = 400
# What a process held counts for those that it starts: what writes the files is another one.
SPAWN = multiprocessing.get_context("spawn")
BUILD = Path("build")  # a disk; what is temporary may be kept in memory
COMMANDS = {
    "annotate": lambda file: ["annotate", file, "-o", f"{file}.out.zst"],
    "render": lambda file: ["render", file],
}
MILLISECONDS = 1_000
MICROSECOND = 1_000  # of nanoseconds


class Written(NamedTuple):
    """How requests stand in a file.

    Attributes:
        encode: gives a request as it stands there.
        before: what stands in front of the first.
        between: what stands in front of each other.
        after: what stands behind the last.
        open: gives the file to write to.
        flags: what a command must be told.

    """

    encode: Callable[[bytes], bytes]
    before: bytes = b""
    between: bytes = b""
    after: bytes = b""
    open: Callable[[Path], Opened] = lambda path: path.open("wb")
    flags: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Run:
    """A run of a command.

    Attributes:
        seconds: CPU, of user and system.
        peak: the most memory that it held, in bytes.

    """

    seconds: float
    peak: int


def main() -> None:
    arguments = parsed_arguments()
    sizes = sorted(arguments.megabytes or [1_000])
    for form in arguments.form or FORMS:
        table = Table("", "on disk", "CPU", "a MB more", "peak memory", title=form)
        commands = arguments.command or [*COMMANDS]
        before = dict.fromkeys(commands, (0, 0.0))
        for megabytes in sizes:
            with TemporaryDirectory(dir=BUILD) as scratch:
                file = Path(scratch, "traces")
                write_apart(file, form, megabytes * MEGABYTE, arguments.texts)
                for command in commands:
                    run = run_of([*COMMANDS[command](str(file)), *FORMS[form].flags])
                    smaller, seconds = before[command]
                    more = (run.seconds - seconds) / (megabytes - smaller)
                    before[command] = megabytes, run.seconds
                    table.add_row(
                        f"{command} {megabytes:,} MB",
                        f"{file.stat().st_size / MEGABYTE:,.0f} MB",
                        f"{run.seconds:.1f} s",
                        f"{more * MILLISECONDS:.1f} ms",
                        f"{run.peak / MEGABYTE:.0f} of {GOAL_MEGABYTES} MB",
                    )
        Console().print(table)


def parsed_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.backlog",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--megabytes", type=int, action="append", help="How large a file is: 1,000, if not given."
    )
    parser.add_argument("--texts", type=int, default=5_000, help="How many texts are in them.")
    parser.add_argument("--form", action="append", choices=FORMS, help="Another is not measured.")
    parser.add_argument("--command", action="append", choices=COMMANDS, help="The same.")
    return parser.parse_args()


def write_apart(file: Path, form: str, size: int, texts: int) -> None:
    """Fill a file in another process."""
    writing = SPAWN.Process(target=write_file, args=(file, form, size, texts))
    writing.start()
    writing.join()


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
    return Run(usage.ru_utime + usage.ru_stime, usage.ru_maxrss * BYTES_A_KIBIBYTE)


def _line(request: bytes) -> bytes:
    return otlp_line(ExportTraceServiceRequest.FromString(request))


def _compact(request: bytes) -> bytes:
    return _line(request).rstrip()


def _over_lines(request: bytes) -> bytes:
    return json.dumps(json.loads(_line(request)), indent=2).encode() + b"\n"


def _with_length(request: bytes) -> bytes:
    return len(request).to_bytes(4) + request


def _jaeger(request: bytes) -> bytes:
    """Give a request as an answer of Jaeger's query API, a line."""
    spans = [
        {
            "traceID": span.trace_id.hex(),
            "spanID": span.span_id.hex(),
            "operationName": span.name,
            "references": [],
            "startTime": span.start_time_unix_nano // MICROSECOND,
            "duration": _nanoseconds(span) // MICROSECOND,
            "tags": [
                {"key": tag.key, "type": "string", "value": tag.value.string_value}
                for tag in span.attributes
            ],
            "logs": [],
            "processID": "p1",
            "warnings": None,
        }
        for span in _spans(request)
    ]
    trace = {"spans": spans, "processes": {"p1": {"serviceName": "shop", "tags": []}}}
    return _json_line({"data": [trace], "total": 0, "limit": 0, "offset": 0, "errors": None})


def _zipkin(request: bytes) -> bytes:
    """Give a request as Zipkin's list of spans, a line."""
    return _json_line(
        [
            {
                "traceId": span.trace_id.hex(),
                "id": span.span_id.hex(),
                "name": span.name,
                "kind": "SERVER",
                "timestamp": span.start_time_unix_nano // MICROSECOND,
                "duration": _nanoseconds(span) // MICROSECOND,
                "localEndpoint": {"serviceName": "shop"},
                "tags": {tag.key: tag.value.string_value for tag in span.attributes},
            }
            for span in _spans(request)
        ]
    )


def _spans(request: bytes) -> Sequence[Span]:
    """Give the spans of a request of `requests_of_texts`, which all stand in one scope."""
    return ExportTraceServiceRequest.FromString(request).resource_spans[0].scope_spans[0].spans


def _nanoseconds(span: Span) -> int:
    return span.end_time_unix_nano - span.start_time_unix_nano


def _json_line(content: object) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode() + b"\n"


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
    "jaeger": Written(_jaeger, flags=("--form", "jaeger")),
    "zipkin": Written(_zipkin, flags=("--form", "zipkin")),
}


if __name__ == "__main__":
    main()
