"""The release's workflow, and what docs/deploy.md has one type."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.support.charts import NAMESPACE, ToolError, manifests, tool, typed, validate
from tests.support.documents import typed_commands
from tests.support.processes import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.deploy

WORKFLOW = REPOSITORY / ".github" / "workflows" / "release.yaml"
COMMANDS = typed_commands()


def check(workflow: Path) -> None:
    tool("check-jsonschema", "--builtin-schema", "vendor.github-workflows", workflow)


def test_the_workflow_is_one() -> None:
    check(WORKFLOW)


def test_a_typo_in_the_workflow_is_found(tmp_path: Path) -> None:
    file = tmp_path / "release.yaml"
    file.write_text(WORKFLOW.read_text().replace("runs-on:", "run-on:"))

    with pytest.raises(ToolError):
        check(file)


def test_the_workflow_makes_what_can_be_made() -> None:
    makefile = (REPOSITORY / "Makefile").read_text()
    wanted = re.findall(r"run: make (.+)$", WORKFLOW.read_text(), re.MULTILINE)

    assert wanted
    for target in " ".join(wanted).split():
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)


@pytest.mark.parametrize("command", [line for line in COMMANDS if line.startswith("helm ")])
def test_helm_commands_of_the_document_give_valid_manifests(command: str) -> None:
    assert f"--namespace {NAMESPACE} " in command
    validate(manifests(typed(command)))


def test_other_commands_of_the_document_name_what_is_there() -> None:
    paths = {word for line in COMMANDS for word in line.split() if word.startswith("deploy/")}

    assert len(paths) >= 4
    assert [path for path in paths if not (REPOSITORY / path).exists()] == []
