"""`otel-embedder serve`."""

from __future__ import annotations

import asyncio
import os

import click

from otel_embedder.cli.options import settings_from, settings_options
from otel_embedder.settings import Settings
from otel_embedder.sidecar.checks import CHECKS
from otel_embedder.telemetry.logs import configure_logs


@click.command("serve")
@settings_options(*(name for name in Settings.model_fields if name != "config"))
def command(**flags: object) -> None:
    """Receive spans over OTLP/gRPC, attach vectors, send them on.

    Example: otel-embedder serve --next-hop http://127.0.0.1:4337
    """
    settings = settings_from(flags, CHECKS)
    configure_logs(settings.log_format, settings.log_level)
    if settings.log_format == "json":
        # gRPC's own lines are no JSON. Whoever wants them all the same has set it.
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    # gRPC reads that when it is imported.
    from otel_embedder.sidecar.sidecar import serve  # noqa: PLC0415

    asyncio.run(serve(settings))
