"""Which spans are given an embedding, and of what words: for the sidecar and for files alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from otel_embedder.annotation.standing import KEPT, Standing, prefers
from otel_embedder.embedder.embedding import UNKNOWN_TRACE_ID
from otel_embedder.otlp.spans import span_ids

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from otel_embedder.annotation.annotator import Annotator
    from otel_embedder.embedder.embedding import Embedding
    from otel_embedder.otlp.wire import Span, TraceRequest


class StandingCounter(Protocol):
    """Counts the spans that keep what they have."""

    def passed_as_is(self, standing: str) -> None:
        """Count a span that had an embedding and was left alone."""
        ...


class SpanRenderer(Protocol):
    """Makes texts of spans."""

    def service(self, resource: bytes, /) -> str:
        """Give the name of the service that an encoded Resource is of."""
        ...

    def render(self, span: bytes, service: str, /) -> tuple[str, bool]:
        """Give the text of an encoded Span, and whether its status is ERROR."""
        ...


@dataclass(slots=True, eq=False)
class Work:
    """A span to annotate.

    Attributes:
        span: the span, one of a request's.
        standing: what it has of an embedding already.
        bare: its bytes, without attributes of ours that are outdated.
        content: its text; None where there was no time to render it.
        urgent: whether it goes first where texts queue, as those of ERROR spans do.

    """

    span: Span
    standing: Standing
    bare: bytes
    content: str | None = None
    urgent: bool = False

    @property
    def trace_id(self) -> str:
        """The span's trace id in hex, which a stand-in is made of."""
        return span_ids(self.bare).trace_id.hex() or UNKNOWN_TRACE_ID

    def wants(self, embedding: Embedding) -> bool:
        """Tell whether the span is better off with an embedding than as it came."""
        return prefers(self.standing, embedding.source)

    def attach(self, attributes: bytes, request: TraceRequest) -> None:
        """Let encoded attributes go behind the span, one of this request's."""
        if self.bare is not self.span.encoded:
            request.replace(self.span, self.bare)
        request.add(self.span, attributes)


def spans_of(request: TraceRequest, renderer: SpanRenderer) -> Iterator[tuple[Span, str]]:
    """Give each span of a request with the name of its service.

    Raises:
        google.protobuf.message.DecodeError: a resource is none.

    """
    for resource in request.resources:
        scopes = [scope for scope in resource.scopes if scope.spans]
        # Once a resource, for to look it up takes as long as it is large; and only between spans.
        service = renderer.service(resource.resource) if scopes else ""
        for scope in scopes:
            for span in scope.spans:
                yield span, service


def _never() -> bool:
    return False


def collect(
    request: TraceRequest,
    renderer: SpanRenderer,
    annotator: Annotator,
    counter: StandingCounter,
    *,
    is_late: Callable[[], bool] = _never,
) -> Iterator[tuple[Span, Work | None]]:
    """Give each span of a request, and what is to be done with it; None where it keeps all it has.

    Args:
        request: the spans.
        renderer: makes their texts.
        annotator: tells what they have.
        counter: counts those that keep it.
        is_late: whether there is no time left to render.

    Raises:
        google.protobuf.message.DecodeError: one is not a Span.

    """
    for span, service in spans_of(request, renderer):
        encoded = span.encoded
        standing = annotator.standing(encoded)
        if standing is Standing.NONE:
            work = Work(span, standing, encoded)
        elif standing in KEPT:
            counter.passed_as_is(standing)
            yield span, None
            continue
        else:
            work = Work(span, standing, annotator.stripped(encoded))
        if is_late():
            span_ids(encoded)  # a request with a malformed span is refused, however late it is
        else:
            work.content, work.urgent = renderer.render(work.bare, service)
        yield span, work
