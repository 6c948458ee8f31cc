"""A trace request as bytes: taken apart no further than needed, put together by joining.

A span stays the bytes that it came in. To annotate it is to name the encoded
attributes to put behind them, which many spans share, and to encode the request
is one `join`: no span is ever built from objects, so none can change, and 384
doubles cost a copy. That also makes an encoded size a sum of lengths, which is
what splitting needs.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache
from hashlib import sha256
from operator import add
from typing import TYPE_CHECKING

from otel_embedder.otlp.own import is_own
from otel_embedder.otlp.protobuf import Cursor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from otel_embedder.otlp.protobuf import Field

    # Is called with what the next hop has taken, all of it.
    Arrived = Callable[["TraceRequest"], None]

RESOURCE_SPANS_TAG = b"\x0a"  # ExportTraceServiceRequest.resource_spans = 1
RESOURCE_TAG = b"\x0a"  # ResourceSpans.resource = 1
SCOPE_SPANS_TAG = b"\x12"  # ResourceSpans.scope_spans = 2
SPANS_TAG = b"\x12"  # ScopeSpans.spans = 2
VARINT_MORE = 128  # a varint's digits have base 128; this bit says that another follows
# A tag of one byte and a length of five: protobuf's limit for a message is 2 GiB.
MAX_PREFIX_BYTES = 6


# Of spans' prefixes no more are remembered: those of usual size have fewer lengths.
MAX_LENGTHS = 65_536


@lru_cache(maxsize=16_384)
def length_prefix(tag: bytes, length: int) -> bytes:
    """Give the bytes in front of a length-delimited field: its tag, its length as a varint."""
    digits = bytearray(tag)
    while length >= VARINT_MORE:
        digits.append(length % VARINT_MORE + VARINT_MORE)
        length //= VARINT_MORE
    digits.append(length)
    return bytes(digits)


def length_delimited(tag: bytes, pieces: list[bytes]) -> list[bytes]:
    """Give the pieces of an embedded message with the field's prefix in front."""
    return [length_prefix(tag, sum(map(len, pieces))), *pieces]


class _SpanPrefixes(dict[int, bytes]):
    """The bytes in front of a span, by its length."""

    def __missing__(self, length: int) -> bytes:
        prefix = length_prefix(SPANS_TAG, length)
        if len(self) < MAX_LENGTHS:
            self[length] = prefix
        return prefix


SPAN_PREFIX = _SpanPrefixes().__getitem__


class Pieces:
    """An encoded message in pieces, to be joined.

    Attributes:
        size: the bytes of all of them.

    """

    def __init__(self, first: bytes) -> None:
        self.size = len(first)
        self._pieces = [first]

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._pieces)

    def add_message(self, tag: bytes, message: Pieces) -> None:
        """Add a field that is a message."""
        prefix = length_prefix(tag, message.size)
        self._pieces.append(prefix)
        self._pieces += message
        self.size += len(prefix) + message.size

    def add_spans(self, spans: Sequence[Span]) -> None:
        """Add the field of each of these spans: they are most of a request."""
        encoded = [span.encoded for span in spans]
        added = [span.added for span in spans]
        lengths = [*map(add, map(len, encoded), map(len, added))]
        prefixes = [*map(SPAN_PREFIX, lengths)]
        pieces = [b""] * (3 * len(spans))
        pieces[0::3], pieces[1::3], pieces[2::3] = prefixes, encoded, added
        self._pieces += pieces
        self.size += sum(lengths) + sum(map(len, prefixes))

    def add(self, piece: bytes) -> None:
        """Add encoded fields."""
        self._pieces.append(piece)
        self.size += len(piece)


@dataclass(slots=True)
class Span:
    """A span of a request. Only `TraceRequest` changes it, and so knows its own size.

    Attributes:
        encoded: the encoded Span message, as it came.
        added: encoded attributes that are to go behind it; nothing, if it is bare.
        origin: the digest of what it came as, where `encoded` is not that any more.

    """

    encoded: bytes
    added: bytes = b""
    origin: bytes = b""

    def digest(self) -> bytes:
        """Give a digest of the encoded Span message that it came as, whatever it is by now."""
        return self.origin or sha256(self.encoded).digest()

    def bare(self) -> Span:
        """Give the same span, and nothing behind it."""
        return Span(self.encoded, origin=self.origin)


