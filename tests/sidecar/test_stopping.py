from __future__ import annotations

import re
from pathlib import Path

import yaml

from otel_embedder.api.http.serving import STOP_SECONDS
from otel_embedder.embedder.batcher import CLOSING_SECONDS
from otel_embedder.settings import Settings
from otel_embedder.sidecar.cataloguing import CLOSE_SECONDS
from otel_embedder.sidecar.own_telemetry import LAST_SECONDS
from otel_embedder.sidecar.workers.supervisor import Patience
from otel_embedder.telemetry.logs import FINISHING_SECONDS

ROOT = Path(__file__).parents[2]
ROOM_SECONDS = 2.0
SHUTDOWN_SECONDS = Settings.model_fields["shutdown_timeout"].default
WORKER_STEPS = CLOSE_SECONDS + CLOSING_SECONDS + LAST_SECONDS + FINISHING_SECONDS
STEPS = SHUTDOWN_SECONDS + WORKER_STEPS + STOP_SECONDS + LAST_SECONDS
OF_WORKERS = SHUTDOWN_SECONDS + Patience().closing + LAST_SECONDS + FINISHING_SECONDS


def graces() -> list[float]:
    """Give the seconds that a container and a unit have."""
    compose = yaml.safe_load((ROOT / "deploy/compose/compose.yaml").read_text())
    unit = (ROOT / "deploy/systemd/otel-embedder.service").read_text()
    found = re.search(r"^TimeoutStopSec=(\d+)$", unit, re.MULTILINE)
    assert found
    of_container = compose["services"]["otel-embedder"]["stop_grace_period"]
    return [float(of_container.rstrip("s")), float(found[1])]


def test_all_that_may_hang_ends_within_the_grace_with_room_to_spare() -> None:
    assert max(STEPS, OF_WORKERS) + ROOM_SECONDS <= min(graces())


def test_a_worker_has_the_time_that_its_steps_may_take() -> None:
    assert Patience().closing >= WORKER_STEPS


def test_the_documents_tell_the_sum() -> None:
    table = (ROOT / "docs/deploy.md").read_text()

    assert f"| in all | {STEPS} |" in table
