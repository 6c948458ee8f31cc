"""`otel-embedder worker`: one of those that `serve --workers` starts; for nobody else."""

from __future__ import annotations

import asyncio
import socket

import click

from otel_embedder.cli.serve import loading_server
from otel_embedder.sidecar.workers.channel import receive_share
from otel_embedder.telemetry.logs import configure_logs


@click.command("worker", hidden=True)
@click.argument("descriptor", type=int)
def command(descriptor: int) -> None:
    """Do what comes over a socket of this number."""
    try:
        channel = socket.socket(fileno=descriptor)
    except OSError as error:
        raise click.UsageError("it is started by `otel-embedder serve --workers N`.") from error
    share = receive_share(channel)
    configure_logs(share.settings.log_format, share.settings.log_level, worker=share.number)
    with loading_server():
        from otel_embedder.sidecar.workers.worker import work  # noqa: PLC0415
    asyncio.run(work(share, channel))
