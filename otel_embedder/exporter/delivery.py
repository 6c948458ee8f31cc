"""One request on its way to the next hop: what is left of it, and what became of the rest.

A chunk that is refused for its size lowers the limit for those behind it, and is cut anew itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from otel_embedder.errors import PermanentExportError
from otel_embedder.exporter.splitting import Splitter

if TYPE_CHECKING:
    from otel_embedder.exporter.splitting import Chunk
    from otel_embedder.otlp.wire import TraceRequest


class Delivery:
    """Gives a request's chunks, and sums up their answers.

    Attributes:
        has_accepted: whether the next hop has taken any chunk.

    """

    def __init__(self, request: TraceRequest) -> None:
        self.has_accepted = False
        self._left = [Splitter(request)]
        self._answer = ExportTraceServiceResponse()
        self._refusal = ""
        self._code = 0

    def is_over(self) -> bool:
        """Tell whether nothing is left to send."""
        return not self._left

    def next_chunk(self, max_bytes: int) -> Chunk:
        """Cut off the next chunk."""
        splitter = self._left[-1]
        chunk = splitter.next_chunk(max_bytes)
        if splitter.is_empty():
            self._left.pop()
        return chunk

    def put_back(self, request: TraceRequest) -> None:
        """Let a chunk's spans be the next again, to be cut anew."""
        self._left.append(Splitter(request))

    def accept(self, answer: ExportTraceServiceResponse) -> None:
        """Note a chunk that the next hop took, all of it or the most."""
        self.has_accepted = True
        self._add(answer.partial_success.rejected_spans, answer.partial_success.error_message)

    def refuse(self, chunk: Chunk, error: PermanentExportError) -> None:
        """Note a chunk that the next hop will never take."""
        if not self._refusal:
            # The error itself would hold on to the chunk, by its traceback.
            self._refusal, self._code = str(error), error.code
        self._add(chunk.request.spans, str(error))

    def answer(self) -> ExportTraceServiceResponse:
        """Sum up.

        Raises:
            PermanentExportError: all of it was refused.

        """
        if self._refusal and not self.has_accepted:
            raise PermanentExportError(self._refusal, code=self._code)
        return self._answer

    def _add(self, rejected: int, message: str) -> None:
        total = self._answer.partial_success
        if rejected:
            total.rejected_spans += rejected
        if message:
            total.error_message = "; ".join(filter(None, (total.error_message, message)))