@dataclass(slots=True)
class ScopeSpans:
    """The spans of one instrumentation scope.

    Attributes:
        header: the encoded ScopeSpans without its spans: scope, schema URL, unknown fields.
        spans: its spans, in the order that they came.

    """

    header: bytes
    spans: list[Span] = field(default_factory=list)
    _is_own: bool | None = field(init=False, default=None, repr=False, compare=False)

    @property
    def is_own(self) -> bool:
        """Whether they are of a sidecar's own work: read once, since every stage asks."""
        if self._is_own is None:
            self._is_own = is_own(self.header)
        return self._is_own

    def pieces(self) -> Pieces:
        """Give the encoded ScopeSpans in pieces."""
        pieces = Pieces(self.header)
        pieces.add_spans(self.spans)
        return pieces


@dataclass(slots=True)
class ResourceSpans:
    """The spans of one resource.

    Attributes:
        header: the encoded ResourceSpans without its scope_spans: resource, schema URL, unknown
            fields.
        resource_places: where the header has the encoded Resource, which may come in parts.
        scopes: one for each ScopeSpans, in the order that they came.

    """

    header: bytes
    resource_places: list[slice] = field(default_factory=list)
    scopes: list[ScopeSpans] = field(default_factory=list)

    @property
    def resource(self) -> bytes:
        """The encoded Resource: a copy, for it may be most of a request."""
        return b"".join(map(self.header.__getitem__, self.resource_places))

    def pieces(self) -> Pieces:
        """Give the encoded ResourceSpans in pieces."""
        pieces = Pieces(self.header)
        for scope in self.scopes:
            pieces.add_message(SCOPE_SPANS_TAG, scope.pieces())
        return pieces


@dataclass(slots=True)
class TraceRequest:
    """One ExportTraceServiceRequest.

    Attributes:
        header: the request's own unknown fields, encoded.
        resources: one for each ResourceSpans, in the order that they came.
        spans: how many spans it has.
        size: bytes that the encoded request does not exceed: all prefixes at their longest.

    """

    header: bytes
    resources: list[ResourceSpans]
    spans: int
    size: int

    @classmethod
    def of(cls, resources: Sequence[ResourceSpans], header: bytes = b"") -> TraceRequest:
        """Give a request of these resources; walks their spans to measure them."""
        request = cls(header, [*resources], spans=0, size=len(header))
        for resource in request.resources:
            request.size += MAX_PREFIX_BYTES + len(resource.header)
        for _, scope in request.scopes():
            request.spans += len(scope.spans)
            request.size += MAX_PREFIX_BYTES * (1 + len(scope.spans)) + len(scope.header)
            request.size += sum(len(span.encoded) + len(span.added) for span in scope.spans)
        return request

    def scopes(self) -> Iterator[tuple[ResourceSpans, ScopeSpans]]:
        """Give every scope with its resource."""
        for resource in self.resources:
            for scope in resource.scopes:
                yield resource, scope

    def own_spans(self) -> int:
        """Give how many of its spans are of sidecars' own work."""
        return sum(len(scope.spans) for _, scope in self.scopes() if scope.is_own)

    def bare(self) -> TraceRequest:
        """Give a request of the same spans, and nothing behind them."""
        resources = [
            replace(
                resource,
                scopes=[
                    replace(scope, spans=[span.bare() for span in scope.spans])
                    for scope in resource.scopes
                ],
            )
            for resource in self.resources
        ]
        return TraceRequest.of(resources, self.header)

    def is_bare(self) -> bool:
        """Tell whether nothing is to go behind any of the spans."""
        return not any(span.added for _, scope in self.scopes() for span in scope.spans)

    def add(self, span: Span, added: bytes) -> None:
        """Let encoded attributes go behind one of these spans, in the place of any that did."""
        self.add_all([span], [added])

    def add_all(self, spans: Iterable[Span], added: Iterable[bytes]) -> None:
        """Let encoded attributes go behind each of some spans, in the place of any that did."""
        more = 0
        for span, each in zip(spans, added, strict=True):
            more += len(each)
            if span.added:
                more -= len(span.added)
            span.added = each
        self.size += more

    def replace(self, span: Span, encoded: bytes) -> None:
        """Let one of these spans be encoded otherwise: without attributes of ours."""
        if encoded is span.encoded:
            return
        self.size += len(encoded) - len(span.encoded)
        # What it came as is not kept: nobody would count its bytes.
        span.origin = span.digest()
        span.encoded = encoded

    def pieces(self) -> Pieces:
        """Give the encoded request in pieces."""
        pieces = Pieces(b"")
        for resource in self.resources:
            pieces.add_message(RESOURCE_SPANS_TAG, resource.pieces())
        # Behind the others: what begins with a field that OTLP has not may look compressed.
        pieces.add(self.header)
        return pieces

    def encoded_size(self) -> int:
        """Give the bytes of the encoded request, to the last one."""
        return self.pieces().size

    def encode(self) -> bytes:
        """Give the request as protobuf."""
        return b"".join(self.pieces())


