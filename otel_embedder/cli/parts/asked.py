"""A catalogue with a model, for commands that let others ask it again and again."""

from __future__ import annotations

from contextlib import closing, contextmanager
from functools import partial
from typing import TYPE_CHECKING

from otel_embedder.cli.parts.catalogues import catalogue_store
from otel_embedder.cli.parts.embedding import loaded_embedder
from otel_embedder.embedder.models.weights import model_name
from otel_embedder.search.asking.opening import LazyCatalogue, catalogue_of
from otel_embedder.search.stores.opening import open_store
from otel_embedder.text.options import render_options

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_embedder.embedder.bulk import BulkEmbedder
    from otel_embedder.search.catalogue import Catalogue
    from otel_embedder.search.store import Store
    from otel_embedder.settings import Settings

# Questions are asked again while one types.
MAX_QUESTIONS = 1_000


@contextmanager
def asked_catalogue(settings: Settings, *, readonly: bool) -> Iterator[LazyCatalogue]:
    """Give the catalogue of the settings to be asked again and again, with their model.

    Where its file is removed or replaced, what is there then is asked.

    Raises:
        click.UsageError: none is set that a command can open.
        StoreError: it can't be opened.
        EmbeddingError: there is no such model.

    """
    with catalogue_store(settings, readonly=readonly):
        pass  # whether it can be opened is said before the model is loaded
    with loaded_embedder(settings, max_texts=MAX_QUESTIONS) as embedder:
        opened = partial(open_store, settings.catalogue or "", readonly=readonly)
        kept = partial(kept_in, settings=settings, embedder=embedder)
        with closing(LazyCatalogue(opened, kept)) as catalogue:
            yield catalogue


def kept_in(store: Store, settings: Settings, embedder: BulkEmbedder) -> Catalogue:
    """Give the catalogue that a store keeps, to be asked as settings have it."""
    return catalogue_of(
        store,
        embedder,
        settings,
        model=model_name(settings.model),
        text_version=render_options(settings).version(),
    )
