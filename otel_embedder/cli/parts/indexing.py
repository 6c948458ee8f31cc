"""Files put into a catalogue, by commands that show how far they are."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from otel_embedder.annotation.annotator import annotator
from otel_embedder.cli.parts.progress import progress_bar
from otel_embedder.embedder.models.weights import model_name
from otel_embedder.search.recording.indexing import WINDOW_SPANS, Indexer
from otel_embedder.text.options import render_options
from otel_embedder.text.rendering import new_renderer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from otel_embedder.embedder.bulk import BulkEmbedder
    from otel_embedder.files.trace_files import TraceFiles
    from otel_embedder.otlp.wire import TraceRequest
    from otel_embedder.search.store import Store
    from otel_embedder.settings import Settings

WRITER = "files"  # of a catalogue in memory


def indexer_of(store: Store, settings: Settings, *, dimension: int) -> Indexer:
    """Give what puts files into a catalogue, as settings have it.

    Args:
        store: what keeps the catalogue.
        settings: of text, model and attributes.
        dimension: how many numbers a vector has; with 0 none that a span brings is taken.

    """
    renderer = new_renderer(render_options(settings))
    return Indexer(
        store,
        renderer,
        annotator(settings, renderer.text_version),
        model=model_name(settings.model),
        dimension=dimension,
        window_spans=WINDOW_SPANS,
    )


def read_files(
    indexer: Indexer,
    writer: str,
    traces: TraceFiles,
    requests: Iterable[TraceRequest] | None = None,
) -> None:
    """Count what files say.

    Args:
        indexer: counts it.
        writer: under whose name.
        traces: the files.
        requests: what is read of them; None: all.

    Raises:
        UnreadableFileError: a file can't be read.
        StoreError: the catalogue can't be written.

    """
    with traces.naming_faults(), progress_bar("Reading spans") as advance:
        found = traces.requests() if requests is None else requests
        for spans in indexer.read(writer, found, now=time.time_ns()):
            advance(spans)


def embed_texts(indexer: Indexer, embedder: BulkEmbedder) -> None:
    """Give vectors to the texts of files that have none.

    Raises:
        EmbeddingError: the model failed.
        StoreError: the catalogue can't be read or written.

    """
    texts = indexer.without_vector()
    with progress_bar("Embedding texts", total=len(texts)) as advance:
        for embedded in indexer.embed(texts, embedder, window=embedder.window):
            advance(embedded)
