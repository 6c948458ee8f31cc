"""What commands that ask a catalogue share: which it is, and what they ask it with."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from otel_embedder.search.settings import MEMORY
from otel_embedder.search.stores.opening import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_embedder.search.store import Store
    from otel_embedder.settings import Settings


@contextmanager
def catalogue_store(settings: Settings, *, readonly: bool) -> Iterator[Store]:
    """Open the catalogue that is set, and close it in the end.

    Raises:
        click.UsageError: none is set that a command can open.
        StoreError: it can't be opened.

    """
    if settings.catalogue is None:
        raise click.UsageError("say which catalogue: --catalogue sqlite:///PATH.")
    with opened(settings.catalogue, readonly=readonly) as store:
        yield store


@contextmanager
def opened(url: str, *, readonly: bool) -> Iterator[Store]:
    """Open the catalogue that a URL names, and close it in the end.

    Raises:
        click.UsageError: it lives in another process's memory.
        StoreError: it can't be opened.

    """
    if url == MEMORY:
        raise click.UsageError(
            "a catalogue in memory can be asked in its own process only: name sqlite:///PATH."
        )
    store = open_store(url, readonly=readonly)
    try:
        yield store
    finally:
        store.close()
