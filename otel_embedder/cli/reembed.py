"""`otel-embedder reembed`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from otel_embedder.cli.parts.catalogues import catalogue_store
from otel_embedder.cli.parts.embedding import loaded_embedder
from otel_embedder.cli.parts.options import (
    MODEL_SETTINGS,
    TEXT_SETTINGS,
    settings_from,
    settings_options,
)
from otel_embedder.cli.parts.progress import progress_bar
from otel_embedder.embedder.models.weights import model_name
from otel_embedder.search.re_embedding import DEFAULT_BATCH, ReEmbedding
from otel_embedder.text.options import render_options

if TYPE_CHECKING:
    from otel_embedder.search.store import Store
    from otel_embedder.settings import Settings


@click.command("reembed")
@click.option(
    "--rate",
    type=click.FloatRange(min=0, min_open=True),
    metavar="TEXTS",
    help="Embed no more texts than this a second, to leave the CPU to others.",
)
@settings_options("catalogue", *TEXT_SETTINGS, *MODEL_SETTINGS)
def command(*, rate: float | None, **flags: object) -> None:
    """Give each text of a catalogue the vector that is compared today.

    Texts that have none yet, that another model embedded or that an older version
    of the renderer made are left out of searches until then. The words stay as
    they are. It may be ended at any time, and goes on where it was.

    Example: otel-embedder reembed --catalogue sqlite:///spans.db --rate 100
    """
    settings = settings_from(flags)
    with catalogue_store(settings, readonly=False) as store:
        _embed(store, settings, rate)


def _embed(store: Store, settings: Settings, rate: float | None) -> None:
    with loaded_embedder(settings) as embedder:
        work = ReEmbedding(
            store,
            embedder,
            model=model_name(settings.model),
            text_version=render_options(settings).version(),
            batch_size=embedder.window if rate is None else _batch_for(rate),
        )
        texts = _all(work, rate)
    done = texts - work.unknown
    click.echo(f"{done:,} texts have the vector of {model_name(settings.model)} now", err=True)
    if work.unknown:
        click.echo(f"{work.unknown:,} have none: the model knows none of their words", err=True)


def _batch_for(rate: float) -> int:
    """Give how many texts to embed at once, so that it pauses several times a second, or can."""
    return max(1, min(DEFAULT_BATCH, int(rate / 4)))


def _all(work: ReEmbedding, rate: float | None) -> int:
    done = 0
    started = time.monotonic()
    with progress_bar("Embedding texts", total=work.remaining()) as advance:
        while count := work.step():
            done += count
            advance(count)
            if rate is not None:
                time.sleep(max(0.0, started + done / rate - time.monotonic()))
    return done
