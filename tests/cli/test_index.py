from __future__ import annotations

import gzip
import io
import sys
from typing import TYPE_CHECKING, NamedTuple

import pytest

from otel_embedder.cli import EXIT_FAILED, EXIT_OK, EXIT_USAGE, run
from otel_embedder.search.stores.opening import open_store
from tests.support.otlp_samples import request
from tests.support.recorded import MINUTE, made
from tests.support.tiny_model import tiny_model_flags

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from opentelemetry.proto.trace.v1.trace_pb2 import Span

NAME_ONLY = ("--template", "{operation}")


@pytest.fixture(name="model", scope="module")
def _model(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    return (*NAME_ONLY, *tiny_model_flags(tmp_path_factory.mktemp("models")))


class Counted(NamedTuple):
    """What a catalogue holds: spans that were counted, and texts with a vector."""

    spans: int
    texts: list[str]


class Index:
    """Runs `index` in this process, into a catalogue of its own."""

    def __init__(self, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.url = f"sqlite:///{path}"
        self._capsys = capsys

    def __call__(self, *arguments: str | Path) -> tuple[int, list[str]]:
        """Give the exit code, and what was said."""
        code = run(["index", *map(str, arguments), "--catalogue", self.url])
        return code, self._capsys.readouterr().err.splitlines()

    def counted(self) -> Counted:
        store = open_store(self.url, readonly=True)
        try:
            columns = store.columns()
            entries = store.entries(columns.keys[columns.models != 0].tolist())
            buckets = store.buckets(since=MINUTE, until=MINUTE + 3_600)
            spans = sum(int(each.counts.table("rows").values[:, 0].sum()) for each in buckets)
            return Counted(spans, sorted(entry.words for entry in entries))
        finally:
            store.close()


@pytest.fixture(name="index")
def _index(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Index:
    return Index(tmp_path / "catalogue.db", capsys)


def write(path: Path, *spans: Span) -> Path:
    path.write_bytes(request(*spans).SerializeToString())
    return path


@pytest.fixture(name="file")
def _file(tmp_path: Path) -> Path:
    return write(tmp_path / "traces.bin", made("a", 1), made("b", 2), made("a b", 3), made("a", 4))


def test_files_go_into_a_catalogue(
    index: Index, file: Path, model: Sequence[str], tmp_path: Path
) -> None:
    other = write(tmp_path / "other.bin", made("a", 5), made("c", 6))

    code, said = index(file, other, *model)

    assert code == EXIT_OK
    assert said[0].startswith("2 files read, 0 already there; ")
    assert said[1:] == [
        "6 spans, 4 texts: 4 embedded, 0 with the vector that a span brought, 0 already there"
    ]
    assert index.counted() == Counted(6, ["a", "a b", "b", "c"])


def test_a_file_counts_once_whatever_it_is_called(
    index: Index,
    file: Path,
    model: Sequence[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    content = file.read_bytes()
    copy = tmp_path / "copy.bin"
    copy.write_bytes(content)
    stdin = io.TextIOWrapper(io.BufferedReader(io.BytesIO(content)))
    monkeypatch.setattr(sys, "stdin", stdin)

    code, said = index("-", file, copy, *model)
    again, said_again = index(file, *model)

    assert (code, again) == (EXIT_OK, EXIT_OK)
    assert said[0].startswith("1 files read, 2 already there; ")
    assert said_again[0].startswith("0 files read, 1 already there; ")
    assert index.counted() == Counted(4, ["a", "a b", "b"])


def test_texts_that_the_catalogue_has_are_not_embedded(
    index: Index, file: Path, model: Sequence[str], tmp_path: Path
) -> None:
    index(file, *model)

    _, said = index(write(tmp_path / "other.bin", made("a", 5), made("c", 6)), *model)

    assert said[-1] == (
        "2 spans, 2 texts: 1 embedded, 0 with the vector that a span brought, 1 already there"
    )


def test_vectors_of_annotated_files_are_taken(
    index: Index, file: Path, model: Sequence[str], tmp_path: Path
) -> None:
    annotated = tmp_path / "annotated.bin"
    assert run(["annotate", str(file), "-o", str(annotated), *model]) == EXIT_OK

    _, said = index(annotated, *model)

    assert said[-1] == (
        "4 spans, 3 texts: 0 embedded, 3 with the vector that a span brought, 0 already there"
    )
    assert index.counted() == Counted(4, ["a", "a b", "b"])


def test_a_text_without_a_word_that_the_model_knows_is_told_of(
    index: Index, model: Sequence[str], tmp_path: Path
) -> None:
    _, said = index(write(tmp_path / "odd.bin", made("\u2603", 1)), *model)

    assert said[-1].endswith("0 already there, 1 of no word that the model knows")


def test_a_file_that_is_cut_off_is_read_as_far_as_it_goes(
    index: Index, model: Sequence[str], tmp_path: Path
) -> None:
    lengths = b"".join(
        len(encoded).to_bytes(4) + encoded
        for encoded in (request(made(name, 1)).SerializeToString() for name in "abc")
    )
    file = tmp_path / "cut.bin"
    file.write_bytes(lengths[:-3])

    code, said = index(file, *model)

    assert code == EXIT_OK
    assert "cut off" in said[0]
    assert index.counted() == Counted(2, ["a", "b"])


def test_of_a_file_with_a_bad_line_nothing_is_counted(
    index: Index, model: Sequence[str], tmp_path: Path
) -> None:
    file = tmp_path / "bad.jsonl.gz"
    with gzip.open(file, "wb") as lines:
        lines.write(b'{"resourceSpans": []}\n{"resourceSpans": 7}\n')

    code, said = index(file, *model)

    assert code == EXIT_FAILED
    assert "bad.jsonl.gz: line 2" in said[0]
    assert index.counted() == Counted(0, [])


@pytest.mark.parametrize("flags", [(), ("--catalogue", "memory"), ("--catalogue", "mysql://here")])
def test_it_is_said_how_a_catalogue_is_named(
    flags: Sequence[str], file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["index", str(file), *flags]) == EXIT_USAGE
    assert "sqlite:///PATH" in capsys.readouterr().err
