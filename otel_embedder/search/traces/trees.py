"""One trace as a tree, whose spans are known by what is counted together: their rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from otel_embedder.otlp.spans import NANOSECONDS_PER_MILLISECOND
from otel_embedder.proto import otlp_wire_pb2 as pb
from otel_embedder.search.entries import RowKey

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from otel_embedder.text.rendering import TextRenderer

ERROR = 2


@dataclass(slots=True, eq=False)
class Node:
    """A span, and the spans that it called.

    Attributes:
        span_id: its id.
        parent_id: that of its parent; empty if it has none.
        row: what it is counted as: however it went and took.
        start: nanoseconds since 1970.
        end: the same; the start where it is not known how long it took.
        is_error: whether its status is ERROR.
        children: by their start.

    """

    span_id: bytes
    parent_id: bytes
    row: RowKey
    start: int
    end: int
    is_error: bool
    children: list[Node] = field(default_factory=list)

    @property
    def milliseconds(self) -> float:
        """How long it took."""
        return (self.end - self.start) / NANOSECONDS_PER_MILLISECOND

    @property
    def self_milliseconds(self) -> float:
        """How long it took by itself: without the time in which some child was under way."""
        covered, latest = 0, self.start
        for child in self.children:
            begin, end = max(child.start, latest), min(child.end, self.end)
            covered += max(0, end - begin)
            latest = max(latest, end)
        return (self.end - self.start - covered) / NANOSECONDS_PER_MILLISECOND


def node(span: bytes, service: str, renderer: TextRenderer) -> Node:
    """Give an encoded span, without attributes of ours, as a node without children.

    Raises:
        google.protobuf.message.DecodeError: it is not a Span.

    """
    place, row = pb.SpanPlace.FromString(span), renderer.row(span, service)
    return Node(
        place.span_id,
        place.parent_span_id,
        RowKey(service, row.operation, row.kind, row.words),
        place.start_time_unix_nano,
        max(place.start_time_unix_nano, place.end_time_unix_nano),
        pb.Status.FromString(place.status).code == ERROR,
    )


def roots(nodes: Iterable[Node]) -> list[Node]:
    """Join the spans of a trace; give those whose parent is not among them, by their start.

    Of several spans of one id the first has the children. Of spans in a ring the first is a root.
    """
    every = sorted(nodes, key=lambda each: each.start)
    by_id = {each.span_id: each for each in reversed(every)}
    parents = {id(each): by_id.get(each.parent_id) for each in every}
    for each in every:
        each.children = []
    for each in every:
        parent = parents[id(each)]
        if parent is not None:
            parent.children.append(each)
    found = [each for each in every if parents[id(each)] is None]
    reached = {id(each) for root in found for each in _below(root)}
    for each in every:
        parent = parents[id(each)]
        if id(each) not in reached and parent is not None:
            parent.children.remove(each)
            found.append(each)
            reached.update(id(below) for below in _below(each))
    return sorted(found, key=lambda each: each.start)


def _below(root: Node) -> Iterator[Node]:
    """Give a span and all under it."""
    waiting = [root]
    while waiting:
        at = waiting.pop()
        yield at
        waiting += at.children
