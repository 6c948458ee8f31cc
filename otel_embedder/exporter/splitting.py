"""Requests that are too large, cut between spans."""

from __future__ import annotations

from dataclasses import replace

from otel_embedder.otlp.wire import MAX_PREFIX_BYTES, ResourceSpans, ScopeSpans, TraceRequest


def split(request: TraceRequest, max_bytes: int) -> list[TraceRequest]:
    """Cut a request on span boundaries into requests of at most `max_bytes` encoded bytes.

    Resource and scope are repeated in each; those without spans are left out. A
    span that is too large only for what is to go behind it goes without that. A
    span that is too large by itself goes alone, with all that belongs to it:
    whoever set the limit may still take it, and to drop it is not for us.
    """
    if request.max_encoded_bytes() <= max_bytes:
        return [request]
    chunks = _Chunks(request.header, max_bytes)
    for resource, scope in request.scopes():
        for span, appended in scope.annotated():
            chunks.add(resource, scope, span, appended)
    return chunks.requests


def bare(request: TraceRequest) -> TraceRequest:
    """Give a request with the same spans, and nothing behind them."""
    resources = [
        replace(resource, scopes=[replace(scope, appended={}) for scope in resource.scopes])
        for resource in request.resources
    ]
    return replace(request, resources=resources)


def bare_spans(request: TraceRequest, chunks: list[TraceRequest]) -> int:
    """Count the spans of a request that go without what was to go behind them."""
    if len(chunks) == 1 and chunks[0] is request:
        return 0
    return request.appended_count() - sum(chunk.appended_count() for chunk in chunks)


class _Chunks:
    """Collects spans into requests, starting a new one when the next span would not fit.

    Sizes are counted with prefixes at their longest, so a request is never
    larger than counted.
    """

    def __init__(self, header: bytes, max_bytes: int) -> None:
        self.requests: list[TraceRequest] = []
        self._header = header
        self._max_bytes = max_bytes
        self._open_request()

    def _open_request(self) -> None:
        self.requests.append(TraceRequest(self._header))
        self._bytes = len(self._header)
        self._resource: ResourceSpans | None = None
        self._scope: ScopeSpans | None = None

    def add(self, resource: ResourceSpans, scope: ScopeSpans, span: bytes, appended: bytes) -> None:
        """Put a span into the open request, or into a new one where it does not fit."""
        alone = self._size_alone(resource, scope, span)
        if alone <= self._max_bytes < alone + len(appended):
            appended = b""
        size = MAX_PREFIX_BYTES + len(span) + len(appended)
        if self._scope and self._bytes + self._overhead(resource, scope) + size > self._max_bytes:
            self._open_request()
        self._bytes += self._overhead(resource, scope) + size
        self._open(resource, scope).add(span, appended)

    def _size_alone(self, resource: ResourceSpans, scope: ScopeSpans, span: bytes) -> int:
        headers = len(self._header) + len(resource.header) + len(scope.header)
        return 3 * MAX_PREFIX_BYTES + headers + len(span)

    def _overhead(self, resource: ResourceSpans, scope: ScopeSpans) -> int:
        size = 0
        if scope is not self._scope:
            size += MAX_PREFIX_BYTES + len(scope.header)
        if resource is not self._resource:
            size += MAX_PREFIX_BYTES + len(resource.header)
        return size

    def _open(self, resource: ResourceSpans, scope: ScopeSpans) -> ScopeSpans:
        resources = self.requests[-1].resources
        if resource is not self._resource:
            self._resource = resource
            resources.append(ResourceSpans(resource.header, resource.resource))
        if scope is not self._scope:
            self._scope = scope
            resources[-1].scopes.append(ScopeSpans(scope.header))
        return resources[-1].scopes[-1]
