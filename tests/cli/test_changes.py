from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from otel_embedder.cli import EXIT_FAILED, EXIT_OK, EXIT_USAGE, run
from tests.support.otlp_samples import request
from tests.support.tiny_model import tiny_model_flags
from tests.support.traffic import ASK_BANK, BANK, CHARGE, WELL, Fault, traffic

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

SLOW = Fault(milliseconds=900)
FAILING = Fault(failing=0.5)
HOUR = range(60)
AFTERWARDS = range(60, 75)
WINDOW = ("--window", "2026-03-01T13:00:00Z/2026-03-01T13:15:00Z")


@pytest.fixture(name="model", scope="module")
def _model(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    return tiny_model_flags(tmp_path_factory.mktemp("models"))


def write(path: Path, minutes: Iterable[int], fault: Fault = WELL, *, seed: int = 7) -> str:
    requests = traffic(minutes, fault, seed=seed)
    lines = (each.SerializeToString() for each in requests)
    path.write_bytes(b"".join(len(each).to_bytes(4) + each for each in lines))
    return str(path)


def indexed(directory: Path, model: Sequence[str], fault: Fault) -> str:
    """Put an hour, and the minutes after it, into a catalogue, and delete the files."""
    url = f"sqlite:///{directory / 'spans.db'}"
    files = [
        write(directory / "hour.bin", HOUR),
        write(directory / "after.bin", AFTERWARDS, fault, seed=8),
    ]
    assert run(["index", *files, "--catalogue", url, *model]) == EXIT_OK
    for name in ("hour.bin", "after.bin"):
        (directory / name).unlink()
    return url


def answer(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    capsys.readouterr()
    assert run(["changes", *arguments, "--output", "json"]) == EXIT_OK
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def named(change: dict[str, Any]) -> tuple[str, str]:
    return change["operation"]["service"], change["operation"]["operation"]


@pytest.mark.parametrize(
    ("fault", "test"), [(SLOW, "median"), (FAILING, "fails")], ids=["slow", "failing"]
)
def test_a_catalogue_tells_what_has_changed_without_the_files(
    tmp_path: Path,
    model: Sequence[str],
    capsys: pytest.CaptureFixture[str],
    fault: Fault,
    test: str,
) -> None:
    url = indexed(tmp_path, model, fault)

    found = answer(
        capsys, *WINDOW, "--catalogue", url, "--trace-link", "https://traces.example/{trace_id}",
        *model,
    )  # fmt: skip

    first, *_ = found["certain"]
    assert named(first) == (BANK, CHARGE)
    assert test in {reason["test"] for reason in first["reasons"] if reason["z"] > 4}
    assert (first["spans_before"], first["spans_after"]) == (1_200, 300)
    [before, *_], [after, *_] = first["examples_before"], first["examples_after"]
    assert before["time"] < "2026-03-01T13:00" <= after["time"] < "2026-03-01T13:15"
    assert after["link"] == f"https://traces.example/{after['trace_id']}"
    assert found["window"] == {
        "since": "2026-03-01T13:00:00.000Z",
        "until": "2026-03-01T13:15:00.000Z",
        "spans": 1_200,
        "finest": 60,
    }
    assert found["baseline"]["since"] == "2026-03-01T12:00:00.000Z"


def test_what_fails_is_shown_by_what_fails(
    tmp_path: Path, model: Sequence[str], capsys: pytest.CaptureFixture[str]
) -> None:
    url = indexed(tmp_path, model, FAILING)

    [first, *_] = answer(capsys, *WINDOW, "--catalogue", url, *model)["certain"]

    assert "the card was refused" in first["text"]
    assert first["reads_like"]
    assert all((each["service"], each["operation"]) != named(first) for each in first["reads_like"])


def test_whom_a_row_calls_is_said(
    tmp_path: Path, model: Sequence[str], capsys: pytest.CaptureFixture[str]
) -> None:
    good = write(tmp_path / "good.bin", HOUR)
    other = write(tmp_path / "other.bin", AFTERWARDS, Fault(network=400), seed=8)

    assert run(["changes", "--before", good, "--after", other, *model]) == EXIT_OK

    assert f"\n1. shop {ASK_BANK} -> bank\n   p" in capsys.readouterr().out


def test_an_ordinary_run_has_no_change_and_how_large_one_had_to_be_is_said(
    tmp_path: Path, model: Sequence[str], capsys: pytest.CaptureFixture[str]
) -> None:
    good = [write(tmp_path / f"{name}.bin", HOUR, seed=name) for name in (1, 2)]
    other = write(tmp_path / "other.bin", AFTERWARDS, seed=8)

    code = run(["changes", "--before", *good, "--after", other, "--fail-on", "certain", *model])

    assert code == EXIT_OK
    assert "no change found: of the 300 spans of " in capsys.readouterr().out


def test_a_change_that_is_certain_fails_a_deployment(
    tmp_path: Path, model: Sequence[str], capsys: pytest.CaptureFixture[str]
) -> None:
    good = write(tmp_path / "good.bin", HOUR)
    other = write(tmp_path / "other.bin", AFTERWARDS, FAILING, seed=8)

    code = run(["changes", "--before", good, "--after", other, "--fail-on", "certain", *model])

    assert code == EXIT_FAILED
    assert "changed for certain: " in capsys.readouterr().err


def test_where_nothing_was_counted_nothing_is_told(
    tmp_path: Path, model: Sequence[str], capsys: pytest.CaptureFixture[str]
) -> None:
    other = write(tmp_path / "other.bin", AFTERWARDS, SLOW)
    empty = tmp_path / "empty.bin"
    nothing = request().SerializeToString()
    empty.write_bytes(len(nothing).to_bytes(4) + nothing)

    assert run(["changes", "--before", str(empty), "--after", other, *model]) == EXIT_OK

    assert "no spans were counted in the time before" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--before", "a.bin"), "--before and --after go together"),
        (("--before", "a.bin", "--after", "a.bin", "--window", "1h"), "are of a catalogue"),
        (("--window", "soon"), "Invalid value for --window: 'soon': is to be a time such as 15m"),
        ((), "say which catalogue"),
        (("--url", "http://127.0.0.1:9", "--catalogue", "memory"), "one of them"),
    ],
)
def test_wrong_usage_is_told(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: Sequence[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "a.bin", range(1))

    assert run(["changes", *arguments]) == EXIT_USAGE
    assert message in " ".join(capsys.readouterr().err.split())
