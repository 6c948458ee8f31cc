"""`otel-embedder demo`."""

from __future__ import annotations

import asyncio

import click


@click.command("demo")
def command() -> None:
    """Search a small shop's traces by meaning: sidecar, sink and shop in one go.

    Example: otel-embedder demo
    """
    try:
        # Needs the OpenTelemetry SDK, which nothing else here does.
        from otel_embedder.cli.demo.story import demonstrate  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise click.ClickException(
            f"the demo needs {error.name}: pip install 'otel-embedder[demo]'"
        ) from error
    asyncio.run(demonstrate())
