"""A worker: a whole sidecar that does what its supervisor says, and tells it how it is doing."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
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

    from otel_embedder.settings import Settings
    from otel_embedder.sidecar.workers.channel import Share

REPORT_SECONDS = 1.0


async def work(share: Share, channel: socket.socket) -> None:
    """Run until the supervisor says so, or is gone; SIGTERM and SIGINT do the same."""
    stop, done = stop_on_signals(), asyncio.Event()
    reader, writer = await asyncio.open_unix_connection(sock=channel)
    health = HealthServicer(is_one_of_several=True)
    obeying = asyncio.create_task(_obey(reader, stop, done, health))
    try:
        await _serve(own_settings(share), stop, health, writer)
    except SettingsError as error:
        writer.write(report(refused=error.problems, of="settings"))
    except ListenError as error:
        writer.write(report(refused=[str(error)], of="listen"))
    done.set()
    # What is left unread at an end takes with it what the other has not read yet. So the supervisor
    # is heard to its end, which it comes to when it has read all.
    writer.write_eof()
    await obeying
    writer.close()


async def _serve(
    settings: Settings, stop: asyncio.Event, health: HealthServicer, writer: asyncio.StreamWriter
) -> None:
    """Run a sidecar until it is to stop, and let the supervisor know."""
    metrics = Metrics()
    async with running(settings, metrics, options=WORKER_OPTIONS, health=health):
        writer.write(report(listening=True))
        async with beside(_tell(metrics, writer)):
            await stop.wait()
        # What is in flight may take its time.
        writer.write(report(metrics=told(metrics), is_serving=False))
    writer.write(report(metrics=told(metrics), is_serving=False))


async def _tell(metrics: Metrics, writer: asyncio.StreamWriter) -> None:
    while True:
        await asyncio.sleep(REPORT_SECONDS)
        counted = await asyncio.to_thread(told, metrics)
        # A supervisor that does not read just now gets the next one.
        if not writer.transport.get_write_buffer_size():
            writer.write(report(metrics=counted, is_serving=True))


async def _obey(
    reader: asyncio.StreamReader, stop: asyncio.Event, done: asyncio.Event, health: HealthServicer
) -> None:
    with suppress(ConnectionError):
        async for order in reader:
            if order == STOP:
                stop.set()
            else:
                await health.tell_of_all(are_serving=order == COMPLETE)
    if stop.is_set() and not done.is_set():
        # The supervisor was asked twice: whoever does that does not want to wait, here either.
        os.kill(os.getpid(), signal.SIGKILL)
    stop.set()
