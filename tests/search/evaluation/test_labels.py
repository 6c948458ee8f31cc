from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import pytest

from otel_embedder.errors import UnreadableFileError
from otel_embedder.otlp.spans import SpanIds
from otel_embedder.search.evaluation.labels import Fault, read_labels

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

OWN = {"trace_id": "ab" * 16, "fault_id": "1", "fault_type": "slow", "fault_service": "bank"}
WINDOW = {"window": "fault", "span_in_fault_service": "1", "span_calls_fault_service": "0"}


def table(*rows: Mapping[str, str]) -> str:
    """Give a table of rows; the span ids are their numbers, from 0."""
    numbered = [{"span_id": f"{number:016x}", **row} for number, row in enumerate(rows)]
    return "\n".join(["\t".join(numbered[0]), *("\t".join(row.values()) for row in numbered), ""])


def labelled(path: Path, *rows: Mapping[str, str]) -> list[int]:
    """Give the numbers of the rows in whose spans a fault shows."""
    path.write_text(table(*rows), encoding="utf-8")
    return [int.from_bytes(ids.span_id) for ids in read_labels(path)]


@pytest.fixture(name="file")
def _file(tmp_path: Path) -> Path:
    return tmp_path / "labels.tsv"


def test_a_span_is_labelled_with_its_fault(file: Path) -> None:
    file.write_text(table({**OWN, "symptom": "1"}), encoding="utf-8")

    assert read_labels(file) == {SpanIds(b"\xab" * 16, bytes(8)): Fault("1", "slow", "bank")}


def test_symptoms_are_told_by_a_column(file: Path) -> None:
    assert labelled(file, *({**OWN, "symptom": symptom} for symptom in "1001")) == [0, 3]


def test_a_fault_shows_in_its_service_while_it_is_there(file: Path) -> None:
    rows = [
        {**OWN, **WINDOW},
        {**OWN, **WINDOW, "window": "normal"},
        {**OWN, **WINDOW, "span_in_fault_service": "0"},
        {**OWN, **WINDOW, "span_in_fault_service": "0", "span_calls_fault_service": "1"},
    ]

    assert labelled(file, *rows) == [0]


def test_a_delayed_network_shows_in_the_callers(file: Path) -> None:
    delayed = {**OWN, **WINDOW, "fault_type": "network_delay"}
    rows = [delayed, {**delayed, "span_in_fault_service": "0", "span_calls_fault_service": "1"}]

    assert labelled(file, *rows) == [1]


def test_a_table_may_be_compressed_and_have_other_columns(file: Path) -> None:
    rows = table({"note": '"as it is', **OWN, "symptom": "1"})
    file.write_bytes(gzip.compress(b"\xef\xbb\xbf" + rows.encode()))

    assert len(read_labels(file)) == 1


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "line 1: lacks the columns trace_id, span_id, fault_id, fault_type, fault_service"),
        ("trace_id,span_id\n", "line 1: lacks the columns trace_id"),
        (table({**OWN, "symptom": "perhaps"}), "line 2: symptom: Input should be a valid boolean"),
        (
            table({**OWN, "symptom": "1"}, {**OWN, "trace_id": "ab", "symptom": "1"}),
            "line 3: trace_id: String should match",
        ),
        (table({**OWN, "fault_id": " ", "symptom": "1"}), "line 2: fault_id: String should have"),
        (table(OWN), "line 2: needs a column symptom"),
        (table({**OWN, "window": "fault"}), "line 2: needs a column symptom"),
        (table({**OWN, "symptom": "1"}) + "abc\n", "line 3: trace_id"),
    ],
)
def test_what_is_wrong_is_told_with_its_line_and_column(
    content: str, problem: str, file: Path
) -> None:
    file.write_text(content, encoding="utf-8")

    with pytest.raises(UnreadableFileError) as raised:
        read_labels(file)

    assert str(raised.value).startswith(f"{file}, {problem}")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (gzip.compress(b"x" * 1000)[:-9], "is no table with tabs"),
        (b"\xff\xff\xff", "is no table with tabs"),
        (b"\x1f\x8bnot gzip at all", "can't be read"),
    ],
    ids=["cut off", "not UTF-8", "not gzip"],
)
def test_what_is_no_table_is_told(content: bytes, problem: str, file: Path) -> None:
    file.write_bytes(content)

    with pytest.raises(UnreadableFileError, match=problem):
        read_labels(file)
