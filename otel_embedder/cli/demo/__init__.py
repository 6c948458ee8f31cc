"""`otel-embedder demo`."""

from __future__ import annotations

import asyncio
from tempfile import TemporaryDirectory

import click


@click.command("demo")
def command() -> None:
    """Break one thing in a small shop, and ask what, with a sidecar and a sink.

    Example: otel-embedder demo
    """
    try:
        # Needs the OpenTelemetry SDK, which nothing else here does.
        from otel_embedder.cli.demo.story import demonstrate  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise click.ClickException(
            f"the demo needs {error.name}: pip install 'otel-embedder[demo]'"
        ) from error
    with TemporaryDirectory() as directory:
        asyncio.run(demonstrate(directory))
