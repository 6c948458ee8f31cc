"""Traces that lie in files are given vectors there: read, rendered, embedded, written again.

Requests are worked on in windows, large enough that the model has texts for all
its workers, and small enough that memory stays the same whatever a file's size.
Which spans get a vector is decided as in the sidecar. Off line there are no
stand-ins: a model that fails ends the run.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

from google.protobuf.message import DecodeError

from otel_embedder.annotation.targets import find_target
from otel_embedder.errors import MalformedRequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from otel_embedder.annotation.standing import Standing
    from otel_embedder.annotation.targets import Target
    from otel_embedder.embedder.bulk import TextEmbedder
    from otel_embedder.files.documents import Document, Format
    from otel_embedder.files.requests import Form, Message
    from otel_embedder.files.resumable import OutputFile
    from otel_embedder.files.trace_files import TraceFiles
    from otel_embedder.text.renderer import Renderer

# Some ten thousand spans. When all their texts are new, that is half a minute's work for two
# cores, and so what a kill costs.
MAX_WINDOW_BYTES = 4 * 1024 * 1024
MAX_WINDOW_REQUESTS = 1_000


@dataclass(slots=True)
class Tally:
    """What became of the spans.

    Attributes:
        annotated: how many were given vectors.
        left_alone: how many were left as they are, by what they have.

    """

    annotated: int = 0
    left_alone: Counter[Standing] = field(default_factory=Counter)

    def passed_as_is(self, standing: Standing) -> None:
        """Count a span that had an embedding and was left alone."""
        self.left_alone[standing] += 1

    def spans(self) -> int:
        """Count them all."""
        return self.annotated + self.left_alone.total()


class SpanAnnotator:
    """Gives the spans of requests their vectors."""

    def __init__(
        self,
        renderer: Renderer,
        embedder: TextEmbedder,
        formats: Mapping[Form, Format],
        tally: Tally,
    ) -> None:
        self._renderer = renderer
        self._embedder = embedder
        self._formats = formats
        self._tally = tally

    def annotated(self, window: Sequence[Message]) -> list[Document]:
        """Give requests of one form with vectors on their spans.

        Raises:
            UnreadableFileError: one is malformed.
            EmbeddingError: the model failed.

        """
        format_ = self._formats[window[0].form]
        targets: list[Target] = []
        texts: list[str] = []
        documents = [self._rendered(message, format_, targets, texts) for message in window]
        embeddings = self._embedder.embed(texts)
        for target, text, embedding in zip(targets, texts, embeddings, strict=True):
            target.append(format_.annotator.attributes(embedding, text))
        self._tally.annotated += len(targets)
        return documents

    def _rendered(
        self, message: Message, format_: Format, targets: list[Target], texts: list[str]
    ) -> Document:
        """Read a request; add the spans to annotate and their texts to those of the window."""
        try:
            document = format_.read(message)
            for resource, scope in document.request.scopes():
                service = self._renderer.service(resource.resource)
                for place in range(len(scope.spans)):
                    target = find_target(scope, place, format_.annotator, self._tally)
                    if target is not None:
                        targets.append(target)
                        texts.append(self._renderer.render(target.span, service).content)
        except (MalformedRequestError, DecodeError) as error:
            raise message.refusal(error) from error
        return document


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
    for window in windows(islice(files.messages(), requests, None)):
        for document in spans.annotated(window):
            output.write(document.parts())
        requests += len(window)
        if time.monotonic() - saved_at >= checkpoint_seconds:
            output.save(requests)
            saved_at = time.monotonic()
        advance(files.position() - read_bytes)
        read_bytes = files.position()
    output.save(requests)
    output.finish()


def windows(messages: Iterable[Message]) -> Iterator[list[Message]]:
    """Give requests in groups, to be worked on together."""
    window: list[Message] = []
    size = 0
    for message in messages:
        window.append(message)
        size += len(message.content)
        if size >= MAX_WINDOW_BYTES or len(window) == MAX_WINDOW_REQUESTS:
            yield window
            window, size = [], 0
    if window:
        yield window
