"""The systemd unit and the compose file: by the real tools, and started without either."""

from __future__ import annotations

import os
import re
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from otel_embedder import __version__
from otel_embedder.cli import EXIT_OK, run
from otel_embedder.settings import ENVIRONMENT_PREFIX, Settings, load_settings
from otel_embedder.sidecar.checks import CHECKS
from tests.support.charts import DEPLOY, ToolError, tool
from tests.support.comparison import delivery, differences, spans_in
from tests.support.generated import requests_of_every_shape
from tests.support.processes import (
    CONFIGURATIONS,
    OTEL_EMBEDDER,
    REPOSITORY,
    Sidecar,
    Sink,
    free_address,
    own_environment,
    running_collector,
    send,
)

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.deploy

UNIT = DEPLOY / "systemd" / "otel-embedder.service"
UNIT_SETTINGS = DEPLOY / "systemd" / "otel-embedder.yaml"
COMPOSE = DEPLOY / "compose" / "compose.yaml"
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


def test_systemd_takes_the_unit_without_a_word(tmp_path: Path) -> None:
    finished = analyze("verify", unit(tmp_path))

    # It exits with 0 for a key that it doesn't know, too.
    assert (finished.returncode, finished.stdout, finished.stderr) == (0, "", "")


def test_a_typo_in_the_unit_is_found(tmp_path: Path) -> None:
    file = unit(tmp_path, old="ProtectSystem=", new="ProtectSystems=")

    assert "Unknown key 'ProtectSystems'" in analyze("verify", file).stderr


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


def services() -> dict[str, Any]:
    return yaml.safe_load(COMPOSE.read_text())["services"]  # type: ignore[no-any-return]


@pytest.mark.parametrize("profile", [(), ("--profile", "store")], ids=["plain", "store"])
def test_compose_takes_the_file(profile: tuple[str, ...]) -> None:
    assert tool("docker-compose", "-f", COMPOSE, *profile, "config", "--quiet") == ""


def test_a_typo_in_the_compose_file_is_found(tmp_path: Path) -> None:
    file = tmp_path / "compose.yaml"
    file.write_text(COMPOSE.read_text().replace("cap_drop", "cap_drops"))

    with pytest.raises(ToolError, match="cap_drops"):
        tool("docker-compose", "-f", file, "config", "--quiet")


def test_every_file_that_compose_mounts_or_builds_from_is_there() -> None:
    here = COMPOSE.parent
    mounted = [
        volume.partition(":")[0] for s in services().values() for volume in s.get("volumes", ())
    ]

    assert [path for path in mounted if path.startswith(".") and not (here / path).exists()] == []
    build = services()["otel-embedder"]["build"]
    assert (here / build["context"] / build["dockerfile"]).resolve() == DEPLOY / "Dockerfile"
    assert services()["otel-embedder"]["image"] == f"otel-embedder:{__version__}"


def test_composes_variables_are_settings_and_there_is_time_to_stop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    service = services()["otel-embedder"]
    for name, value in service["environment"].items():
        assert name.removeprefix(ENVIRONMENT_PREFIX).lower() in Settings.model_fields
        monkeypatch.setenv(name, value)

    settings = load_settings({}, CHECKS)
    assert float(service["stop_grace_period"].rstrip("s")) > settings.shutdown_timeout


def test_spans_pass_through_what_compose_would_start(tmp_path: Path, model_cache: Path) -> None:
    """Collector and sidecar, each with the variables that it has there, but for their addresses."""
    embedder, collector = (
        services()[name]["environment"] for name in ("otel-embedder", "collector")
    )
    sidecar_address, embedded = free_address(), free_address()
    assert embedder["OTEL_EMBEDDER_NEXT_HOP"] == "http://collector:4337"
    assert collector["OTELCOL_EMBEDDED_ENDPOINT"] == "0.0.0.0:4337"
    assert collector["OTELCOL_SIDECAR_ENDPOINT"].rpartition(":")[2] == "4327"
    variables = {
        **embedder,
        "OTEL_EMBEDDER_LISTEN": sidecar_address,
        "OTEL_EMBEDDER_NEXT_HOP": f"http://{embedded}",
        "OTEL_EMBEDDER_METRICS_LISTEN": free_address(),
        "OTEL_EMBEDDER_LOG_FORMAT": "json",
        "OTEL_EMBEDDER_MODEL_CACHE": str(model_cache),
    }
    sent = requests_of_every_shape(50)
    with (
        Sink() as sink,
        Sidecar([*OTEL_EMBEDDER, "serve"], own_environment(variables)) as sidecar,
    ):
        sidecar.wait_for_event("service.started")
        addresses = {
            "OTELCOL_SIDECAR_ENDPOINT": sidecar_address,
            "OTELCOL_EMBEDDED_ENDPOINT": embedded,
            "OTELCOL_BACKEND_ENDPOINT": sink.address,
            "OTELCOL_STORAGE_DIRECTORY": str(tmp_path / "spans"),
        }
        variables = {**collector, **addresses}
        for name in ("OTELCOL_APPS_ENDPOINT", "OTELCOL_HEALTH_ENDPOINT"):
            variables.pop(name)
        with running_collector(CONFIGURATIONS / "sidecar.yaml", variables) as sender:
            send(sender.address, sent)
            sink.wait_for_all(sent)

    assert differences(spans_in(sent), delivery(sink.requests).spans) == []


@pytest.mark.parametrize("mode", ["sidecar", "daemonset"])
def test_the_collector_takes_the_charts_configuration(mode: str, tmp_path: Path) -> None:
    each = yaml.safe_load_all((DEPLOY / "manifests" / f"{mode}.yaml").read_text())
    (content,) = [
        manifest["data"]["collector.yaml"]
        for manifest in each
        if manifest["kind"] == "ConfigMap" and "collector.yaml" in manifest["data"]
    ]
    file = tmp_path / "collector.yaml"
    file.write_text(content)
    finished = subprocess.run(
        [str(REPOSITORY / "build" / "otelcol"), "validate", "--config", str(file)],
        capture_output=True,
        check=False,
        encoding="utf-8",
        env=dict(os.environ),
    )

    assert finished.returncode == 0, finished.stderr
