"""A catalogue with a model, for commands that let others ask it again and again."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from otel_embedder.cli.parts.embedding import loaded_embedder
from otel_embedder.embedder.models.weights import model_name
from otel_embedder.search.asking.opening import catalogue_of
from otel_embedder.text.options import render_options

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_embedder.search.catalogue import Catalogue
    from otel_embedder.search.store import Store
    from otel_embedder.settings import Settings

# Questions are asked again while one types.
MAX_QUESTIONS = 1_000


@contextmanager
def asked_catalogue(store: Store, settings: Settings) -> Iterator[Catalogue]:
    """Give a catalogue to be asked again and again, with the model of the settings.

    Raises:
        EmbeddingError: there is no such model.

    """
    with loaded_embedder(settings, max_texts=MAX_QUESTIONS) as embedder:
        yield catalogue_of(
            store,
            embedder,
            settings,
            model=model_name(settings.model),
            text_version=render_options(settings).version(),
        )
