"""Requests that are too large, cut between spans, one chunk at a time and as late as possible.

A chunk that is refused for its size lowers the limit for those behind it, and
is cut anew itself. Resource and scope are repeated in each chunk; those without
spans are left out. Where they are nearly as large as a chunk may be, or larger,
to cut between their spans would send them hundreds of times: such a chunk is made
larger, as a lone span's is, and cut as small as is allowed only if it is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from otel_embedder.otlp.wire import (
    MAX_PREFIX_BYTES,
    ResourceSpans,
    ScopeSpans,
    TraceRequest,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_embedder.otlp.wire import Span


# Of spans, scopes and resources: to cut and to encode so many keeps the event loop from others for
# 10 ms. Of usual spans no chunk has room for as many.
MAX_PARTS = 8_192


# What stands above its spans may be so much of a chunk.
HEAD_SHARE = 3 / 4


class Placed(NamedTuple):
    """A span, and where it stands in its request."""

    resource: ResourceSpans
    scope: ScopeSpans
    span: Span

    def head_bytes(self) -> int:
        """Give the most bytes of what stands above it, and is repeated with each chunk."""
        return 2 * MAX_PREFIX_BYTES + len(self.resource.header) + len(self.scope.header)


class Chunk(NamedTuple):
    """Some of a request's spans, to be sent at once.

    Attributes:
        request: the spans.
        bare_spans: how many of them go without what was to go behind them.

    """

    request: TraceRequest
    bare_spans: int = 0


class Splitter:
    """Gives a request chunk by chunk, each as large as is allowed when it is asked for.

    A span that is too large only for what is to go behind it goes without that. A
    span that is too large by itself goes alone, with all that belongs to it:
    whoever set the limit may still take it, and to drop it is not for us.
    """

    def __init__(self, request: TraceRequest, *, is_strict: bool = True) -> None:
        """Begin to cut.

        Args:
            request: the spans.
            is_strict: whether a chunk may be larger than allowed only if it has one span; if not,
                it may also be so where what stands above the spans is large itself.

        """
        self._is_strict = is_strict
        self._whole: TraceRequest | None = request
        self._header = request.header
        self._spans = _placed(request)
        # The first is looked for once it is known that not all go at once, as nearly always.
        self._next: Placed | None = None

    def is_empty(self) -> bool:
        """Tell whether all was given."""
        return self._whole is None and self._next is None

    def next_chunk(self, max_bytes: int) -> Chunk:
        """Give the next spans, as many as `max_bytes` encoded bytes or MAX_PARTS have room for."""
        whole, self._whole = self._whole, None
        if whole is not None and whole.size <= max_bytes and _has_few_parts(whole):
            return Chunk(whole)
        if whole is not None:
            self._next = next(self._spans, None)
        if self._next is not None and not self._is_strict:
            head = len(self._header) + self._next.head_bytes()
            max_bytes = max(max_bytes, int(head / HEAD_SHARE))
        chunk = _OpenRequest(self._header, max_bytes)
        while self._next is not None and chunk.takes(self._next):
            self._next = next(self._spans, None)
        return Chunk(chunk.request, chunk.bare_spans)


def is_head_larger(request: TraceRequest, *, than: int) -> bool:
    """Tell whether all of a request's spans are below one resource and scope of more bytes.

    What a request has besides resources counts as well: each chunk has it.
    """
    heads = [len(resource.header) + len(scope.header) for resource, scope in request.scopes()]
    least = len(request.header) + (heads[0] if len(heads) == 1 else 0)
    return least > than


def _has_few_parts(request: TraceRequest) -> bool:
    parts = request.spans + len(request.resources)
    # Of very many resources not all are looked at.
    return parts + sum(len(each.scopes) for each in request.resources[:MAX_PARTS]) <= MAX_PARTS


def _placed(request: TraceRequest) -> Iterator[Placed]:
    for resource, scope in request.scopes():
        for span in scope.spans:
            yield Placed(resource, scope, span)


class _OpenRequest:
    """Collects spans for as long as there is room for the next.

    Sizes are counted with prefixes at their longest, so a request is never
    larger than counted.
    """

    def __init__(self, header: bytes, max_bytes: int) -> None:
        self.request = TraceRequest.of((), header)
        self.bare_spans = 0
        self._max_bytes = max_bytes
        self._parts = 0
        self._resource: ResourceSpans | None = None
        self._scope: ScopeSpans | None = None

    def takes(self, placed: Placed) -> bool:
        """Take a span, unless it does not fit beside those that are here."""
        resource, scope, span = placed
        if span.added and self._is_too_large_for_more(placed):
            span = span.bare()  # the request's own may still be sent whole
        size = self._overhead(placed) + MAX_PREFIX_BYTES + len(span.encoded) + len(span.added)
        parts = 1 + (scope is not self._scope) + (resource is not self._resource)
        is_too_much = self.request.size + size > self._max_bytes or self._parts + parts > MAX_PARTS
        if self.request.spans and is_too_much:
            return False
        self._parts += parts
        self._open(resource, scope).spans.append(span)
        self.request.spans += 1
        self.request.size += size
        self.bare_spans += span is not placed.span
        return True

    def _is_too_large_for_more(self, placed: Placed) -> bool:
        """Tell whether a span fits, if alone and without what is to go behind it."""
        headers = len(self.request.header) + placed.head_bytes()
        alone = MAX_PREFIX_BYTES + headers + len(placed.span.encoded)
        return alone <= self._max_bytes < alone + len(placed.span.added)

    def _overhead(self, placed: Placed) -> int:
        size = 0
        if placed.scope is not self._scope:
            size += MAX_PREFIX_BYTES + len(placed.scope.header)
        if placed.resource is not self._resource:
            size += MAX_PREFIX_BYTES + len(placed.resource.header)
        return size

    def _open(self, resource: ResourceSpans, scope: ScopeSpans) -> ScopeSpans:
        resources = self.request.resources
        if resource is not self._resource:
            self._resource = resource
            resources.append(ResourceSpans(resource.header, resource.resource_places))
        if scope is not self._scope:
            self._scope = scope
            resources[-1].scopes.append(ScopeSpans(scope.header))
        return resources[-1].scopes[-1]
