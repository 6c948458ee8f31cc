"""What the sidecar needs of the machine. How fast it is, `make bench` tells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.generated import requests_of_texts
from tests.support.processes import Sink, resident_bytes, running_sidecar, send

if TYPE_CHECKING:
    from pathlib import Path

MEGABYTE = 1_000_000


@pytest.mark.integration
def test_ten_thousand_spans_leave_it_under_200_megabytes(model_cache: Path) -> None:
    # Several times more texts than are remembered, so that everything is full.
    requests = requests_of_texts(10_000, texts=2_500)
    settings = ["--model-cache", str(model_cache)]
    # What coverage itself needs in that process is not the sidecar's.
    unmeasured = {"COVERAGE_PROCESS_CONFIG": ""}
    with (
        Sink() as sink,
        running_sidecar(sink.address, settings=settings, environment=unmeasured) as sidecar,
    ):
        sidecar.wait_for_model()
        send(sidecar.address, requests)

        assert resident_bytes(sidecar.pid) < 200 * MEGABYTE
