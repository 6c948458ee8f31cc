"""What the documents say of settings, commands and files must be true."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from otel_embedder.cli import COMMANDS, main
from otel_embedder.settings import Settings
from tests.docs import metrics_table, settings_table

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])


def test_the_readme_has_a_row_for_each_setting() -> None:
    assert settings_table() in README


def test_the_readme_has_a_row_for_each_metric() -> None:
    assert metrics_table() in README


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_is_in_the_readme_and_has_help_with_an_example(name: str) -> None:
    command = main.get_command(click.Context(main), name)

    assert f"otel-embedder {name}" in README
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


def test_settings_that_the_readme_names_exist() -> None:
    named = set(re.findall(r"`--([a-z-]+)", README))

    assert named
    assert {name.replace("-", "_") for name in named} <= set(Settings.model_fields)
