"""Files as a catalogue in memory, for a command that asks them once."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import click

from otel_embedder.annotation.annotator import annotator
from otel_embedder.annotation.work import spans_of
from otel_embedder.cli.parts.indexing import WRITER, embed_texts, indexer_of, read_files
from otel_embedder.otlp.spans import span_ids, span_milliseconds
from otel_embedder.search.asking.targets import Target
from otel_embedder.search.stores.memory import MemoryStore
from otel_embedder.text.options import render_options
from otel_embedder.text.rendering import new_renderer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from otel_embedder.embedder.bulk import BulkEmbedder
    from otel_embedder.files.trace_files import TraceFiles
    from otel_embedder.otlp.wire import TraceRequest
    from otel_embedder.settings import Settings


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
    sought: SoughtSpan | None,
) -> FilledStore:
    """Read files, embed what needs it, and tell how much that was.

    Args:
        traces: the files.
        settings: of text, model and attributes.
        embedder: embeds texts whose spans bring no vector.
        sought: what to look for the like of.

    Raises:
        click.ClickException: what is looked for is not there.
        UnreadableFileError: a file can't be read.
        EmbeddingError: the model is not there, or failed.

    """
    store = MemoryStore()
    indexer = indexer_of(store, settings, dimension=embedder.dimension)
    looking = _Looking(sought, settings)
    read_files(indexer, WRITER, traces, looking.passing(traces.requests()))
    looking.check()
    embed_texts(indexer, embedder)
    tally = indexer.tally
    told = f"{tally.texts:,} texts, {tally.embedded:,} of them embedded here"
    click.echo(f"{tally.spans:,} spans, {told}", err=True)
    return FilledStore(store, looking.target(store))


class _Looking:
    """Looks for a span among those that pass."""

    def __init__(self, sought: SoughtSpan | None, settings: Settings) -> None:
        self._sought = sought
        self._renderer = new_renderer(render_options(settings))
        self._attributes = annotator(settings, self._renderer.text_version)
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
