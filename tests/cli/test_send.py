from __future__ import annotations

import gzip
import json
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from google.rpc import code_pb2, status_pb2
from grpc_status.rpc_status import to_status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from otel_embedder.cli import (
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_OK,
    EXIT_SKIPPED,
    EXIT_USAGE,
    run,
)
from tests.support.comparison import delivery, differences, spans_in
from tests.support.fakes import PATIENCE
from tests.support.otlp_samples import request, span
from tests.support.processes import (
    Sink,
    free_address,
    own_environment,
    running_sidecar,
    uncounted_environment,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.timeout(120)

COMMAND = (sys.executable, "-m", "otel_embedder", "send")

FIRST, SECOND = (request(span(name), span(name)).SerializeToString() for name in ("a", "b"))
NO_SPANS = ExportTraceServiceRequest().SerializeToString()


@pytest.fixture(name="sink")
def _sink() -> Iterator[Sink]:
    with Sink() as sink:
        yield sink


@pytest.fixture(name="file")
def _file(tmp_path: Path) -> Path:
    file = tmp_path / "traces.bin"
    file.write_bytes(with_lengths(FIRST, NO_SPANS, SECOND))
    return file


def with_lengths(*messages: bytes) -> bytes:
    return b"".join(len(message).to_bytes(4) + message for message in messages)


def words(text: str) -> str:
    return " ".join(text.split())


def test_send_sends_the_requests_that_hold_spans_as_they_are(
    file: Path, sink: Sink, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["send", str(file), "--to", sink.address, "--concurrency", "1"]) == EXIT_OK
    assert sink.requests == [FIRST, SECOND]
    captured = capsys.readouterr()
    assert captured.out == ""
    shown = words(captured.err)
    assert shown.startswith(f"Sent to http://{sink.address} requests 2 spans sent 4 ")
    assert "spans accepted 4 spans rejected 0 requests sent again 0" in shown
    assert "latency, median" in shown


def test_send_sends_files_one_after_the_other_and_again(
    file: Path, sink: Sink, tmp_path: Path
) -> None:
    other = tmp_path / "other.bin.gz"
    other.write_bytes(gzip.compress(FIRST))

    run(["send", str(other), str(file), "--to", sink.address, "--concurrency=1", "--repeat=2"])

    assert sink.requests == [FIRST, FIRST, SECOND] * 2


def test_send_reads_stdin(sink: Sink) -> None:
    completed = subprocess.run(
        [*COMMAND, "-", "--to", f"http://{sink.address}"],
        input=with_lengths(FIRST),
        env=own_environment({}),
        capture_output=True,
        check=False,
    )

    assert completed.returncode == EXIT_OK
    assert sink.requests == [FIRST]


def test_send_prints_the_summary_as_json(
    file: Path, sink: Sink, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["send", str(file), "--to", sink.address, "--output", "json"]) == EXIT_OK
    captured = capsys.readouterr()
    assert captured.err == ""
    facts = json.loads(captured.out)
    assert facts.pop("seconds") > 0
    assert facts.pop("accepted_spans_per_second") > 0
    assert list(facts.pop("latency_seconds")) == ["median", "p95", "max"]
    assert facts == {
        "target": f"http://{sink.address}",
        "requests": 2,
        "sent_spans": 4,
        "accepted_spans": 4,
        "rejected_spans": 0,
        "rejected_message": "",
        "refused_spans": {},
        "refused_messages": {},
        "unanswered_spans": 0,
        "retries": 0,
    }


def test_send_fails_where_spans_are_refused_and_says_why(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refusal = to_status(status_pb2.Status(code=code_pb2.INVALID_ARGUMENT, message="not these"))
    with Sink(refusals=[refusal]) as sink:
        code = run(["send", str(file), "--to", sink.address])

    assert code == EXIT_FAILED
    shown = words(capsys.readouterr().err)
    assert "spans accepted 2" in shown
    assert "spans refused 2 the next hop answered INVALID_ARGUMENT: not these" in shown
    assert shown.endswith("otel-embedder: 2 of 4 spans were not accepted")


def test_send_names_the_file_that_is_none_of_traces(
    file: Path, sink: Sink, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.json"
    other.write_text("{}\n{\n")

    assert run(["send", str(file), str(other), "--to", sink.address]) == EXIT_FAILED
    shown = capsys.readouterr().err
    assert "spans accepted 4" in words(shown)
    assert f"otel-embedder: {other}: line 2" in shown


def test_send_says_what_to_do_where_nobody_listens(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    address = free_address()

    assert run(["send", str(file), "--to", address]) == EXIT_FAILED
    shown = capsys.readouterr().err
    assert shown.startswith(f"otel-embedder: cannot reach http://{address} (")
    assert all(remedy in shown for remedy in ("otel-embedder serve", "--to", "--wait"))


def test_send_goes_by_default_to_where_the_sidecar_listens(
    file: Path, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EMBEDDER_LISTEN", f"unix:sidecar.sock,{sink.address}")

    assert run(["send", str(file)]) == EXIT_OK
    assert len(sink.requests) == 2


def test_send_wants_a_target_where_the_sidecar_has_no_port(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OTEL_EMBEDDER_LISTEN", "unix:sidecar.sock")

    assert run(["send", str(file)]) == EXIT_USAGE
    assert "name the target with --to" in words(capsys.readouterr().err)


@pytest.mark.parametrize(
    "target", ["nowhere", "127.0.0.1", ":4317", "host:port", "ftp://a:1", "http://a:1/v1/traces"]
)
def test_send_refuses_what_is_no_target(
    file: Path, target: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["send", str(file), "--to", target]) == EXIT_USAGE
    assert f"'--to': {target!r} is not HOST:PORT" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        *(["--rate", "0"], ["--concurrency", "0"], ["--attempts", "0"], ["--repeat", "0"]),
        *(["--wait", "-1"], ["--output", "xml"], ["missing.bin"], ["-", "--repeat", "2"]),
    ],
    ids=" ".join,
)
def test_send_refuses_wrong_usage(
    file: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["send", str(file), *arguments]) == EXIT_USAGE
    assert "Usage: otel-embedder send" in capsys.readouterr().err


def test_send_shows_the_summary_so_far_when_it_is_interrupted(file: Path, sink: Sink) -> None:
    arguments = [str(file), "--to", sink.address, "--rate", "0.001"]
    with subprocess.Popen(
        [*COMMAND, *arguments],
        env=uncounted_environment(),
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        sink.wait_for_any()
        process.send_signal(signal.SIGINT)
        _, shown = process.communicate(timeout=PATIENCE)

    assert process.returncode == EXIT_INTERRUPTED
    assert "requests 1 spans sent 2" in words(shown)
    assert "Traceback" not in shown


def test_send_tries_a_sidecar(
    file: Path, sink: Sink, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    no_model = ["--no-preload", "--model", str(tmp_path)]
    with running_sidecar(sink.address, settings=no_model) as sidecar:
        code = run(["send", str(file), "--to", sidecar.address])

    came = delivery(sink.requests)
    assert code == EXIT_OK
    assert "spans accepted 4" in words(capsys.readouterr().err)
    assert differences(spans_in([FIRST, SECOND]), came.spans) == []
    assert came.sources == {"fallback": 4}


def test_what_cannot_be_read_is_skipped_on_request(
    sink: Sink, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "traces.bin"
    file.write_bytes(with_lengths(FIRST, b"\xff", SECOND))
    arguments = ["send", str(file), "--to", sink.address, "--concurrency=1", "--repeat=2"]

    assert run([*arguments, "--on-error", "skip"]) == EXIT_SKIPPED
    assert sink.requests == [FIRST, SECOND] * 2
    assert capsys.readouterr().err.splitlines()[-1].endswith(f"why: {file}.rejected.reasons")
    assert (tmp_path / "traces.bin.rejected").read_bytes() == with_lengths(b"\xff")
    assert run([*arguments, "--skip-damaged", "--rejected", str(tmp_path / "bad")]) == EXIT_SKIPPED
    assert (tmp_path / "bad").read_bytes() == with_lengths(b"\xff")
    assert run([*arguments, "--skip-damaged"]) == EXIT_FAILED


def test_strings_that_are_not_utf_8_are_sent_as_they_came(sink: Sink, tmp_path: Path) -> None:
    file = tmp_path / "traces.bin"
    odd = FIRST.replace(b"\x2a\x01a", b"\x2a\x01\xe9")
    file.write_bytes(odd)

    assert run(["send", str(file), "--to", sink.address]) == EXIT_OK
    assert sink.requests == [odd]
