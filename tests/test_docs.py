"""What the documents say of settings, commands and files must be true."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest

from otel_embedder.cli import COMMANDS, main
from tests.support.docs import metrics_table, settings_table
from tests.support.processes import own_environment, run_python

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
COMMANDS_PAGE = (DOCS / "commands.md").read_text(encoding="utf-8")
# Of the trace in docs/library.md that is none.
WARNING = (
    "event='embedding-generation-failed' error='a trace is a dict or a ReadableSpan, not str' "
    "trace_id='unknown' fallback=True\n"
)
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])


def test_the_document_has_a_row_for_each_setting() -> None:
    assert settings_table() in (DOCS / "settings.md").read_text(encoding="utf-8")


def test_the_document_has_a_row_for_each_metric() -> None:
    assert metrics_table() in (DOCS / "metrics.md").read_text(encoding="utf-8")


def test_each_page_stands_in_the_contents_of_the_site() -> None:
    site = tomllib.loads((ROOT / "zensical.toml").read_text(encoding="utf-8"))

    assert {path.name for path in DOCS.glob("*.md")} <= set(pages(site["project"]["nav"]))


def pages(contents: object) -> Iterator[str]:
    """Give the pages in a site's contents, at whatever depth."""
    match contents:
        case str():
            yield contents
        case dict():
            yield from pages(list(contents.values()))
        case list():
            for entry in contents:
                yield from pages(entry)


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_is_in_the_document_and_has_help_with_an_example(name: str) -> None:
    command = main.get_command(click.Context(main), name)

    assert f"otel-embedder {name}" in COMMANDS_PAGE
    assert command
    assert command.help
    for leaf in getattr(command, "commands", {name: command}).values():
        assert isinstance(leaf, click.Command)
        assert "Example: otel-embedder" in (leaf.help or "")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_to_files_lead_somewhere(document: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", document.read_text(encoding="utf-8"))

    assert [link for link in links if not (document.parent / link).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_make_targets_that_documents_name_exist(document: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"^([a-z-]+):", makefile, re.MULTILINE)
    named = re.findall(r"`make ([a-z-]+)`", document.read_text(encoding="utf-8"))

    assert set(named) <= set(targets)


def test_flags_that_documents_name_exist() -> None:
    named = set(re.findall(r"`(--[a-z-]+)", COMMANDS_PAGE))
    of_sidecar = (DOCS / "sidecar.md").read_text(encoding="utf-8")
    named.update(re.findall(r"`(--[a-z-]+)", of_sidecar))

    assert {"--explain", "--model"} <= named
    assert named <= {*flags(main), "--help"}


def flags(command: click.Command) -> Iterator[str]:
    """Give the flags of a command, and of those below it."""
    for parameter in command.params:
        yield from parameter.opts
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below
            yield from flags(below)


@pytest.mark.integration
@pytest.mark.parametrize(
    "document", [ROOT / "docs" / "library.md", ROOT / "README.md"], ids=lambda path: path.name
)
def test_code_in_documents_runs_and_prints_what_they_say(document: Path, tmp_path: Path) -> None:
    """All of a document's Python is one program; behind a block may stand what it prints."""
    blocks = re.findall(
        r"^```(python|text)\n(.*?)^```$",
        document.read_text(encoding="utf-8"),
        re.MULTILINE | re.DOTALL,
    )
    code = "".join(text for language, text in blocks if language == "python")
    printed = "".join(
        text
        for (before, _), (language, text) in pairwise(blocks)
        if (before, language) == ("python", "text")
    )
    finished = run_python(code, XDG_CACHE_HOME=str(tmp_path))

    assert finished.stderr.replace(WARNING, "") == ""
    assert printed
    assert finished.stdout == printed


@pytest.mark.integration
def test_the_first_ten_minutes_go_as_the_document_says(tmp_path: Path, model_cache: Path) -> None:
    """All that one types there, but what installs; behind a block may stand what it prints."""
    text = (DOCS / "first.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```(console|text)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    installs, *typed = [block for language, block in blocks if language == "console"]
    printed = [block for language, block in blocks if language == "text"]
    script = re.sub(r"^\$ ", "", "".join(typed), flags=re.MULTILINE)
    environment = own_environment({"OTEL_EMBEDDER_MODEL_CACHE": str(model_cache)})
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    command = ["bash", "-eu"]
    finished = subprocess.run(
        command,
        input=script,
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        check=False,
        encoding="utf-8",
        timeout=100,
    )

    assert "pip install otel-embedder" in installs
    assert finished.returncode == 0, finished.stderr
    assert printed
    assert all(block in finished.stdout for block in printed)
    assert finished.stdout.index("northbank", len(printed[0])) < finished.stdout.rindex("cart")
    assert (tmp_path / "embedded.jsonl").stat().st_size > (tmp_path / "traces.jsonl").stat().st_size
