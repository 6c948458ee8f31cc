"""`otel-embedder page`."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from otel_embedder.api.settings import DEFAULT_LISTEN
from otel_embedder.cli.parts.asked import asked_catalogue
from otel_embedder.cli.parts.options import (
    MODEL_SETTINGS,
    TEXT_SETTINGS,
    settings_from,
    settings_options,
)
from otel_embedder.errors import SettingsError
from otel_embedder.sidecar.checks import find_missing_page, find_open_page
from otel_embedder.sidecar.stopping import stop_on_signals
from otel_embedder.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_embedder.settings import Settings

PAGE_SETTINGS = (
    *("http_listen", "http_hosts", "http_certificate", "http_key", "http_token_file"),
    *("http_token", "http_insecure"),
)


@click.command("page")
@settings_options("catalogue", "trace_link", *PAGE_SETTINGS, *TEXT_SETTINGS, *MODEL_SETTINGS)
def command(**flags: object) -> None:
    """Show a catalogue in a browser, and answer over HTTP.

    Example: otel-embedder page --catalogue sqlite:///spans.db
    """
    settings = settings_from(flags, (find_open_page,))
    if missing := find_missing_page(settings.model_copy(update={"http_listen": DEFAULT_LISTEN})):
        raise SettingsError(missing)
    with _showing(settings) as address:
        click.echo(f"otel-embedder: the page is at {address}", err=True)
        asyncio.run(_until_stopped())


async def _until_stopped() -> None:
    await stop_on_signals().wait()


@contextmanager
def _showing(settings: Settings) -> Iterator[str]:
    # What serves is an extra, and need not be installed for other commands.
    from otel_embedder.api.opening import showing  # noqa: PLC0415
    from otel_embedder.api.telling import Telling  # noqa: PLC0415

    with asked_catalogue(settings, readonly=False) as catalogue:
        telling = Telling(catalogue.get, settings.catalogue or "", None)
        with showing(settings, catalogue.get, telling, Metrics()) as address:
            yield address
