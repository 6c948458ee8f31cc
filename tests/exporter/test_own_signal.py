from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import grpc
import pytest
from structlog.testing import capture_logs

from otel_embedder.exporter.channel import NextHopChannel
from otel_embedder.exporter.own_signal import (
    TELEMETRY_FAILING,
    TELEMETRY_RECOVERED,
    OwnSignal,
    own_destination,
)
from otel_embedder.exporter.settings import TelemetrySettings
from otel_embedder.otlp.names import EXPORT_METHOD
from otel_embedder.telemetry.metrics import Metrics
from tests.support.fakes import PATIENCE
from tests.support.listener import Listener
from tests.support.processes import free_address

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.timeout(120)

UNAVAILABLE = grpc.StatusCode.UNAVAILABLE


@asynccontextmanager
async def signal_to(
    url: str, metrics: Metrics | None = None, **flags: object
) -> AsyncIterator[OwnSignal]:
    settings = TelemetrySettings.model_validate({"telemetry_timeout": PATIENCE, **flags})
    destination = own_destination(url, settings)
    async with NextHopChannel(destination) as channel:
        yield OwnSignal(
            "traces",
            EXPORT_METHOD,
            destination,
            channel,
            timeout=settings.telemetry_timeout,
            metrics=metrics or Metrics(),
        )


async def test_a_message_goes_out_with_the_headers_that_are_set() -> None:
    async with (
        Listener() as listener,
        signal_to(listener.url, telemetry_headers="api-key=a%20b") as signal,
    ):
        with capture_logs() as logs:
            await signal.send(b"")

    assert len(listener.traces) == 1
    assert ("api-key", "a b") in listener.metadata[0]
    assert logs == []


async def test_the_log_tells_once_that_it_fails_and_once_that_it_works_again() -> None:
    async with (
        Listener(UNAVAILABLE, UNAVAILABLE, grpc.StatusCode.OK, UNAVAILABLE) as listener,
        signal_to(listener.url) as signal,
    ):
        with capture_logs() as logs:
            for _ in range(6):
                await signal.send(b"")

    assert [line["event"] for line in logs] == [
        *(TELEMETRY_FAILING, TELEMETRY_RECOVERED, TELEMETRY_FAILING, TELEMETRY_RECOVERED)
    ]
    assert logs[0]["reason"] == "UNAVAILABLE: not now"
    assert logs[0]["signal"] == "traces"
    assert logs[0]["endpoint"] == listener.url


async def test_each_message_that_is_refused_is_counted_and_no_other() -> None:
    metrics = Metrics()
    async with (
        Listener(UNAVAILABLE, grpc.StatusCode.OK, UNAVAILABLE, UNAVAILABLE) as listener,
        signal_to(listener.url, metrics) as signal,
    ):
        for _ in range(5):
            await signal.send(b"")

    assert metrics.value("telemetry_send_failed_requests_total", signal="traces") == 3


async def test_what_is_rejected_is_told_of() -> None:
    async with Listener(rejected=3) as listener, signal_to(listener.url) as signal:
        with capture_logs() as logs:
            await signal.send(b"")

    assert [line["reason"] for line in logs] == ["3 rejected: no room"]


async def test_nobody_there_is_a_line_and_no_error() -> None:
    async with signal_to(f"http://{free_address()}") as signal:
        with capture_logs() as logs:
            await signal.send(b"")

    assert [line["event"] for line in logs] == [TELEMETRY_FAILING]
    assert logs[0]["reason"].startswith("UNAVAILABLE: ")


async def test_who_does_not_answer_is_left_when_the_time_is_over() -> None:
    async with Listener() as listener, signal_to(listener.url, telemetry_timeout=0.2) as signal:
        listener.hang()
        with capture_logs() as logs:
            await signal.send(b"")

    assert logs[0]["reason"].startswith("DEADLINE_EXCEEDED: ")