class Beside:
    """Encoded fields behind each other: of one, as most often, no copy is made.

    Of many no object is left: a request may have millions, of two bytes each.
    """

    __slots__ = ("_first", "_others")

    def __init__(self) -> None:
        self._first = b""
        self._others: bytearray | None = None

    def __len__(self) -> int:
        return len(self._first) + len(self._others or b"")

    def add(self, encoded: bytes) -> None:
        """Add one."""
        if self._others is not None:
            self._others += encoded
        elif self._first:
            self._others = bytearray(encoded)
        else:
            self._first = encoded

    def joined(self) -> bytes:
        """Give all of them."""
        return self._first if self._others is None else self._first + self._others


class RequestReader:
    """Reads an ExportTraceServiceRequest down to its spans, which stay bytes, step by step.

    ::

        reader = RequestReader(encoded)
        for fields in reader.steps():
            ...
        request = reader.request

    Attributes:
        request: what was read of it so far.

    """

    def __init__(self, encoded: bytes) -> None:
        self.request = TraceRequest(b"", [], spans=0, size=0)
        self._encoded = encoded

    def steps(self) -> Iterator[int]:
        """Read on by some milliseconds at most each time; give how many fields these were.

        Only to copy a field that is most of a large request takes longer. A field that is read
        becomes an object, or some: a span, a scope, a resource.

        Raises:
            MalformedRequestError: these bytes are not such a message.

        """
        cursor = Cursor(self._encoded, 0, len(self._encoded), level=0)
        beside = Beside()
        while not cursor.is_at_end():
            field = cursor.field()
            if field.tag == RESOURCE_SPANS_TAG[0]:
                yield from self._resource_spans(field)
            else:
                beside.add(self._all_of(field))
            yield 1
        self.request.header = beside.joined()
        self.request.size += len(self.request.header)

    def _resource_spans(self, message: Field) -> Iterator[int]:
        cursor = Cursor(self._encoded, message.value, message.end, level=1)
        read = ResourceSpans(b"")
        # At once: whoever refuses the rest lets go of what was read.
        self.request.resources.append(read)
        beside = Beside()
        while not cursor.is_at_end():
            field = cursor.field()
            if field.tag == SCOPE_SPANS_TAG[0]:
                yield from self._scope_spans(field, read)
            else:
                if field.tag == RESOURCE_TAG[0]:
                    moved = len(beside) - field.start
                    read.resource_places.append(slice(field.value + moved, field.end + moved))
                beside.add(self._all_of(field))
            yield 1
        read.header = beside.joined()
        self.request.size += MAX_PREFIX_BYTES + len(read.header)

    def _scope_spans(self, message: Field, resource: ResourceSpans) -> Iterator[int]:
        cursor = Cursor(self._encoded, message.value, message.end, level=2)
        scope = ScopeSpans(b"")
        resource.scopes.append(scope)
        beside = Beside()
        while not cursor.is_at_end():
            encoded = cursor.run(SPANS_TAG[0])
            if not encoded:
                field = cursor.field()
                if field.tag == SPANS_TAG[0]:
                    encoded = [self._encoded[field.value : field.end]]
                else:
                    beside.add(self._all_of(field))
            scope.spans += map(Span, encoded)
            self._measure(encoded)
            yield max(1, len(encoded))
        scope.header = beside.joined()
        self.request.size += MAX_PREFIX_BYTES + len(scope.header)

    def _measure(self, spans: list[bytes]) -> None:
        self.request.spans += len(spans)
        self.request.size += MAX_PREFIX_BYTES * len(spans) + sum(map(len, spans))

    def _all_of(self, field: Field) -> bytes:
        return self._encoded[field.start : field.end]


def parse_request(encoded: bytes) -> TraceRequest:
    """Read an ExportTraceServiceRequest down to its spans, which stay bytes.

    Raises:
        MalformedRequestError: these bytes are not such a message.

    """
    reader = RequestReader(encoded)
    for _ in reader.steps():
        pass
    return reader.request
