"""Files as a catalogue in memory, for a command that asks them once."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

import click

from otel_embedder.annotation.annotator import annotator
from otel_embedder.annotation.work import spans_of
from otel_embedder.cli.parts.progress import progress_bar
from otel_embedder.embedder.bulk import window_for
from otel_embedder.embedder.models.engines import model_choice
from otel_embedder.embedder.models.weights import model_name
from otel_embedder.otlp.spans import span_ids, span_milliseconds
from otel_embedder.search.asking.targets import Target
from otel_embedder.search.recording.indexing import WINDOW_SPANS, Indexer
from otel_embedder.search.stores.memory import MemoryStore
from otel_embedder.text.options import render_options
from otel_embedder.text.rendering import new_renderer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from otel_embedder.annotation.annotator import Annotator
    from otel_embedder.embedder.bulk import BulkEmbedder
    from otel_embedder.files.trace_files import TraceFiles
    from otel_embedder.otlp.wire import TraceRequest
    from otel_embedder.settings import Settings
    from otel_embedder.text.rendering import Renderer

WRITER = "files"


class SoughtSpan(NamedTuple):
    """A span to look for while files are read.

    Attributes:
        trace_id: of its trace; empty if any will do.
        span_id: its own; empty if any of the trace will do.

    """

    trace_id: bytes
    span_id: bytes

    def is_in(self, span: bytes) -> bool:
        """Tell whether an encoded span is it.

        Raises:
            google.protobuf.message.DecodeError: it is not a Span.

        """
        # To look for the bytes is cheaper than to read every span.
        if self.trace_id not in span or self.span_id not in span:
            return False
        ids = span_ids(span)
        return self.trace_id in {b"", ids.trace_id} and self.span_id in {b"", ids.span_id}


class FoundSpan(NamedTuple):
    """The span that was looked for; of several the greatest: that failed, that took longest."""

    is_error: bool
    milliseconds: float
    text: str


class FilledStore(NamedTuple):
    """What was made of files.

    Attributes:
        store: their texts.
        target: what is looked for the like of, if it is a span of theirs.

    """

    store: MemoryStore
    target: Target | None


def fill(
    traces: TraceFiles,
    settings: Settings,
    embedder: BulkEmbedder,
    *,
    dimension: int,
    sought: SoughtSpan | None,
) -> FilledStore:
    """Read files, embed what needs it, and tell how much that was.

    Args:
        traces: the files.
        settings: of text, model and attributes.
        embedder: embeds texts whose spans bring no vector.
        dimension: how many numbers a vector has.
        sought: what to look for the like of.

    Raises:
        click.ClickException: what is looked for is not there.
        UnreadableFileError: a file can't be read.
        EmbeddingError: the model is not there, or failed.

    """
    renderer = new_renderer(render_options(settings))
    attributes = annotator(settings, renderer.text_version)
    store, model = MemoryStore(), model_name(settings.model)
    indexer = Indexer(
        store,
        renderer,
        attributes,
        model=model,
        dimension=dimension,
        window_spans=WINDOW_SPANS,
    )
    looking = _Looking(sought, renderer, attributes)
    with traces.naming_faults(), progress_bar("Reading spans") as advance:
        for spans in indexer.read(WRITER, looking.passing(traces.requests()), now=time.time_ns()):
            advance(spans)
    looking.check()
    texts = indexer.without_vector()
    window = window_for(model_choice(settings).threads)
    with progress_bar("Embedding texts", total=len(texts)) as advance:
        for count in indexer.embed(texts, embedder, window=window):
            advance(count)
    tally = indexer.tally
    told = f"{tally.texts:,} texts, {tally.embedded:,} of them embedded here"
    click.echo(f"{tally.spans:,} spans, {told}", err=True)
    return FilledStore(store, looking.target(store))


class _Looking:
    """Looks for a span among those that pass."""

    def __init__(
        self, sought: SoughtSpan | None, renderer: Renderer, attributes: Annotator
    ) -> None:
        self._sought = sought
        self._renderer = renderer
        self._attributes = attributes
        self._found: FoundSpan | None = None

    def passing(self, requests: Iterable[TraceRequest]) -> Iterator[TraceRequest]:
        for request in requests:
            if self._sought is not None:
                self._look(request, self._sought)
            yield request

    def _look(self, request: TraceRequest, sought: SoughtSpan) -> None:
        for span, service in spans_of(request, self._renderer):
            if sought.is_in(span.encoded):
                bare = self._attributes.stripped(span.encoded)
                text, is_error = self._renderer.render(bare, service)
                found = FoundSpan(is_error, span_milliseconds(bare) or 0.0, text)
                self._found = max(found, self._found or found)

    def check(self) -> None:
        """Refuse to go on without what is looked for."""
        sought = self._sought
        if sought is not None and self._found is None:
            what = f"span {sought.span_id.hex()}" if sought.span_id else "span"
            of_trace = f" of trace {sought.trace_id.hex()}" if sought.trace_id else ""
            raise click.ClickException(f"there is no {what}{of_trace} in what was read.")

    def target(self, store: MemoryStore) -> Target | None:
        """Give the span that was found as something of the store's."""
        found = self._found
        if found is None:
            return None
        entries = store.entries(store.columns().keys.tolist())
        entry = next(each for each in entries if each.words == found.text)
        vector = store.vector(entry.key)
        return Target(found.text, entry.key, vector, found.milliseconds or None)
