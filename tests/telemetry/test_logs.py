from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import structlog
from structlog.testing import capture_logs

from otel_embedder.telemetry.logs import get_logger
from tests.support.processes import run_python

if TYPE_CHECKING:
    import pytest

WITHOUT_SET_UP = """
from otel_embedder.telemetry.logs import get_logger

log = get_logger()
log.info("model.loaded", seconds=1)
log.warning("model.unavailable", error="no disk")
print("data")
"""


def test_a_program_that_set_nothing_up_sees_warnings_on_stderr() -> None:
    finished = run_python(WITHOUT_SET_UP)

    assert finished.returncode == 0
    assert finished.stdout == "data\n"
    assert finished.stderr == "event='model.unavailable' error='no disk'\n"


def test_logging_gets_the_lines_of_a_program_that_uses_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO, "otel_embedder"):
        get_logger().info("model.loaded", seconds=1)

    assert [(record.name, record.levelname, record.message) for record in caplog.records] == [
        ("otel_embedder", "INFO", "event='model.loaded' seconds=1")
    ]


def test_structlog_gets_them_once_it_is_set_up(caplog: pytest.LogCaptureFixture) -> None:
    log = get_logger()
    with capture_logs() as logs:
        log.info("model.loaded", seconds=1)

    assert structlog.is_configured()
    assert logs == [{"event": "model.loaded", "seconds": 1, "log_level": "info"}]
    assert caplog.records == []
