"""`otel-embedder mcp`."""

from __future__ import annotations

import asyncio
from importlib.util import find_spec

import click

from otel_embedder.cli.parts.asked import asked_catalogue
from otel_embedder.cli.parts.options import (
    MODEL_SETTINGS,
    TEXT_SETTINGS,
    settings_from,
    settings_options,
)


@click.command("mcp")
@settings_options("catalogue", "trace_link", *TEXT_SETTINGS, *MODEL_SETTINGS)
def command(**flags: object) -> None:
    """Let an assistant ask a catalogue, by the Model Context Protocol.

    It speaks on stdin and stdout, as assistants do with what they start.

    Example: otel-embedder mcp --catalogue sqlite:///spans.db
    """
    if find_spec("mcp") is None:
        raise click.UsageError("the MCP SDK is not installed; install otel-embedder[mcp]")
    # Of an extra, which other commands do not need.
    from otel_embedder.api.stdio import speak  # noqa: PLC0415
    from otel_embedder.telemetry.metrics import Metrics  # noqa: PLC0415

    settings = settings_from(flags)
    with asked_catalogue(settings, readonly=True) as catalogue:
        asyncio.run(speak(catalogue.get, Metrics()))
