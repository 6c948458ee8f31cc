"""What the next hop says of spans that it took, and the sum of it.

A number that it says is at most that of the spans that it got, and its words are bounded.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from otel_embedder.otlp.words import fit
from otel_embedder.proto import otlp_wire_pb2 as pb

# Of a request in hundreds of chunks each may be answered in words of its own.
MAX_MESSAGES = 16
MAX_SUMMARY_BYTES = 4096


@dataclass(slots=True)
class Verdict:
    """What became of spans that were answered.

    Attributes:
        rejected: how many of them the next hop did not take.
        messages: what it said of that or otherwise, each once.

    """

    rejected: int = 0
    messages: dict[str, None] = field(default_factory=dict)

    def add(self, other: Verdict) -> None:
        """Add what became of other spans."""
        self.rejected += other.rejected
        for message in other.messages:
            if len(self.messages) < MAX_MESSAGES:
                self.messages[message] = None

    def move_to(self, other: Verdict) -> None:
        """Add it to another's, and have nothing to say any more."""
        other.add(self)
        self.rejected, self.messages = 0, {}

    def answer(self) -> ExportTraceServiceResponse:
        """Give it as OTLP says it: a partial success, or nothing if there is nothing to say."""
        response = ExportTraceServiceResponse()
        if self.rejected or self.messages:
            response.partial_success.rejected_spans = self.rejected
            summary = fit("; ".join(self.messages), MAX_SUMMARY_BYTES)
            response.partial_success.error_message = summary
        return response


def refused(spans: int, message: str) -> Verdict:
    """Give the verdict on spans none of which was taken."""
    return Verdict(spans, {message: None})


def read_answer(encoded: bytes, *, spans: int) -> Verdict:
    """Give what an encoded answer with the status OK says of so many spans."""
    if not encoded:  # as nearly all are
        return Verdict()
    try:
        said = pb.TraceResponse.FromString(encoded).partial_success
    except DecodeError:
        # Its status was OK: the spans are there.
        return Verdict()
    message = fit(said.error_message)
    rejected = min(max(0, said.rejected_spans), spans)
    return Verdict(rejected, {message: None} if message else {})
