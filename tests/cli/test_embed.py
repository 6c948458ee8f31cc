from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_embedder.cli import EXIT_FAILED, EXIT_OK, EXIT_USAGE, run
from otel_embedder.cli.embed import json_numbers
from otel_embedder.embedder.bulk import BATCHES_A_WORKER
from otel_embedder.embedder.embedding import MAX_BATCH_SIZE
from otel_embedder.embedder.stand_in import STAND_IN_MODEL
from tests.support.processes import own_environment
from tests.support.tiny_bert import TINY_DIMENSION
from tests.support.tiny_model import TINY_MODEL, tiny_model_flags

if TYPE_CHECKING:
    from pathlib import Path

    from otel_embedder.embedder.embedding import Vector
    from otel_embedder.embedder.models.ctranslate2 import CTranslate2Model

PATIENCE = 60
THREADS = 2
WINDOW = MAX_BATCH_SIZE * BATCHES_A_WORKER * THREADS


@pytest.fixture(name="model", scope="module")
def _model(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    flags = tiny_model_flags(tmp_path_factory.mktemp("models"))
    return (*flags, "--model-threads", str(THREADS))


def set_stdin(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))


def printed(capsys: pytest.CaptureFixture[str]) -> list[tuple[str, Vector]]:
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return [(line["text"], np.array(line["vector"], np.float32)) for line in lines]


def embed_process(*arguments: str | bytes | Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "otel_embedder", "embed", *arguments],
        env=own_environment({}),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def test_each_text_is_a_line_of_json(
    model: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["embed", *model, "a b", "c"]) == EXIT_OK

    captured = capsys.readouterr()
    first, second = map(json.loads, captured.out.splitlines())
    assert [*first] == ["text", "model", "vector"]
    assert (first["text"], first["model"]) == ("a b", TINY_MODEL)
    assert len(first["vector"]) == TINY_DIMENSION
    assert second["text"] == "c"
    assert second["vector"] != first["vector"]


