"""Which traces are meant by what a catalogue has said, for `otel-embedder compare`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import click

from otel_embedder.annotation.standing import Origin
from otel_embedder.cli.parts.catalogues import catalogue_store
from otel_embedder.embedder.models.weights import model_name
from otel_embedder.search.asking.targets import TEXT_ID, Targets
from otel_embedder.text.options import render_options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_embedder.search.store import Store
    from otel_embedder.settings import Settings

TRACE_ID = re.compile(r"[0-9a-fA-F]{32}")


def named_traces(words: Sequence[str], settings: Settings) -> list[Sequence[str]]:
    """Give for each word the ids in hex of the traces that will do, which need not be here.

    Args:
        words: ids of traces, or of texts: any example of that will do.
        settings: say which catalogue, and what its ids of texts are of.

    Raises:
        click.UsageError: a word is neither.
        UnknownEntryError: the catalogue has no such text.
        StoreError: it can't be read.

    """
    origin = Origin(model_name(settings.model), render_options(settings).version())
    with catalogue_store(settings, readonly=True) as store:
        return [_traces(word, store, Targets(store, origin)) for word in words]


def _traces(word: str, store: Store, targets: Targets) -> Sequence[str]:
    if TRACE_ID.fullmatch(word):
        return (word,)
    if not TEXT_ID.fullmatch(word):
        raise click.UsageError(
            "of a --catalogue A and B are ids of traces, 32 hex digits, or of texts, 16."
        )
    [entry] = store.entries([targets.find(word).key])
    return [*dict.fromkeys(each.trace_id.hex() for each in entry.examples.all())]
