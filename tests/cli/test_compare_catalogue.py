"""Traces that a catalogue names, compared by the spans that a trace store answers with."""

from __future__ import annotations

import io
import json
import sys
from typing import TYPE_CHECKING, NamedTuple

import pytest
from google.protobuf.json_format import MessageToDict

from otel_embedder.cli import EXIT_FAILED, EXIT_OK, EXIT_USAGE, run
from tests.support.tiny_model import tiny_model_flags
from tests.support.traffic import CHARGE, Fault, traffic

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

BROKEN = Fault(900, failing=1)
OPERATIONS = ["POST /checkout", "get cart", "ask bank", CHARGE]


class Known(NamedTuple):
    """A text of the catalogue: its id, and the traces that are examples of it."""

    id: str
    traces: list[str]


class Incident:
    """A minute in which all was well and one in which nothing was, in a catalogue."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._folder = folder
        self._capsys = capsys
        self._requests = [*traffic([0]), *traffic([1], BROKEN, seed=8)]
        self._asking = (
            *("--catalogue", f"sqlite:///{folder / 'catalogue.db'}"),
            *tiny_model_flags(folder),
        )
        file = folder / "spans.bin"
        encoded = (each.SerializeToString() for each in self._requests)
        file.write_bytes(b"".join(len(each).to_bytes(4) + each for each in encoded))
        assert run(["index", str(file), *self._asking]) == EXIT_OK
        capsys.readouterr()

    def compare(self, *words: str, code: int = EXIT_OK) -> str:
        assert run(["compare", *words, *self._asking]) == code
        captured = self._capsys.readouterr()
        return captured.out if code == EXIT_OK else captured.err

    def charged(self, status: str) -> Known:
        """Give a text of charging a card."""
        command = ["search", CHARGE, "--operation", CHARGE, "--status", status, "--output", "json"]
        assert run([*command, *self._asking]) == EXIT_OK
        hit = json.loads(self._capsys.readouterr().out.splitlines()[0])
        return Known(hit["text_id"], [each["trace_id"] for each in hit["examples"]])

    def answer(self, trace_id: str) -> str:
        """Give what Tempo answers if it is asked for a trace."""
        found = {"resourceSpans": [*self._resources(bytes.fromhex(trace_id))]}
        return json.dumps({"trace": found}, indent=2)

    def _resources(self, trace_id: bytes) -> Sequence[object]:
        return [
            resource
            for request in self._requests
            for resource in MessageToDict(only(request, trace_id))["resourceSpans"]
        ]


def only(request: ExportTraceServiceRequest, trace_id: bytes) -> ExportTraceServiceRequest:
    """Give of a request the spans of one trace."""
    some = type(request)()
    some.CopyFrom(request)
    for resource in some.resource_spans:
        for scope in resource.scope_spans:
            spans = [span for span in scope.spans if span.trace_id == trace_id]
            del scope.spans[:]
            scope.spans.extend(spans)
    return some


@pytest.fixture(name="incident")
def _incident(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Incident:
    return Incident(tmp_path, capsys)


def marks(lines: str) -> dict[str, list[str]]:
    return {each["operation"]: each["marks"] for each in map(json.loads, lines.splitlines())}


def test_texts_stand_for_those_of_their_examples_that_are_there(
    incident: Incident, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, bad = incident.charged("UNSET"), incident.charged("ERROR")
    answers = incident.answer(good.traces[-1]) + "\n" + incident.answer(bad.traces[-1])
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(answers.encode())))
    found = marks(incident.compare(good.id, bad.id, "--in", "-", "--output", "json"))

    assert [*found] == OPERATIONS
    assert found[CHARGE] == ["fails", "slower"]


def test_a_text_is_compared_with_a_trace_and_with_another_of_its_own(
    incident: Incident, tmp_path: Path
) -> None:
    bad = incident.charged("ERROR")
    files = []
    for trace in bad.traces[:2]:
        (tmp_path / trace).write_text(incident.answer(trace))
        files += ["--in", str(tmp_path / trace)]
    own, others = (
        incident.compare(bad.id, name, *files, "--output", "json").splitlines()
        for name in (bad.traces[0].upper(), bad.id)
    )

    assert json.loads(own[-1])["marks"] == []
    sides = json.loads(others[-1])
    assert sides["a"]["span_id"] != sides["b"]["span_id"]


def test_where_no_spans_are_given_it_tells_which_are_wanted(incident: Incident) -> None:
    good = incident.charged("UNSET")
    said = incident.compare(good.id, "0" * 32, code=EXIT_USAGE)

    assert "a catalogue has no spans: give those of both with --in FILE" in said
    [line] = (line for line in said.splitlines() if line.startswith("A is trace "))
    assert {*line.removeprefix("A is trace ").split(" or ")} >= {*good.traces}
    assert f"B is trace {'0' * 32}" in said


@pytest.mark.parametrize(
    ("word", "code", "problem"),
    [
        ("some words", EXIT_USAGE, "ids of traces, 32 hex digits, or of texts, 16"),
        ("0" * 16, EXIT_FAILED, "no text with the id"),
        ("0" * 32, EXIT_FAILED, f"there is no trace {'0' * 32} in "),
    ],
)
def test_what_is_not_there_is_told(
    incident: Incident, word: str, code: int, problem: str, tmp_path: Path
) -> None:
    trace = incident.charged("ERROR").traces[0]
    (tmp_path / trace).write_text(incident.answer(trace))

    assert problem in incident.compare(trace, word, "--in", str(tmp_path / trace), code=code)
