"""What docs/deploy.md has one type on a host, typed: `make test-host`."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.support.processes import REPOSITORY

pytestmark = [pytest.mark.host, pytest.mark.timeout(600)]

HERE = Path(__file__).parent / "host"
DOCUMENT = (REPOSITORY / "docs" / "deploy.md").read_text(encoding="utf-8")
# As root of a machine that is made for it, by whoever runs the test.
MACHINE = [
    *("unshare", "--user", "--map-root-user", "--mount", "--pid", "--fork", "--kill-child"),
    *("sh", str(HERE / "machine.sh")),
]


def commands(title: str) -> str:
    """Give the commands of a section, those of root."""
    [section] = re.findall(rf"^## {title}\n(.*?)^## ", DOCUMENT, re.MULTILINE | re.DOTALL)
    return "".join(f"{line}\n" for line in re.findall(r"^# (.+)$", section, re.MULTILINE))


def test_a_host_with_systemd_comes_up_by_the_commands_of_the_document() -> None:
    """All but systemd itself; `otel-embedder` is the wheel in dist, all else as pip finds it."""
    typed = commands("A host with systemd")
    environment = {
        **os.environ,
        "PATH": f"{HERE}:{os.environ['PATH']}",
        "PIP_FIND_LINKS": str(REPOSITORY / "dist"),
    }
    finished = subprocess.run(
        MACHINE,
        input=typed,
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        check=False,
        encoding="utf-8",
    )

    assert "systemctl enable --now otel-embedder" in typed
    assert "/opt/otel-embedder/bin/otel-embedder health" in typed.splitlines()[-1]
    assert finished.returncode == 0, f"{finished.stdout}{finished.stderr}"
    # It says nothing where all is well.
    assert finished.stdout.splitlines()[-1] == f"# {typed.splitlines()[-1]}"
    assert not Path("/opt/otel-embedder").exists()
