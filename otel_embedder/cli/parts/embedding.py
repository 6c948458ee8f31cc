"""The model of the settings, for commands that embed many texts, or ask something once."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from otel_embedder.embedder.bulk import BulkEmbedder
from otel_embedder.embedder.models.engines import load_model, model_choice

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_embedder.embedder.models.choice import ModelSettings


@contextmanager
def loaded_embedder(settings: ModelSettings, *, max_texts: int = 1) -> Iterator[BulkEmbedder]:
    """Load the model of the settings, and embed by it in as many threads as they say.

    Args:
        settings: which model, and how many threads.
        max_texts: how many texts are remembered.

    Raises:
        ModelUnavailableError: there is no such model.

    """
    choice = model_choice(settings)
    with BulkEmbedder(load_model(choice), threads=choice.threads, max_texts=max_texts) as embedder:
        yield embedder