def test_lines_on_stdin_are_texts(
    model: tuple[str, ...],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    set_stdin(monkeypatch, "a b\nc\r\n a\u2028ü \nd".encode())

    assert run(["embed", *model]) == EXIT_OK
    assert [text for text, _ in printed(capsys)] == ["a b", "c", " a\u2028ü ", "d"]


def test_a_text_has_the_same_vector_however_it_comes(
    model: tuple[str, ...],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    set_stdin(monkeypatch, b"a b\nc d e\na b\n")
    run(["embed", *model])
    run(["embed", *model, "a b", "c d e"])

    [one, two, again, argument, other] = [vector.tobytes() for _, vector in printed(capsys)]

    assert one == again == argument
    assert two == other


def test_without_lines_there_is_nothing_to_print(
    model: tuple[str, ...],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    set_stdin(monkeypatch, b"")

    assert run(["embed", *model]) == EXIT_OK
    assert capsys.readouterr().out == ""


def test_a_text_is_embedded_as_it_is_given(
    model: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    run(["embed", *model, " 10.0.0.1  [b]\x1b "])

    assert printed(capsys)[0][0] == " 10.0.0.1  [b]\x1b "


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1))
def test_numbers_read_back_to_the_very_float32(numbers: list[float]) -> None:
    vector = np.array(numbers, np.float32)

    read = np.array(json.loads(json.dumps(json_numbers(vector))), np.float32)

    assert read.tobytes() == vector.tobytes()


def test_numbers_are_no_longer_than_they_need_be() -> None:
    assert json.dumps(json_numbers(np.array([0.1, 1 / 3], np.float32))) == "[0.1, 0.33333334]"


def test_npy_holds_the_same_vectors_and_nothing_is_printed(
    model: tuple[str, ...], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    texts = ["a b", "c", "a b"]
    run(["embed", *model, *texts])
    vectors = [vector for _, vector in printed(capsys)]

    assert run(["embed", *model, "--npy", str(tmp_path / "out.npy"), *texts]) == EXIT_OK

    read = np.load(tmp_path / "out.npy")
    assert (read.dtype, read.shape) == (np.dtype("<f4"), (3, TINY_DIMENSION))
    assert read.tobytes() == np.array(vectors).tobytes()
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == f"3 vectors of 16 numbers in {tmp_path / 'out.npy'}\n"


def test_npy_is_not_there_unless_all_went_well(
    model: tuple[str, ...],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    set_stdin(monkeypatch, b"a\n" * (WINDOW + 1) + b"\n")
    directory = tmp_path / "out"
    directory.mkdir()

    assert run(["embed", *model, "--npy", str(directory / "out.npy")]) == EXIT_FAILED
    assert f"line {WINDOW + 2} is empty" in capsys.readouterr().err
    assert list(directory.iterdir()) == []


def test_a_place_that_npy_cannot_be_written_to_is_named(
    model: tuple[str, ...], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "missing" / "out.npy"

    assert run(["embed", *model, "--npy", str(path), "a"]) == EXIT_FAILED
    error = capsys.readouterr().err
    assert error == f"otel-embedder: {path} can't be written: No such file or directory\n"


def test_npy_never_takes_the_place_of_what_is_no_file(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    assert run(["embed", "--npy", str(pipe), "a"]) == EXIT_USAGE
    assert f"'{pipe}' is not a file" in capsys.readouterr().err
    assert pipe.is_fifo()


@pytest.mark.parametrize("text", ["", " ", "\n\t"])
def test_an_empty_text_is_wrong_usage(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["embed", "a", text]) == EXIT_USAGE
    assert f"{text!r} is empty" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "problem"), [(b"", "is empty"), (b" ", "is empty"), (b"gr\xfc\xdfe", "is not UTF-8")]
)
def test_a_line_that_is_no_text_is_named(
    line: bytes,
    problem: str,
    model: tuple[str, ...],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    set_stdin(monkeypatch, b"a\n" + line + b"\nb\n")

    assert run(["embed", *model]) == EXIT_FAILED
    assert capsys.readouterr().err.startswith(f"Error: line 2 {problem}")


def test_a_text_that_is_not_utf_8_is_wrong_usage() -> None:
    with embed_process(b"gr\xfc\xdfe") as process:
        _, complaint = process.communicate(timeout=PATIENCE)

    assert process.returncode == EXIT_USAGE
    assert b"is not UTF-8" in complaint
    assert b"Traceback" not in complaint


def test_a_terminal_is_not_waited_for() -> None:
    controller, terminal = os.openpty()
    try:
        completed = subprocess.run(
            [sys.executable, "-m", "otel_embedder", "embed"],
            env=own_environment({}),
            stdin=terminal,
            capture_output=True,
            check=False,
            timeout=PATIENCE,
        )
    finally:
        os.close(controller)
        os.close(terminal)

    assert completed.returncode == EXIT_USAGE
    assert b"give a TEXT, or lines on stdin" in completed.stderr


def test_without_a_stdin_there_must_be_a_text(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", None)

    assert run(["embed"]) == EXIT_USAGE
    assert "give a TEXT" in capsys.readouterr().err


def test_a_model_that_is_not_there_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["embed", "--model", str(tmp_path), "a"]) == EXIT_FAILED
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "lacks model.safetensors" in captured.err


def test_lines_are_answered_before_stdin_ends(model: tuple[str, ...]) -> None:
    with embed_process(*model) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(b"".join(b"%d a\n" % number for number in range(WINDOW)))
        process.stdin.flush()

        answers = [json.loads(process.stdout.readline()) for _ in range(WINDOW)]

        process.stdin.close()
        assert process.stdout.read() == b""
    assert [answer["text"] for answer in answers] == [f"{number} a" for number in range(WINDOW)]
    assert process.returncode == EXIT_OK


def test_a_reader_that_has_seen_enough_hears_no_complaint(model: tuple[str, ...]) -> None:
    with embed_process(*model) as process:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        # Answers are more than a pipe holds, so that writing meets the closed end.
        process.stdin.write(b"a b\n" * 5_000)
        process.stdin.close()
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""


@pytest.mark.integration
def test_the_real_model_is_asked(
    real_model: CTranslate2Model, model_cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = ["payment times out talking to the bank", "the disk is full"]

    assert run(["embed", "--model-cache", str(model_cache), *texts]) == EXIT_OK

    expected = [embedding.vector.tobytes() for embedding in real_model.encode(texts)]
    assert [vector.tobytes() for _, vector in printed(capsys)] == expected


def test_of_texts_of_unknown_words_the_vectors_are_said_to_be_stand_ins(
    model: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["embed", *model, "🔥", "a", "🎂"]) == EXIT_OK

    captured = capsys.readouterr()
    models = [json.loads(line)["model"] for line in captured.out.splitlines()]
    assert models == [STAND_IN_MODEL, TINY_MODEL, STAND_IN_MODEL]
    assert "knows none of the words of 2 texts: their vectors mean nothing" in captured.err


@pytest.mark.parametrize("text", ["\u200b", "\ufeff", "\u2060 \u00ad", "\x07"])
def test_a_text_that_takes_no_room_is_empty(
    model: tuple[str, ...], capsys: pytest.CaptureFixture[str], text: str
) -> None:
    assert run(["embed", *model, text]) != EXIT_OK
    assert "is empty" in capsys.readouterr().err
