"""A worker: a whole sidecar that does what its supervisor says, and tells it how it is doing."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from otel_embedder.errors import ListenError, SettingsError
from otel_embedder.receiver.health import HealthServicer
from otel_embedder.receiver.server import WORKER_OPTIONS
from otel_embedder.sidecar.background import beside
from otel_embedder.sidecar.sidecar import running
from otel_embedder.sidecar.stopping import stop_on_signals
from otel_embedder.sidecar.workers.channel import COMPLETE, STOP, report
from otel_embedder.sidecar.workers.sharing import own_settings
from otel_embedder.telemetry.metrics import Metrics
from otel_embedder.telemetry.summed import told

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator

    from otel_embedder.settings import Settings
    from otel_embedder.sidecar.workers.channel import Share

REPORT_SECONDS = 1.0


async def work(share: Share, channel: socket.socket) -> None:
    """Run until the supervisor says so, or is gone; SIGTERM and SIGINT do the same."""
    stop, settings = stop_on_signals(), own_settings(share)
    reader, writer = await asyncio.open_unix_connection(sock=channel)
    health = HealthServicer(is_one_of_several=True)
    async with beside(_obey(reader, stop, health)):
        try:
            async with _told(settings, health, writer):
                await stop.wait()
        except SettingsError as error:
            writer.write(report(refused=error.problems, of="settings"))
        except ListenError as error:
            writer.write(report(refused=[str(error)], of="listen"))
        writer.close()
        # Who would read it may be gone.
        with suppress(ConnectionError):
            await writer.wait_closed()


@asynccontextmanager
async def _told(
    settings: Settings, health: HealthServicer, writer: asyncio.StreamWriter
) -> AsyncIterator[None]:
    """Run a sidecar, and let the supervisor know."""
    metrics = Metrics()
    try:
        async with running(settings, metrics, options=WORKER_OPTIONS, health=health):
            writer.write(report(listening=True))
            async with beside(_tell(metrics, writer)):
                yield
    finally:
        writer.write(report(metrics=told(metrics)))


async def _tell(metrics: Metrics, writer: asyncio.StreamWriter) -> None:
    while True:
        await asyncio.sleep(REPORT_SECONDS)
        counted = await asyncio.to_thread(told, metrics)
        # A supervisor that does not read just now gets the next one.
        if not writer.transport.get_write_buffer_size():
            writer.write(report(metrics=counted))


async def _obey(reader: asyncio.StreamReader, stop: asyncio.Event, health: HealthServicer) -> None:
    with suppress(ConnectionError):
        async for order in reader:
            if order == STOP:
                stop.set()
            else:
                await health.tell_of_all(are_serving=order == COMPLETE)
    if stop.is_set():
        # The supervisor was asked twice: whoever does that does not want to wait, here either.
        os.kill(os.getpid(), signal.SIGKILL)
    stop.set()
