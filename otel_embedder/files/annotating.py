"""Traces that lie in files are given vectors there: read, rendered, embedded, written again.

Requests are worked on in windows, large enough that the model has texts for all
its workers, and small enough that memory stays the same whatever a file's size.
Which spans get a vector is decided as in the sidecar. Off line there are no
stand-ins but for texts of which the model knows no word: a model that fails ends
the run.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import TYPE_CHECKING

from google.protobuf.message import DecodeError

from otel_embedder.annotation.work import SpanReader
from otel_embedder.errors import MalformedRequestError
from otel_embedder.files.documents import LeftOut
from otel_embedder.otlp.wire import TraceRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from otel_embedder.annotation.work import Work
    from otel_embedder.embedder.bulk import TextEmbedder
    from otel_embedder.embedder.embedding import Embedding
    from otel_embedder.errors import UnreadableFileError
    from otel_embedder.files.documents import Document, Format
    from otel_embedder.files.named_forms import Form
    from otel_embedder.files.requests import StoredRequest
    from otel_embedder.files.resumable import OutputFile
    from otel_embedder.files.trace_files import TraceFiles
    from otel_embedder.text.rendering import TextRenderer

# Some ten thousand spans. When all their texts are new, that is half a minute's work for two
# cores, and so what a kill costs.
MAX_WINDOW_BYTES = 4 * 1024 * 1024
MAX_WINDOW_REQUESTS = 1_000


@dataclass(slots=True)
class FilesTally:
    """What became of the spans.

    Attributes:
        annotated: how many were given vectors.
        left_alone: how many were left as they are, by what they have.

    """

    annotated: int = 0
    left_alone: Counter[str] = field(default_factory=Counter)

    def passed_as_is(self, standing: str, *, spans: int) -> None:
        """Count spans that had an embedding and were left alone."""
        self.left_alone[standing] += spans

    def spans(self) -> int:
        """Count them all."""
        return self.annotated + self.left_alone.total()


def refuse(_: StoredRequest, error: UnreadableFileError) -> None:
    """Let a request that can't be read end the run.

    Raises:
        UnreadableFileError: always.

    """
    raise error


class SpanAnnotator:
    """Gives the spans of requests their vectors."""

    def __init__(
        self,
        renderer: TextRenderer,
        embedder: TextEmbedder,
        formats: Mapping[Form, Format],
        tally: FilesTally,
        *,
        on_unreadable: Callable[[StoredRequest, UnreadableFileError], None] = refuse,
    ) -> None:
        """Prepare to annotate.

        Args:
            renderer: makes the texts.
            embedder: embeds them.
            formats: how each form is read and written.
            tally: where to count.
            on_unreadable: is told of a request that can't be read; if it returns, that is left out.

        """
        self._on_unreadable = on_unreadable
        self._embedder = embedder
        self._formats = formats
        self._readers = {
            form: SpanReader(renderer, each.annotator) for form, each in formats.items()
        }
        self._tally = tally

    def annotated(self, window: Sequence[StoredRequest]) -> list[Document]:
        """Give requests of one form with vectors on their spans.

        Raises:
            UnreadableFileError: one is malformed.
            EmbeddingError: the model failed.

        """
        format_ = self._formats[window[0].form]
        documents, works = zip(*(self._read(stored) for stored in window), strict=True)
        texts = [work.content for work in chain.from_iterable(works) if work.content is not None]
        embeddings = iter(self._embedder.embed(texts))
        for document, found in zip(documents, works, strict=True):
            for work in found:
                self._attach(next(embeddings), work, format_, document.request)
        return [*documents]

    def _attach(
        self, embedding: Embedding, work: Work, format_: Format, request: TraceRequest
    ) -> None:
        """Give a span its vector; a stand-in only if the span has nothing better."""
        if work.wants(embedding):
            work.attach(format_.annotator.attributes(embedding, work.content), request)
            self._tally.annotated += 1
        else:
            self._tally.passed_as_is(work.standing, spans=1)

    def _read(self, stored: StoredRequest) -> tuple[Document, list[Work]]:
        """Give a request, and what is to be done with its spans: all of it or none."""
        tally = FilesTally()
        try:
            document = self._formats[stored.form].read(stored)
            steps = self._readers[stored.form].read(document.request, tally)
            works = [work for found, _ in steps for work in found]
        except (MalformedRequestError, DecodeError) as error:
            refusal = stored.refusal(error)
            refusal.__cause__ = error
            self._on_unreadable(stored, refusal)
            return LeftOut(stored, TraceRequest.of([])), []
        self._tally.left_alone += tally.left_alone
        return document, works


def annotate_files(
    files: TraceFiles,
    spans: SpanAnnotator,
    output: OutputFile,
    *,
    checkpoint_seconds: float,
    advance: Callable[[float], None],
) -> None:
    """Write the requests of files with vectors, and put the output into its place.

    Args:
        files: what is read; what `output` has of it already is skipped.
        spans: what gives the spans their vectors.
        output: what is written.
        checkpoint_seconds: after how long it is made sure that a kill does not cost more.
        advance: is called with the number of bytes that were read since the last call.

    Raises:
        UnreadableFileError, EmbeddingError, UnwritableFileError: that is not possible. What was
            saved of the output stays.

    """
    requests, read_bytes, saved_at = output.requests, 0, -math.inf
    for window in windows(islice(files.stored_requests(), requests, None)):
        for document in spans.annotated(window):
            output.write(document.pieces())
        requests += len(window)
        if time.monotonic() - saved_at >= checkpoint_seconds:
            output.save(requests)
            saved_at = time.monotonic()
        advance(files.position() - read_bytes)
        read_bytes = files.position()
    output.save(requests)
    output.finish()


def windows(requests: Iterable[StoredRequest]) -> Iterator[list[StoredRequest]]:
    """Give requests in groups, to be worked on together."""
    window: list[StoredRequest] = []
    size = 0
    for stored in requests:
        window.append(stored)
        size += len(stored.content)
        if size >= MAX_WINDOW_BYTES or len(window) == MAX_WINDOW_REQUESTS:
            yield window
            window, size = [], 0
    if window:
        yield window
