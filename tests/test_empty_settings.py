"""An empty variable in a manifest, a key without a value in a file: nobody means a path by it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from otel_embedder.cli import EXIT_OK, run
from otel_embedder.errors import SettingsError
from otel_embedder.settings import Settings, default_text, load_settings

if TYPE_CHECKING:
    from pathlib import Path

EXIT_USAGE = 2

FIELDS = Settings.model_fields
OF_THE_FILE = [name for name in FIELDS if name != "config"]
# What is said to be empty for none, where there is a none.
MAY_BE_EMPTY = [
    name for name, field in FIELDS.items() if "empty for none" in (field.description or "").lower()
]
NOT_EMPTY = [name for name in FIELDS if name not in MAY_BE_EMPTY]
MAY_BE_NULL = [name for name, field in FIELDS.items() if field.default is None]
# The last two are a no-break space, and one of no width.
BLANKS = ("", " ", "\t \n", "\u00a0", "\u200b")
# In YAML. Of numbers it is said elsewhere which may be what.
OTHERS = (
    *("[[1]]", "{1: 2}", "2024-05-01", "!!binary aGVsbG8="),
    *("['', ' ']", "[null]"),
)


def problem(**flags: object) -> str:
    with pytest.raises(SettingsError) as caught:
        load_settings(flags)
    [said] = caught.value.problems
    return said


def in_file(directory: Path, name: str, value: str) -> Path:
    file = directory / "settings.yaml"
    file.write_text(f"{name}: {value}\n")
    return file


def test_these_may_be_empty() -> None:
    assert sorted(MAY_BE_EMPTY) == [
        *("metrics_listen", "next_hop_headers", "secret_keys"),
        *("telemetry_headers", "telemetry_resource", "volatile_keys"),
    ]


@pytest.mark.parametrize("name", NOT_EMPTY)
def test_no_flag_is_taken_empty(name: str) -> None:
    for blank in BLANKS:
        said = problem(**{name: blank})

        assert said.startswith(f"--{name.replace('_', '-')}")
        assert said.endswith(": must have a value; leave it out for the default")


@pytest.mark.parametrize("name", NOT_EMPTY)
def test_no_variable_is_taken_empty(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for blank in BLANKS:
        monkeypatch.setenv(f"OTEL_EMBEDDER_{name.upper()}", blank)
        said = problem()

        assert said.startswith(f"OTEL_EMBEDDER_{name.upper()}")
        assert said.endswith(": must have a value; leave it out for the default")


@pytest.mark.parametrize("name", [name for name in NOT_EMPTY if name != "config"])
def test_no_key_of_the_file_is_taken_empty(name: str, tmp_path: Path) -> None:
    for blank in BLANKS:
        file = in_file(tmp_path, name, json.dumps(blank))
        said = problem(config=file)

        assert said.startswith(f"{file}, line 1: {name}")
        assert said.endswith(": must have a value; leave it out for the default")


@pytest.mark.parametrize("name", MAY_BE_EMPTY)
@pytest.mark.parametrize("source", ["flag", "variable", "file"])
def test_what_may_be_empty_is_none_then(
    source: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flags: dict[str, object] = {}
    if source == "flag":
        flags = {name: ""}
    elif source == "variable":
        monkeypatch.setenv(f"OTEL_EMBEDDER_{name.upper()}", "")
    else:
        flags = {"config": in_file(tmp_path, name, "''")}

    assert not getattr(load_settings(flags), name)


@pytest.mark.parametrize("name", OF_THE_FILE)
def test_a_key_without_a_value_is_a_problem_or_none(name: str, tmp_path: Path) -> None:
    file = in_file(tmp_path, name, "")

    if name in MAY_BE_NULL:
        assert getattr(load_settings({"config": file}), name) is None
        assert default_text(FIELDS[name]) == "none"
    else:
        assert problem(config=file).startswith(f"{file}, line 1: {name}")


@pytest.mark.parametrize("name", OF_THE_FILE)
def test_a_value_of_another_kind_is_a_problem(name: str, tmp_path: Path) -> None:
    for value in OTHERS:
        file = in_file(tmp_path, name, value)
        with pytest.raises(SettingsError) as caught:
            load_settings({"config": file})

        assert all(said.startswith(f"{file}, line 1: {name}") for said in caught.value.problems)


@pytest.mark.parametrize(
    "name", [name for name in OF_THE_FILE if FIELDS[name].annotation is not bool]
)
def test_yes_is_neither_a_number_nor_a_name(name: str, tmp_path: Path) -> None:
    for value in ("true", "off"):
        file = in_file(tmp_path, name, value)

        assert problem(config=file).startswith(f"{file}, line 1: {name}")


@pytest.mark.parametrize("name", ["model", "model_cache", "template", "attribute_prefix"])
def test_a_command_ends_with_2_and_writes_nothing(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(f"OTEL_EMBEDDER_{name.upper()}", "")

    assert run(["serve", "--listen", "127.0.0.1:0"]) == EXIT_USAGE
    assert f"OTEL_EMBEDDER_{name.upper()} is '': must have a value" in capsys.readouterr().err
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    "arguments",
    [("annotate", "traces.bin", "-o", ""), ("embed", "a", "--npy", "")],
    ids=["annotate", "embed"],
)
def test_no_command_writes_to_a_file_without_a_name(
    arguments: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "traces.bin").write_bytes(b"")

    assert run([*arguments]) == EXIT_USAGE
    assert "must name a file" in capsys.readouterr().err


def test_a_command_may_be_given_an_empty_setting_that_is_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "traces.jsonl").write_text("")

    assert run(["render", str(tmp_path / "traces.jsonl"), "--volatile-keys", ""]) == EXIT_OK
    assert capsys.readouterr().out == ""
