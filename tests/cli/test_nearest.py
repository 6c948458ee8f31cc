from __future__ import annotations

import io
import json
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from otel_embedder.annotation.annotator import Annotator
from otel_embedder.annotation.settings import Encoding
from otel_embedder.annotation.standing import Origin
from otel_embedder.cli import EXIT_FAILED, EXIT_OK, EXIT_USAGE, run
from otel_embedder.embedder.models.choice import DEFAULT_MODEL
from otel_embedder.otlp.wire import parse_request
from otel_embedder.text.options import RenderOptions
from otel_embedder.text.rendering import new_renderer
from tests.support.otlp_samples import event, request, span
from tests.support.processes import own_environment
from tests.support.tiny_model import tiny_model_flags

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from opentelemetry.proto.trace.v1.trace_pb2 import Span

    from otel_embedder.embedder.models.ctranslate2 import CTranslate2Model

ENCODINGS: tuple[Encoding, ...] = get_args(Encoding)
NAME_ONLY = ("--template", "{operation}")
PATIENCE = 60


@pytest.fixture(name="model", scope="module")
def _model(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    return tiny_model_flags(tmp_path_factory.mktemp("models"))


@dataclass(frozen=True, slots=True)
class Captured:
    """What a command said.

    Attributes:
        code: its exit code.
        rows: of its JSON lines.
        out: what it printed.
        err: what it told besides.

    """

    code: int
    out: str
    err: str

    @property
    def rows(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def texts(self) -> list[object]:
        return [row["text"] for row in self.rows]


class Nearest:
    """Runs `nearest` in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: str | Path) -> Captured:
        code = run(["nearest", *map(str, arguments)])
        captured = self._capsys.readouterr()
        return Captured(code, captured.out, captured.err)

    def rows(self, *arguments: str | Path) -> Captured:
        return self(*arguments, "--output", "json")


@pytest.fixture(name="nearest")
def _nearest(capsys: pytest.CaptureFixture[str]) -> Nearest:
    return Nearest(capsys)


def numbered(number: int, name: str, **fields: object) -> Span:
    """Give a span whose trace and span id are this number."""
    made = span(name, trace_id=number.to_bytes(16), **fields)  # type: ignore[arg-type]  # span's own
    made.span_id = number.to_bytes(8)
    return made


def write(path: Path, *spans: Span) -> Path:
    path.write_bytes(request(*spans).SerializeToString())
    return path


@pytest.fixture(name="file")
def _file(tmp_path: Path) -> Path:
    spans = [numbered(1, "a"), numbered(2, "b"), numbered(3, "a b"), numbered(4, "a")]
    return write(tmp_path / "traces.bin", *spans)


def test_the_nearest_text_comes_first_with_its_spans(
    nearest: Nearest, file: Path, model: Sequence[str]
) -> None:
    captured = nearest.rows(file, "--to", "a", *NAME_ONLY, *model)

    assert captured.code == EXIT_OK
    first = captured.rows[0]
    # The word says nothing by itself.
    assert (first["score"], first["cosine"], first["spans"]) == (1, 1, 2)
    assert (first["text"], first["operation"], first["status"]) == ("a", "a", "UNSET")
    assert {*first["trace_ids"]} == {f"{1:032x}", f"{4:032x}"}  # type: ignore[misc]  # JSON
    assert {*captured.texts} == {"a", "b", "a b"}
    assert captured.err == "4 spans, 3 texts, 3 of them embedded here\n"


def test_all_files_are_searched(
    nearest: Nearest, file: Path, model: Sequence[str], tmp_path: Path
) -> None:
    other = write(tmp_path / "other.bin", numbered(5, "c"), numbered(6, "a"))

    captured = nearest.rows(file, other, "--to", "a", *NAME_ONLY, *model)

    assert {*captured.texts} == {"a", "b", "a b", "c"}
    assert captured.rows[0]["spans"] == 3


def test_stdin_is_searched(
    nearest: Nearest, file: Path, model: Sequence[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stdin = io.TextIOWrapper(io.BufferedReader(io.BytesIO(file.read_bytes())))
    monkeypatch.setattr(sys, "stdin", stdin)

    assert nearest.rows("-", "--to", "a", *NAME_ONLY, *model).texts[0] == "a"


def test_no_more_rows_are_given_than_wanted(
    nearest: Nearest, file: Path, model: Sequence[str]
) -> None:
    assert len(nearest.rows(file, "--to", "a", "-k", "2", *model).rows) == 2


def test_a_span_is_looked_for_by_its_id(nearest: Nearest, file: Path, model: Sequence[str]) -> None:
    captured = nearest.rows(file, "--to-span", f"{2:016X}", *NAME_ONLY, *model)

    assert captured.rows[0]["text"] == "b"
    assert captured.rows[0]["trace_ids"] == [f"{2:032x}"]


def test_words_in_common_and_durations_show_in_the_score_alone(
    nearest: Nearest, model: Sequence[str], tmp_path: Path
) -> None:
    quick, slow = numbered(1, "c", milliseconds=1), numbered(2, "d", milliseconds=1000)
    file = write(tmp_path / "traces.bin", quick, slow)

    words = nearest.rows(file, "--to", "d", *NAME_ONLY, *model)
    span_ = nearest.rows(file, "--to-span", f"{2:016x}", *NAME_ONLY, *model)

    by_words, by_duration = (
        {row["text"]: row["score"] - row["cosine"] for row in found.rows}  # type: ignore[operator]  # JSON
        for found in (words, span_)
    )
    assert by_words["d"] > by_words["c"] == 0
    assert by_duration == {
        "d": pytest.approx(0.5, abs=1e-3),
        "c": pytest.approx(0, abs=1e-3),
    }


def test_the_span_s_own_text_comes_before_others_that_are_as_near(
    nearest: Nearest, model: Sequence[str], tmp_path: Path
) -> None:
    # To the model they are one word, so that they have one vector.
    file = write(tmp_path / "traces.bin", numbered(1, "c"), numbered(2, "C"))

    captured = nearest.rows(file, "--to-span", f"{2:016x}", *NAME_ONLY, *model)

    assert captured.texts == ["C", "c"]


def test_a_span_that_is_not_there_is_an_error(
    nearest: Nearest, file: Path, model: Sequence[str]
) -> None:
    captured = nearest(file, "--to-span", f"{9:016x}", *model)

    assert (captured.code, captured.out) == (EXIT_FAILED, "")
    assert captured.err == f"Error: there is no span {9:016x} in what was read.\n"


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ([], "FILE... or --catalogue"),
        (["--to", "a", "--to-span", f"{1:016x}"], "--to TEXT or --to-span ID"),
        (["--to", " "], "is empty"),
        (["--to-span", "123"], "16 hex digits"),
        (["--to-span", "g" * 16], "16 hex digits"),
        (["--to", "a", "-k", "0"], "0"),
        (["--to", "a", "--output", "xml"], "xml"),
        (["missing.bin", "--to", "a"], "missing.bin"),
    ],
)
def test_wrong_usage_is_said(
    arguments: list[str], problem: str, nearest: Nearest, file: Path
) -> None:
    captured = nearest(file, *arguments)

    assert (captured.code, captured.out) == (EXIT_USAGE, "")
    assert problem in captured.err


def test_a_file_of_something_else_is_named(
    nearest: Nearest, file: Path, model: Sequence[str], tmp_path: Path
) -> None:
    other = tmp_path / "other.json"
    other.write_text("{}\n{\n")

    captured = nearest(file, other, "--to", "a", *model)

    assert (captured.code, captured.out) == (EXIT_FAILED, "")
    assert captured.err.startswith(f"otel-embedder: {other}: line 2 is not OTLP/JSON")


def test_a_file_that_is_cut_off_is_searched_as_far_as_it_goes(
    nearest: Nearest, file: Path, model: Sequence[str], tmp_path: Path
) -> None:
    encoded = file.read_bytes()
    framed = len(encoded).to_bytes(4) + encoded
    cut_off = tmp_path / "cut-off.bin"
    cut_off.write_bytes(framed + framed[:-1])

    captured = nearest.rows(cut_off, "--to", "a", *NAME_ONLY, *model)

    assert (captured.code, captured.rows[0]["spans"]) == (EXIT_OK, 2)
    assert captured.err.startswith(f"otel-embedder: {cut_off}: the file is cut off")
    assert "going on without the rest" in captured.err


def test_a_model_that_is_not_there_fails(nearest: Nearest, file: Path, tmp_path: Path) -> None:
    captured = nearest(file, "--to", "a", "--model", tmp_path)

    assert (captured.code, captured.out) == (EXIT_FAILED, "")
    assert "lacks" in captured.err


def test_a_file_without_spans_has_no_rows(
    nearest: Nearest, model: Sequence[str], tmp_path: Path
) -> None:
    captured = nearest.rows(write(tmp_path / "traces.bin"), "--to", "a", *model)

    assert (captured.code, captured.out) == (EXIT_OK, "")


def test_only_errors_are_found_on_request(
    nearest: Nearest, model: Sequence[str], tmp_path: Path
) -> None:
    failed = numbered(2, "b", code=Status.STATUS_CODE_ERROR)
    file = write(tmp_path / "traces.bin", numbered(1, "a"), failed, numbered(3, "c"))

    captured = nearest.rows(file, "--to-span", f"{1:016x}", "--errors-only", *NAME_ONLY, *model)

    assert [(row["text"], row["spans"]) for row in captured.rows] == [("b", 1)]
    assert captured.err == "3 spans, 3 texts, 3 of them embedded here\n"


TEMPLATE = ("--profile", "template")
LONG = span(
    "a",
    {"note": "many words " * 30, "x": "[bold]\x1b[31m"},
    trace_id=bytes.fromhex("5b8efff798038103d269b633813fc60c"),
)


@pytest.mark.parametrize("width", [80, 100, 160])
def test_a_table_fits_its_width_and_cuts_only_texts(
    width: int,
    nearest: Nearest,
    model: Sequence[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    file = write(tmp_path / "traces.bin", LONG)

    captured = nearest(file, "--to", "a", *TEMPLATE, *model)

    lines = captured.out.splitlines()
    assert captured.code == EXIT_OK
    assert max(map(len, lines)) <= width
    assert lines[0].rstrip() == "Nearest to: a"
    assert lines[1].split() == ["score", "cosine", "spans", "text", "traces"]
    assert "5b8efff798038103d269b633813fc60c" in captured.out
    assert len(lines) <= 9
    assert any(line.rstrip().endswith("...") for line in lines)


def test_a_table_is_a_hundred_columns_wide_in_a_pipe(
    model: Sequence[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    file = write(tmp_path / "traces.bin", LONG)
    flags = ("--to", "a", *model)

    completed = subprocess.run(
        [sys.executable, "-m", "otel_embedder", "nearest", file, *flags],
        env=own_environment({}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
        text=True,
        timeout=PATIENCE,
    )

    assert 90 < max(map(len, completed.stdout.splitlines())) <= 100


def test_json_has_the_text_whole(nearest: Nearest, model: Sequence[str], tmp_path: Path) -> None:
    file = write(tmp_path / "traces.bin", LONG)

    [text] = nearest.rows(file, "--to", "a", *TEMPLATE, *model).texts

    assert isinstance(text, str)
    assert "many words " * 23 in text
    assert "x=[bold]\x1b[31m" in text


def test_what_a_span_says_is_no_command_to_the_terminal(
    nearest: Nearest, model: Sequence[str], tmp_path: Path
) -> None:
    file = write(tmp_path / "traces.bin", span("[bold]:smile:\x1b[31m"))

    captured = nearest(file, "--to", "\x1b[2J", *NAME_ONLY, *model)

    assert "[bold]:smile:\ufffd[31m" in captured.out
    assert "\x1b" not in captured.out


def test_a_reader_that_has_seen_enough_hears_no_complaint(file: Path, model: Sequence[str]) -> None:
    flags = ("--to", "a", *model)
    with subprocess.Popen(
        [sys.executable, "-m", "otel_embedder", "nearest", file, *flags],
        env=own_environment({}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        complaints = process.stderr.read()

    assert complaints == b"4 spans, 3 texts, 3 of them embedded here\n"


SHOP: Mapping[str, Span] = {
    "store": numbered(
        1,
        "CartService/GetCart",
        code=Status.STATUS_CODE_ERROR,
        message="wasn't able to connect to redis",
    ),
    "bank": numbered(
        2,
        "PaymentService/Charge",
        code=Status.STATUS_CODE_ERROR,
        events=[
            event(
                attributes={
                    "exception.type": "TimeoutError",
                    "exception.message": "no answer from the bank in 5 s",
                }
            )
        ],
    ),
    "page": numbered(3, "GET /index.html", milliseconds=3),
}


def annotated(file: Path, model: CTranslate2Model, encoding: Encoding) -> Path:
    """Write a file's spans with their vectors."""
    renderer = new_renderer(RenderOptions())
    annotator = Annotator(
        Origin(DEFAULT_MODEL, renderer.text_version),
        encoding=encoding,
        prefix="embedding.",
        attach_text=True,
        max_remembered=10,
    )
    traces = parse_request(file.read_bytes())
    for resource, scope in traces.scopes():
        for each in scope.spans:
            text = renderer.render(each.encoded, renderer.service(resource.resource)).content
            [embedding] = model.encode([text])
            traces.add(each, annotator.attributes(embedding, text))
    made = file.with_name(f"{encoding}.bin")
    made.write_bytes(traces.encode())
    return made


@pytest.mark.integration
@pytest.mark.parametrize(
    ("question", "answer"),
    [("the cart's data store is down", "store"), ("the bank does not answer", "bank")],
)
def test_a_question_finds_what_it_means(
    question: str, answer: str, nearest: Nearest, model_cache: Path, tmp_path: Path
) -> None:
    file = write(tmp_path / "traces.bin", *SHOP.values())

    captured = nearest.rows(file, "--to", question, "--model-cache", model_cache)

    assert captured.rows[0]["trace_ids"] == [SHOP[answer].trace_id.hex()]


@pytest.mark.integration
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_spans_with_vectors_give_the_same_rows_and_are_not_embedded_again(
    encoding: Encoding,
    nearest: Nearest,
    real_model: CTranslate2Model,
    model_cache: Path,
    tmp_path: Path,
) -> None:
    plain = write(tmp_path / "plain.bin", *SHOP.values())
    carrying = annotated(plain, real_model, encoding)
    question = ("--to", "the bank does not answer", "--model-cache", model_cache)

    before, after = nearest.rows(plain, *question), nearest.rows(carrying, *question)

    assert after.rows == before.rows
    assert before.err == "3 spans, 3 texts, 3 of them embedded here\n"
    assert after.err == "3 spans, 3 texts, 0 of them embedded here\n"


def test_a_question_of_unknown_words_is_said_to_find_nothing(
    nearest: Nearest, model: Sequence[str], tmp_path: Path
) -> None:
    file = write(tmp_path / "traces.bin", numbered(1, "a"))

    assert "none of the words of a text" in nearest(file, "--to", "🔥", *model).err
    assert "none of the words" not in nearest(file, "--to", "a", *model).err
