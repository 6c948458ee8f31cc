"""`otel-embedder serve`."""

from __future__ import annotations

import asyncio
import gc
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from otel_embedder.cli.parts.options import settings_from, settings_options
from otel_embedder.settings import Settings
from otel_embedder.sidecar.checks import CHECKS
from otel_embedder.telemetry.logs import configure_logs

if TYPE_CHECKING:
    from collections.abc import Iterator


@click.command("serve")
@settings_options(*(name for name in Settings.model_fields if name != "config"))
def command(**flags: object) -> None:
    """Receive spans over OTLP/gRPC, attach vectors, send them on.

    Example: otel-embedder serve --next-hop http://127.0.0.1:4337
    """
    settings = settings_from(flags, CHECKS)
    configure_logs(settings.log_format, settings.log_level)
    with loading_server():
        if settings.workers > 1:
            from otel_embedder.sidecar.workers.supervisor import supervise as run  # noqa: PLC0415
        else:
            from otel_embedder.sidecar.sidecar import serve as run  # noqa: PLC0415
    asyncio.run(run(settings))


@contextmanager
def loading_server() -> Iterator[None]:
    """Import what serves."""
    # gRPC's C core writes to stderr by itself: lines that are no JSON, and for which all wait where
    # nobody reads. Whoever wants them all the same has set it. It is read at the import.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    # Of what is loaded nothing is garbage. To look for some takes a twentieth of a start.
    gc.disable()
    yield
    gc.enable()
