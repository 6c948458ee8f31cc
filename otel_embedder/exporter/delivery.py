"""One request on its way to the next hop: what is left of it, and what became of the rest.

A chunk that is refused for its size is cut anew, and only what is told of the size makes those
behind it smaller: one odd span must not make its whole request go span by span.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NamedTuple

from otel_embedder.errors import PermanentExportError
from otel_embedder.exporter.answers import Verdict, refused
from otel_embedder.exporter.splitting import Splitter

if TYPE_CHECKING:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

    from otel_embedder.exporter.splitting import Chunk
    from otel_embedder.exporter.taken import Progress
    from otel_embedder.otlp.wire import Arrived, TraceRequest

# More than any message has.
NO_LIMIT = sys.maxsize


class _Left(NamedTuple):
    """Spans still to be sent, and how many bytes a chunk of these may have."""

    splitter: Splitter
    max_bytes: int


class Delivery:
    """Gives a request's chunks, and sums up their answers.

    Attributes:
        has_accepted: whether the next hop has taken any chunk.

    """

    def __init__(
        self, request: TraceRequest, progress: Progress, arrived: Arrived | None = None
    ) -> None:
        """Begin to deliver.

        Args:
            request: what is left of it to be sent.
            progress: what is noted of it for another try.
            arrived: is called with each chunk that the next hop took all of.

        """
        self.has_accepted = False
        self._progress = progress
        self._arrived = arrived
        self._left = [_Left(Splitter(request, is_strict=False), NO_LIMIT)] if request.spans else []
        self._max_bytes = NO_LIMIT
        self._refused = Verdict()
        self._refusal = ""
        self._code = 0

    def is_over(self) -> bool:
        """Tell whether nothing is left to send."""
        return not self._left

    def next_chunk(self, max_bytes: int) -> Chunk:
        """Cut off the next chunk, of so many bytes or of what else it may have."""
        splitter, own_max_bytes = self._left[-1]
        chunk = splitter.next_chunk(min(max_bytes, self._max_bytes, own_max_bytes))
        if splitter.is_empty():
            self._left.pop()
        return chunk

    def put_back(self, request: TraceRequest, max_bytes: int = NO_LIMIT) -> None:
        """Let a chunk's spans be the next again, to be cut anew, into at most so many bytes."""
        self._left.append(_Left(Splitter(request), max_bytes))

    def limit(self, max_bytes: int) -> None:
        """Let no chunk have more bytes from now on."""
        self._max_bytes = min(self._max_bytes, max_bytes)

    def accept(self, chunk: Chunk, verdict: Verdict) -> None:
        """Note a chunk that the next hop took, all of it or the most."""
        self.has_accepted = True
        self._progress.take(chunk.request, verdict)
        if self._arrived is not None and not verdict.rejected:
            self._arrived(chunk.request)

    def refuse(self, chunk: Chunk, error: PermanentExportError) -> None:
        """Note a chunk that the next hop will never take."""
        if not self._refusal:
            # The error itself would hold on to the chunk, by its traceback.
            self._refusal, self._code = str(error), error.code
        self._refused.add(refused(chunk.request.spans, str(error)))

    def answer(self) -> ExportTraceServiceResponse:
        """Sum up.

        Raises:
            PermanentExportError: all of it was refused.

        """
        if not self._refusal:
            return self._progress.verdict.answer()
        if not self._progress.has_begun():
            raise PermanentExportError(self._refusal, code=self._code)
        total = Verdict()
        total.add(self._progress.verdict)
        total.add(self._refused)
        return total.answer()
