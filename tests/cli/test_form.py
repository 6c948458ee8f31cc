"""Files of Jaeger's and Zipkin's JSON, in every command that reads files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from otel_embedder.cli import EXIT_FAILED, EXIT_OK, EXIT_SKIPPED, run
from tests.support.processes import Sink, span_ids
from tests.support.tiny_model import tiny_model_flags
from tests.support.trace_files import requests_in

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TRACE_ID, SPAN_ID = "5b8efff798038103d269b633813fc60c", "eee19b7ec3c1b174"
START = 1_764_150_000_000_000  # microseconds


def jaeger(name: str) -> dict[str, object]:
    """Make an answer of Jaeger's query API with one span."""
    span = {
        "traceID": TRACE_ID,
        "spanID": SPAN_ID,
        "operationName": name,
        "startTime": START,
        "duration": 25_000,
        "processID": "p1",
    }
    return {"data": [{"spans": [span], "processes": {"p1": {"serviceName": "shop"}}}]}


def zipkin(name: str) -> dict[str, object]:
    return {
        "traceId": TRACE_ID,
        "id": SPAN_ID,
        "name": name,
        "timestamp": START,
        "duration": 25_000,
        "localEndpoint": {"serviceName": "shop"},
    }


# Each as it is usually stored: an answer over many lines, a list of spans.
FILES = {
    "jaeger": json.dumps(jaeger("charge card"), indent=2),
    "zipkin": json.dumps([zipkin("charge card"), zipkin("charge card")]),
}
SPANS = {"jaeger": 1, "zipkin": 2}
COMMANDS: Mapping[str, Sequence[str]] = {
    "render": ("render", "FILE"),
    "nearest": ("nearest", "FILE", "--to", "a", "MODEL"),
    "compare": ("compare", "a", SPAN_ID, "--in", "FILE", "MODEL"),
    "annotate": ("annotate", "FILE", "-o", "OUT", "MODEL"),
    "eval": ("eval", "FILE", "MODEL"),
    "send": ("send", "FILE", "--to", "SINK"),
}


@pytest.fixture(name="model", scope="module")
def _model(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    return tiny_model_flags(tmp_path_factory.mktemp("models"))


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let names be of files in a directory of the test's own."""
    monkeypatch.chdir(tmp_path)
    for name, text in FILES.items():
        Path(name).write_text(text, encoding="utf-8")


def call(command: str, file: str, model: Sequence[str], *flags: str) -> tuple[int, list[bytes]]:
    """Call a command on a file; give its exit code, and what it sent."""
    with Sink() as sink:
        given = {"FILE": (file,), "MODEL": model, "OUT": ("out",), "SINK": (sink.address,)}
        words = (word for part in COMMANDS[command] for word in given.get(part, (part,)))
        return run([*words, *flags]), sink.requests


@pytest.mark.parametrize("form", FILES)
@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_reads_the_form_that_is_named(
    command: str, form: str, model: tuple[str, ...]
) -> None:
    code, sent = call(command, form, model, "--form", form)

    assert code == EXIT_OK
    ids = {(bytes.fromhex(TRACE_ID), bytes.fromhex(SPAN_ID)): SPANS[form]}
    assert span_ids(sent) == (ids if command == "send" else {})


@pytest.mark.parametrize("form", FILES)
@pytest.mark.parametrize("command", COMMANDS)
def test_where_it_is_not_named_every_command_tells_how(
    command: str, form: str, model: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    code, sent = call(command, form, model)

    assert (code, sent) == (EXIT_FAILED, [])
    assert f"{form}: line 1 holds no traces of OTLP" in capsys.readouterr().err.replace("\n", " ")


@pytest.mark.parametrize("form", FILES)
def test_the_option_is_named(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    run(["render", form])

    assert f"--form {form} reads it" in capsys.readouterr().err


@pytest.mark.parametrize("form", FILES)
def test_annotate_writes_lines_of_otlp(form: str, model: tuple[str, ...]) -> None:
    run(["annotate", form, "-o", "out", "--form", form, *model])

    spans = [
        span
        for request in requests_in("out")
        for resource in ExportTraceServiceRequest.FromString(request).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]
    assert len(Path("out").read_text(encoding="utf-8").splitlines()) == SPANS[form]
    assert [(span.name, span.span_id.hex()) for span in spans] == [
        ("charge card", SPAN_ID)
    ] * SPANS[form]
    assert all(any(each.key.startswith("embedding.") for each in span.attributes) for span in spans)


@pytest.mark.parametrize("form", FILES)
def test_what_has_no_place_in_otlp_is_kept_as_it_came(
    form: str, model: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    make = {"jaeger": jaeger, "zipkin": zipkin}[form]
    bad = json.dumps(make("b") | {"baggage": "x"}) + "\n"
    good = json.dumps(make("a")) + "\n"
    Path("file").write_text(good + bad + good, encoding="utf-8")

    code = run(["annotate", "file", "-o", "out", "--form", form, "--on-error", "skip", *model])

    assert code == EXIT_SKIPPED
    assert Path("out.rejected").read_text(encoding="utf-8") == bad
    assert len(Path("out").read_text(encoding="utf-8").splitlines()) == 2
    assert 'baggage is "x", for which OTLP has no place' in capsys.readouterr().err


def test_protobuf_is_no_json_of_jaegers(capsys: pytest.CaptureFixture[str]) -> None:
    Path("traces").write_bytes(b"\x0a\x00")

    assert run(["render", "traces", "--form", "jaeger"]) == EXIT_FAILED
    assert "the file is no JSON, and so not Jaeger's JSON" in capsys.readouterr().err
