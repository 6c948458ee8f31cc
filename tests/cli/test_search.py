"""Commands that ask a catalogue and see to it; what is asked of files stands in `test_nearest`."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from otel_embedder.cli import EXIT_FAILED, EXIT_OK, EXIT_USAGE, run
from otel_embedder.cli.parts.tables import sparkline
from otel_embedder.search.stores.sqlite import SqliteStore
from otel_embedder.text.options import RenderOptions
from otel_embedder.text.rendering import new_renderer
from tests.support.made_up import NOON, Seen, write
from tests.support.otlp_samples import request, span
from tests.support.tiny_model import tiny_model_flags

if TYPE_CHECKING:
    from pathlib import Path

# What `words` is called in this release.
VERSION = new_renderer(RenderOptions()).text_version
TEXTS = (
    Seen("a b", "cart", "GET /cart", milliseconds=(10.0, 20.0), spans=4),
    Seen("c d", "bank", "Charge", "CLIENT", "ERROR", at=NOON + 60, number=20),
    Seen("e f", "bank", "Refund", at=NOON + 120, number=30),
)


@dataclass(frozen=True, slots=True)
class Said:
    """What a command said."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.out.splitlines()]


class Program:
    """Runs commands in this process, on a catalogue."""

    def __init__(
        self, url: str, model: tuple[str, ...], capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.url = url
        self.model = model
        self.capsys = capsys

    def __call__(self, *arguments: str) -> Said:
        code = run([*arguments])
        captured = self.capsys.readouterr()
        return Said(code, captured.out, captured.err)

    def on(self, *arguments: str) -> Said:
        return self(*arguments, "--catalogue", self.url)

    def search(self, *arguments: str) -> Said:
        return self.on("search", *arguments, *self.model)

    def reembed(self, *arguments: str) -> Said:
        return self.on("reembed", *arguments, *self.model)


@pytest.fixture(name="model", scope="module")
def _model(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    return tiny_model_flags(tmp_path_factory.mktemp("models"))


@pytest.fixture(name="file")
def _file(tmp_path: Path) -> Path:
    return tmp_path / "spans.db"


@pytest.fixture(name="program")
def _program(file: Path, model: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> Program:
    """Give the program, and a catalogue of TEXTS as they come without vectors."""
    fill(file, *TEXTS)
    return Program(f"sqlite:///{file}", model, capsys)


def fill(file: Path, *seen: Seen, writer: str = "one", model: str | None = None) -> None:
    store = SqliteStore(file)
    every = [
        Seen(
            each.words,
            each.service,
            each.operation,
            each.kind,
            each.status,
            each.milliseconds,
            each.at,
            each.spans,
            each.number,
            model,
            VERSION,
        )
        for each in seen
    ]
    write(store, *every, writer=writer)
    store.close()


def test_a_question_is_answered_from_a_catalogue(program: Program) -> None:
    embedded = program.reembed()

    said = program.search("c", "--output", "json")

    assert (embedded.code, embedded.err) == (0, "3 texts have the vector of tiny now\n")
    assert (said.code, said.err) == (EXIT_OK, "")
    first = said.lines[0]
    assert (first["text"], first["service"], first["status"]) == ("c d", "bank", "ERROR")
    assert first["first_seen"] == "2026-03-01T12:01:00.000Z"
    assert first["trace_ids"] == [f"{20:032x}"]


def test_hits_are_filtered_as_the_options_say(program: Program) -> None:
    program.reembed()

    said = program.search("c", "--output", "json", "--service", "bank", "--status", "unset")
    few = program.search("c", "--output", "json", "-k", "1")

    assert [line["text"] for line in said.lines] == ["e f"]
    assert len(few.lines) == 1


def test_a_table_shows_the_trend_and_links(program: Program) -> None:
    program.reembed()

    said = program.search("a", "--trace-link", "jaeger=https://jaeger.example")

    assert "█" in said.out
    assert "14.1 ms, last" in said.out
    assert f"https://jaeger.example/trace/{2:032x}?uiFind={2:016x}" in said.out


def test_ids_are_those_of_traces(program: Program) -> None:
    program.reembed()

    said = program.search("a b", "-k", "1", "--output", "ids")

    assert said.out.splitlines() == [f"{2:032x}", f"{1:032x}"]


def test_what_is_like_a_trace_or_a_text_is_found(program: Program) -> None:
    program.reembed()

    by_trace = program.search("--like", f"{20:032x}", "--output", "json")
    by_text = program.search("--like", str(by_trace.lines[1]["text_id"]), "--output", "json")

    assert by_trace.lines[0]["text"] == "c d"
    assert by_text.lines[0]["text"] == by_trace.lines[1]["text"]


def test_files_that_were_indexed_are_searched(
    program: Program, tmp_path: Path, model: tuple[str, ...]
) -> None:
    traces = tmp_path / "traces.bin"
    failed = span("d", code=Status.STATUS_CODE_ERROR, trace_id=bytes.fromhex("ab" * 16))
    traces.write_bytes(request(span("c"), failed, service="shop").SerializeToString())
    other = Program(f"sqlite:///{tmp_path / 'other.db'}", model, program.capsys)
    assert other.on("index", str(traces), *model).code == EXIT_OK

    answer = other.search("d", "--output", "json", "--status", "ERROR")
    of_files = program("search", "d", str(traces), "--output", "json", "--status", "ERROR", *model)

    assert [line["trace_ids"] for line in answer.lines] == [["ab" * 16]]
    assert of_files.lines == answer.lines


def test_what_is_left_out_is_said_with_the_remedy(program: Program, file: Path) -> None:
    program.reembed()
    fill(file, Seen("g", at=NOON + 600, number=40), writer="two")
    fill(file, Seen("h", at=NOON + 660, number=50), writer="three", model="tests/another")

    said = program.search("a", "--output", "json")

    assert len(said.lines) == 3
    assert "1 with vectors of another model (tests/another), 1 without a vector yet" in said.err
    assert "reembed brings them over" in said.err


def test_reembedding_goes_on_where_it_was_and_can_be_slowed_down(program: Program) -> None:
    program.reembed()

    assert program.reembed("--rate", "1000").err == "0 texts have the vector of tiny now\n"


@pytest.mark.parametrize(
    ("arguments", "code", "problem"),
    [
        (("search", "a"), EXIT_USAGE, "FILE... or --catalogue"),
        (("search", "--catalogue", "memory", "a"), EXIT_USAGE, "in its own process"),
        (("search", "--catalogue", "URL"), EXIT_USAGE, "say what to look for"),
        (("search", "--catalogue", "URL", "a", "--like", "b", "--to", "c"), EXIT_USAGE, "one of"),
        (("search", "--catalogue", "URL", "--to-span", "0" * 16), EXIT_USAGE, "by --like"),
        (("search", "--catalogue", "URL", "a", "missing.bin"), EXIT_USAGE, "missing.bin"),
        (("search", "--catalogue", "URL", "a", "--since", "then"), EXIT_USAGE, "--since"),
        (("search", "--catalogue", "URL", "a", "--status", "bad"), EXIT_USAGE, "--status"),
        (("search", "--catalogue", "URL", "a", "-k", "0"), EXIT_USAGE, "--count"),
        (("search", "--catalogue", "URL", "a", "--trace-link", "x"), EXIT_USAGE, "--trace-link"),
        (("search", "--catalogue", "URL", "--like", "0" * 32), EXIT_FAILED, "no span of trace"),
        (("search", "--catalogue", "URL", "--like", "0" * 16), EXIT_FAILED, "no text with the id"),
        (("search", "--catalogue", "sqlite:///none.db", "a"), EXIT_FAILED, "no catalogue none.db"),
        (("search", "--catalogue", "BROKEN", "a"), EXIT_FAILED, "broken"),
        (("search", "--catalogue", "NEWER", "a"), EXIT_FAILED, "newer release"),
        (("catalogue", "info"), EXIT_USAGE, "say which catalogue"),
        (("catalogue", "info", "--catalogue", "NEWER"), EXIT_FAILED, "newer release"),
        (("catalogue", "merge", "URL", "--catalogue", "URL"), EXIT_USAGE, "into itself"),
        (("catalogue", "delete-service", "x", "--catalogue", "URL"), EXIT_FAILED, "nothing of a"),
        (("reembed",), EXIT_USAGE, "say which catalogue"),
    ],
)
def test_what_is_wrong_is_said_once(
    arguments: tuple[str, ...], code: int, problem: str, program: Program, tmp_path: Path
) -> None:
    broken, newer = tmp_path / "broken.db", tmp_path / "newer.db"
    broken.write_bytes(b"no database" * 100)
    SqliteStore(newer).close()
    connection = sqlite3.connect(newer)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    urls = {"URL": program.url, "BROKEN": f"sqlite:///{broken}", "NEWER": f"sqlite:///{newer}"}
    is_asked = arguments[0] == "search" and code == EXIT_FAILED

    said = program(*(urls.get(each, each) for each in arguments), *program.model * is_asked)

    assert (said.code, said.out) == (code, "")
    assert problem in said.err
    assert "Traceback" not in said.err


def test_a_catalogue_tells_what_it_holds(program: Program) -> None:
    table, said = (
        program.on("catalogue", "info"),
        program.on("catalogue", "info", "--output", "json"),
    )

    [info] = said.lines
    assert (info["texts"], info["waiting"], info["text_versions"]) == (3, 3, {VERSION: 3})
    assert info["services"][0] == {  # type: ignore[index]  # JSON
        "service": "bank",
        "operations": 2,
        "texts": 2,
        "failing": 1,
        "first_seen": "2026-03-01T12:01:00.000Z",
        "last_seen": "2026-03-01T12:02:00.000Z",
    }
    assert "3 without one yet" in table.out
    assert "3 texts" in table.out


def test_a_catalogue_is_exported_as_lines_and_as_a_table(program: Program) -> None:
    lines = program.on("catalogue", "export").lines
    rows = [*csv.DictReader(io.StringIO(program.on("catalogue", "export", "--format", "csv").out))]

    assert (
        [line["text"] for line in lines] == [row["text"] for row in rows] == ["a b", "c d", "e f"]
    )
    assert (lines[0]["spans"], rows[0]["spans"]) == (4, "4")
    assert lines[0]["slowest_milliseconds"] == 20
    assert rows[0]["trace_ids"].split() == lines[0]["trace_ids"]


def test_catalogues_are_merged_once(program: Program, tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    fill(other, TEXTS[0], Seen("x", service="new"), writer="two")

    first = program.on("catalogue", "merge", f"sqlite:///{other}")
    again = program.on("catalogue", "merge", f"sqlite:///{other}")

    assert "2 texts, counts of 1 writers, of 0 more nothing new" in first.err
    assert "counts of 0 writers, of 1 more nothing new" in again.err
    lines = program.on("catalogue", "export").lines
    assert {line["text"]: line["spans"] for line in lines} == {"a b": 8, "c d": 1, "e f": 1, "x": 1}


def test_a_service_is_deleted_and_what_is_old_goes(program: Program) -> None:
    deleted = program.on("catalogue", "delete-service", "bank")
    pruned = program.on("catalogue", "prune", "--catalogue-retention", "3650")
    gone = program.on("catalogue", "prune", "--catalogue-retention", "0.01")

    assert deleted.err == "2 texts went\n"
    assert pruned.err == "0 texts went, 1 are left\n"
    assert gone.err == "1 texts went, 0 are left\n"


@pytest.mark.parametrize(
    ("numbers", "bars"), [((), ""), ((0, 0), "  "), ((1, 2, 4, 8), "▁▂▄█"), ((1, 0, 1000), "▁ █")]
)
def test_a_sparkline_shows_numbers_as_bars(numbers: tuple[int, ...], bars: str) -> None:
    assert sparkline(numbers) == bars
