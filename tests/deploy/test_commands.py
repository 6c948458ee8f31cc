"""What docs/deploy.md has one type on a host, typed: `make test-host`."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.support.documents import typed_commands
from tests.support.processes import REPOSITORY

pytestmark = [pytest.mark.host, pytest.mark.timeout(600)]

HERE = Path(__file__).parent / "host"
# As root of a machine that is made for it, by whoever runs the test.
MACHINE = [
    *("unshare", "--user", "--map-root-user", "--mount", "--pid", "--fork", "--kill-child"),
    *("sh", str(HERE / "machine.sh")),
]


def test_a_host_with_systemd_comes_up_by_the_commands_of_the_document() -> None:
    """All but systemd itself; `otel-embedder` is the wheel in dist, all else as pip finds it."""
    typed = typed_commands("A host with systemd", prompt="#")
    environment = {
        **os.environ,
        "PATH": f"{HERE}:{os.environ['PATH']}",
        "PIP_FIND_LINKS": str(REPOSITORY / "dist"),
    }
    finished = subprocess.run(
        MACHINE,
        input="".join(f"{command}\n" for command in typed),
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        check=False,
        encoding="utf-8",
    )

    assert "systemctl enable --now otel-embedder" in typed[-2]
    assert "/opt/otel-embedder/bin/otel-embedder health" in typed[-1]
    assert finished.returncode == 0, f"{finished.stdout}{finished.stderr}"
    # It says nothing where all is well.
    assert finished.stdout.splitlines()[-1] == f"# {typed[-1]}"
    assert not Path("/opt/otel-embedder").exists()
