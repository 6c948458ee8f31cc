from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from otel_embedder.cli import EXIT_FAILED, EXIT_OK, EXIT_USAGE, run
from tests.support.otlp_samples import Value, request, span
from tests.support.tiny_model import TINY_MODEL, tiny_model_flags
from tests.support.traffic import Fault, traffic

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from opentelemetry.proto.trace.v1.trace_pb2 import Span

ONE, OTHER, NOBODY = (f"{number:016x}" for number in (1, 2, 9))

ATTRIBUTES: Mapping[str, Mapping[str, Value]] = {
    ONE: {"a": "x", "peer": "10.0.0.1", "thread.id": 1, "same": 1, "only": "[red]\x1b[31m"},
    OTHER: {"a": "y", "peer": "10.0.0.2", "thread.id": 2, "same": 1},
}


@pytest.fixture(name="model", scope="module")
def _model(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    return tiny_model_flags(tmp_path_factory.mktemp("models"))


TEMPLATE = ("--profile", "template")


def identified(span_id: str, attributes: Mapping[str, Value]) -> Span:
    made = span("GET", attributes, milliseconds=2.5)
    made.span_id = bytes.fromhex(span_id)
    return made


@pytest.fixture(name="file")
def _file(tmp_path: Path) -> Path:
    spans = [identified(span_id, attributes) for span_id, attributes in ATTRIBUTES.items()]
    file = tmp_path / "traces.bin"
    file.write_bytes(request(*spans, service="shop").SerializeToString())
    return file


def as_json(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> dict[str, object]:
    assert run(["compare", *map(str, arguments), "--output", "json"]) == EXIT_OK
    facts: dict[str, object] = json.loads(capsys.readouterr().out)
    return facts


def test_two_texts_are_compared(model: Sequence[str], capsys: pytest.CaptureFixture[str]) -> None:
    facts = as_json(capsys, "a b", "c", *model)

    assert [*facts] == ["a", "b", "model", "cosine", "differences"]
    assert [facts[key] for key in ("a", "b", "model")] == ["a b", "c", TINY_MODEL]
    assert facts["differences"] is None


def test_a_text_is_nearest_to_itself(
    model: Sequence[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert as_json(capsys, "a b", "a b", *model)["cosine"] == 1
    assert as_json(capsys, "a b", "c", *model)["cosine"] != 1


def test_the_ids_of_spans_are_texts_where_no_file_is_named(
    model: Sequence[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert as_json(capsys, ONE, OTHER, *model)["a"] == ONE


def test_two_spans_are_compared_as_they_read(
    file: Path, model: Sequence[str], capsys: pytest.CaptureFixture[str]
) -> None:
    facts = as_json(capsys, ONE, OTHER, "--in", file, *TEMPLATE, *model)

    head = "shop GET UNSET in 2.5ms attributes: "
    assert facts["a"] == head + "a=x only=[red]\x1b[31m peer=<ip> same=1"
    assert facts["b"] == head + "a=y peer=<ip> same=1"


def test_what_two_spans_differ_in_is_listed_with_its_effect(
    file: Path, model: Sequence[str], capsys: pytest.CaptureFixture[str]
) -> None:
    facts = as_json(capsys, ONE, OTHER, "--in", file, *TEMPLATE, *model)

    assert facts["differences"] == [
        {
            "name": "a",
            "effect": "differs",
            "a": {"value": "x", "text": "x"},
            "b": {"value": "y", "text": "y"},
        },
        {
            "name": "only",
            "effect": "differs",
            "a": {"value": "[red]\x1b[31m", "text": "[red]\x1b[31m"},
            "b": None,
        },
        {
            "name": "peer",
            "effect": "alike",
            "a": {"value": "10.0.0.1", "text": "<ip>"},
            "b": {"value": "10.0.0.2", "text": "<ip>"},
        },
        {
            "name": "thread.id",
            "effect": "left out",
            "a": {"value": "1", "text": None},
            "b": {"value": "2", "text": None},
        },
    ]


def test_the_settings_of_the_text_count(
    file: Path, model: Sequence[str], capsys: pytest.CaptureFixture[str]
) -> None:
    facts = as_json(capsys, ONE, OTHER, "--in", file, "--no-mask-values", *model)

    assert "peer=10.0.0.1" in str(facts["a"])


def test_our_own_attributes_are_no_difference(
    tmp_path: Path, model: Sequence[str], capsys: pytest.CaptureFixture[str]
) -> None:
    ours: Mapping[str, Value] = {"embedding.vector": [0.5], "embedding.text_version": "1"}
    spans = [identified(ONE, ours), identified(OTHER, {})]
    file = tmp_path / "traces.bin"
    file.write_bytes(request(*spans).SerializeToString())

    assert as_json(capsys, ONE, OTHER, "--in", file, *TEMPLATE, *model)["differences"] == []


def test_a_span_is_compared_with_a_text(
    file: Path, model: Sequence[str], capsys: pytest.CaptureFixture[str]
) -> None:
    facts = as_json(capsys, "a b", OTHER, "--in", file, *TEMPLATE, *model)

    assert facts["a"] == "a b"
    assert facts["b"] == "shop GET UNSET in 2.5ms attributes: a=y peer=<ip> same=1"
    assert facts["differences"] is None


def test_a_table_shows_texts_and_differences(
    file: Path,
    model: Sequence[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "100")

    assert run(["compare", ONE, OTHER, "--in", str(file), *TEMPLATE, *model]) == EXIT_OK

    out = capsys.readouterr().out
    lines = [line.split() for line in out.splitlines()]
    assert ["a", "x", "y", "differs"] in lines
    assert ["only", "[red]\ufffd[31m", "-", "differs"] in lines
    assert ["peer", "10.0.0.1", "10.0.0.2", "alike"] in lines
    assert ["thread.id", "1", "2", "left", "out"] in lines
    assert "A  shop GET UNSET in 2.5ms attributes: a=x only=[red]\ufffd[31m peer=<ip> same=1" in out
    assert any(line[:1] == ["cosine"] for line in lines)
    assert "\x1b" not in out


def test_a_table_of_texts_has_a_cosine_and_no_more(
    model: Sequence[str], capsys: pytest.CaptureFixture[str]
) -> None:
    run(["compare", "a", "a", *model])

    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines == ["A  a", "B  a", "", "cosine 1.0000"]


def test_spans_that_say_the_same_are_said_to(
    file: Path, model: Sequence[str], capsys: pytest.CaptureFixture[str]
) -> None:
    run(["compare", ONE, ONE, "--in", str(file), *TEMPLATE, *model])

    assert capsys.readouterr().out.endswith("They say the same.\n")


def test_long_values_are_cut_in_a_table(
    tmp_path: Path,
    model: Sequence[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    spans = [identified(ONE, {"k" * 99: "many words " * 20}), identified(OTHER, {})]
    file = tmp_path / "traces.bin"
    file.write_bytes(request(*spans).SerializeToString())

    run(["compare", ONE, OTHER, "--in", str(file), *TEMPLATE, *model])

    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert len(lines) - lines.index(next(line for line in lines if "──" in line)) == 4


def test_a_span_that_is_not_there_is_an_error(
    file: Path, model: Sequence[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["compare", ONE, NOBODY, "--in", str(file), *TEMPLATE, *model]) == EXIT_FAILED
    assert capsys.readouterr().err == f"Error: there is no span {NOBODY} in {file}.\n"


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["a"], "Missing argument 'B'"),
        (["a", " "], "is empty"),
        (["a", "b", "--in", "missing.bin"], "missing.bin"),
        (["a", "b", "--in", __file__], "16 hex digits"),
    ],
)
def test_wrong_usage_is_said(
    arguments: list[str], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["compare", *arguments]) == EXIT_USAGE
    captured = capsys.readouterr()
    assert captured.out == ""
    assert problem in captured.err


def test_a_file_of_something_else_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "traces.json"
    file.write_text("{}\n{\n")

    assert run(["compare", ONE, "a", "--in", str(file)]) == EXIT_FAILED
    assert capsys.readouterr().err.startswith(f"otel-embedder: {file}: line 2 is not OTLP/JSON")


@pytest.mark.integration
def test_texts_that_mean_the_same_are_nearer_than_others(
    model_cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    question, cache = "the bank does not answer", ("--model-cache", model_cache)
    near = as_json(capsys, question, "no reply from the bank", *cache)
    far = as_json(capsys, question, "the disk is full", *cache)

    assert near["cosine"] == pytest.approx(0.83, abs=0.15)
    assert far["cosine"] == pytest.approx(0.15, abs=0.15)


def test_what_texts_of_unknown_words_compare_to_is_said_to_mean_nothing(
    model: Sequence[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["compare", "🔥", "🎂", *model, "--output", "json"]) == EXIT_OK

    captured = capsys.readouterr()
    assert abs(json.loads(captured.out)["cosine"]) < 1
    assert "none of the words of 2 texts: their vectors mean nothing" in captured.err


def test_two_traces_stand_side_by_side(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, other = traffic(range(1)), traffic(range(1), Fault(900, failing=1), seed=8)
    files = []
    for name, requests in (("good", good), ("other", other)):
        encoded = (each.SerializeToString() for each in requests)
        file = tmp_path / f"{name}.bin"
        file.write_bytes(b"".join(len(each).to_bytes(4) + each for each in encoded))
        files += ["--in", str(file)]
    ids = [
        each[0].resource_spans[0].scope_spans[0].spans[0].trace_id.hex() for each in (good, other)
    ]

    assert run(["compare", ids[0], ids[1].upper(), *files, "--output", "json"]) == EXIT_OK

    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(each["depth"], each["operation"]) for each in lines] == [
        (0, "POST /checkout"),
        (1, "get cart"),
        (1, "ask bank"),
        (2, "charge card"),
    ]
    assert lines[-1]["marks"] == ["fails", "slower"]
    assert lines[-1]["a"]["span_id"] != lines[-1]["b"]["span_id"]
    assert run(["compare", ids[0], ids[1], *files]) == EXIT_OK
    assert "     bank charge card" in capsys.readouterr().out


def test_a_trace_that_is_not_there_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "some.bin"
    encoded = traffic(range(1))[0].SerializeToString()
    file.write_bytes(len(encoded).to_bytes(4) + encoded)

    assert run(["compare", "0" * 32, "1" * 32, "--in", str(file)]) == EXIT_FAILED

    assert f"there is no trace {'0' * 32} in " in capsys.readouterr().err
