"""The systemd unit: by the real tool, and started without it."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import pytest
import yaml

from otel_embedder.cli import EXIT_OK, run
from otel_embedder.settings import Settings
from tests.support.charts import DEPLOY
from tests.support.comparison import delivery, differences, spans_in
from tests.support.generated import requests_of_every_shape
from tests.support.processes import (
    OTEL_EMBEDDER,
    REPOSITORY,
    Sidecar,
    Sink,
    free_address,
    own_environment,
    send,
)

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.deploy

UNIT = DEPLOY / "systemd" / "otel-embedder.service"
UNIT_SETTINGS = DEPLOY / "systemd" / "otel-embedder.yaml"
INSTALLED = "/opt/otel-embedder/bin/otel-embedder"

# Of 10; `systemd-analyze security` calls what is below 2 "OK". docs/deploy.md says it.
MAX_EXPOSURE = 1.3


def unit(directory: Path, *, old: str = INSTALLED, new: str = "") -> str:
    """Write the unit with a program that is there, or changed in another way; give its path."""
    program = str(REPOSITORY / ".venv" / "bin" / "otel-embedder")
    text = UNIT.read_text().replace(old, new or program).replace(INSTALLED, program)
    file = directory / UNIT.name
    file.write_text(text)
    return str(file)


def analyze(*words: str) -> subprocess.CompletedProcess[str]:
    command = ["systemd-analyze", *words]
    return subprocess.run(command, capture_output=True, check=False, encoding="utf-8")


@pytest.mark.systemd
def test_systemd_takes_the_unit_without_a_word(tmp_path: Path) -> None:
    finished = analyze("verify", unit(tmp_path))

    # It exits with 0 for a key that it doesn't know, too.
    assert (finished.returncode, finished.stdout, finished.stderr) == (0, "", "")


@pytest.mark.systemd
def test_a_typo_in_the_unit_is_found(tmp_path: Path) -> None:
    file = unit(tmp_path, old="ProtectSystem=", new="ProtectSystems=")

    assert "Unknown key 'ProtectSystems'" in analyze("verify", file).stderr


@pytest.mark.systemd
def test_the_unit_exposes_no_more_than_the_document_says(tmp_path: Path) -> None:
    shown = analyze("security", "--offline=true", unit(tmp_path)).stdout
    found = re.search(r"exposure level for \S+: ([\d.]+)", shown)

    assert found
    assert float(found[1]) <= MAX_EXPOSURE
    assert f"{MAX_EXPOSURE} of 10" in (REPOSITORY / "docs" / "deploy.md").read_text()


def test_the_unit_gives_time_to_stop() -> None:
    found = re.search(r"^TimeoutStopSec=(\d+)$", UNIT.read_text(), re.MULTILINE)

    assert found
    assert int(found[1]) > Settings.model_fields["shutdown_timeout"].default


def test_the_unit_lets_the_engine_write_machine_code() -> None:
    lines = UNIT.read_text().splitlines()

    assert [line for line in lines if line.startswith("MemoryDenyWriteExecute")] == []


def test_what_the_unit_starts_runs_with_its_settings_and_variables(
    tmp_path: Path, model_cache: Path
) -> None:
    """All but systemd: its command, with its own paths below a directory of the test's."""
    text = UNIT.read_text()
    (command,) = re.findall(r"^ExecStart=(.*)$", text, re.MULTILINE)
    variables = dict(re.findall(r"^Environment=(\w+)=(.*)$", text, re.MULTILINE))
    socket = tmp_path / "otel-embedder.sock"
    settings = yaml.safe_load(UNIT_SETTINGS.read_text())
    assert settings["listen"] == "unix:/run/otel-embedder/otel-embedder.sock"
    file = tmp_path / "otel-embedder.yaml"
    sent = requests_of_every_shape(20)
    variables["OTEL_EMBEDDER_MODEL_CACHE"] = str(model_cache)
    with Sink() as sink:
        here = {"next_hop": f"http://{sink.address}", "metrics_listen": free_address()}
        file.write_text(yaml.safe_dump({**settings, "listen": f"unix:{socket}", **here}))
        words = command.replace("/etc/otel-embedder/otel-embedder.yaml", str(file)).split()[1:]
        with Sidecar([*OTEL_EMBEDDER, *words], own_environment(variables)) as sidecar:
            sidecar.wait_for_event("service.started")
            assert run(["health", "--config", str(file)]) == EXIT_OK
            send(f"unix:{socket}", sent)
            assert sidecar.stop() == 0

    assert differences(spans_in(sent), delivery(sink.requests).spans) == []
