from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, get_args

import pytest
from click.shell_completion import ShellComplete

from otel_embedder.annotation.settings import Encoding
from otel_embedder.cli import COMMANDS, EXIT_OK, EXIT_USAGE, main, run
from otel_embedder.settings import Settings
from tests.support.processes import own_environment

if TYPE_CHECKING:
    from pathlib import Path

# What bash does when somebody presses the tabulator behind these words.
COMPLETE_WORDS = """
eval "$(otel-embedder completion bash)"
complete -p otel-embedder >&2
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_otel_embedder_completion otel-embedder
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(name="path")
def _path(tmp_path: Path) -> str:
    """Give a search path on which the program is found, installed or not."""
    program = tmp_path / "otel-embedder"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m otel_embedder "$@"\n')
    program.chmod(0o755)
    return f"{tmp_path}{os.pathsep}{os.environ['PATH']}"


def completed_by_bash(path: str, *words: str) -> list[str]:
    finished = subprocess.run(
        ["bash", "--norc", "-c", COMPLETE_WORDS, "bash", *words],  # noqa: S607 - wherever it is
        env=own_environment({"PATH": path}),
        capture_output=True,
        check=True,
        encoding="utf-8",
        timeout=60,
    )
    assert finished.stderr == "complete -o nosort -F _otel_embedder_completion otel-embedder\n"
    return finished.stdout.split()


def completions(*words: str) -> list[tuple[str, str]]:
    """Give kind and value of what may stand in the place of the last word."""
    shell = ShellComplete(main, {}, "otel-embedder", "_OTEL_EMBEDDER_COMPLETE")
    return [(item.type, item.value) for item in shell.get_completions([*words[:-1]], words[-1])]


def test_bash_completes_commands(path: str) -> None:
    assert completed_by_bash(path, "otel-embedder", "") == [*COMMANDS]
    assert completed_by_bash(path, "otel-embedder", "mod") == ["model"]


def test_bash_completes_settings_and_their_choices(path: str) -> None:
    assert completed_by_bash(path, "otel-embedder", "serve", "--enc") == ["--encoding"]
    assert completed_by_bash(path, "otel-embedder", "serve", "--encoding", "b") == [
        "bytes",
        "base64",
    ]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shells_script_asks_the_program_in_that_shells_way(
    shell: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["completion", shell]) == EXIT_OK
    script = capsys.readouterr().out
    assert f"_OTEL_EMBEDDER_COMPLETE={shell}_complete" in script
    assert script.endswith("\n")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_help_says_how_each_shell_gets_it(
    shell: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run(["completion", "--help"])

    lines = capsys.readouterr().out.splitlines()
    assert any(f"otel-embedder completion {shell}" in line and "~/." in line for line in lines)


def test_another_shell_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["completion", "csh"]) == EXIT_USAGE
    assert "'csh' is not one of 'bash', 'zsh', 'fish'" in capsys.readouterr().err


@pytest.mark.parametrize("name", Settings.model_fields)
def test_each_setting_of_serve_is_completed(name: str) -> None:
    flag = f"--{name.replace('_', '-')}"

    assert ("plain", flag) in completions("serve", flag)


def test_a_setting_with_choices_is_completed_with_them() -> None:
    choices = [("plain", choice) for choice in get_args(Encoding)]

    assert completions("serve", "--encoding", "") == choices


@pytest.mark.parametrize(
    ("flag", "kind"), [("--config", "file"), ("--model", "dir"), ("--model-cache", "dir")]
)
def test_the_shell_itself_completes_a_path(flag: str, kind: str) -> None:
    assert completions("serve", flag, "./mod") == [(kind, "./mod")]


def test_a_setting_that_may_be_anything_is_completed_with_nothing() -> None:
    assert completions("serve", "--next-hop", "") == []
