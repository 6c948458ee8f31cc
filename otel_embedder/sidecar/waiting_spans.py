"""Spans that passed, as they wait beside their way to be counted for the catalogue.

Of those that recur what is each one's own was cut out on the way, and waits as columns; of others
the bytes are copied: whatever else lives on of a request costs more than that.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from otel_embedder.annotation.recurring import ENCODED
from otel_embedder.search.recording.packed import PackedSpans

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from otel_embedder.annotation.recurring import Recurring
    from otel_embedder.embedder.embedding import Embedding
    from otel_embedder.otlp.layouts import Numbers
    from otel_embedder.otlp.wire import Span, TraceRequest
    from otel_embedder.pipeline.passed import Passed
    from otel_embedder.search.recording.recorder import Recorder

MAX_SPANS = 512  # are packed and read at a time: less than half a millisecond
# To pack a request of so many spans or bytes takes the event loop a millisecond.
LARGE_SPANS, LARGE_BYTES = 4_096, 8 * 1024 * 1024
POINTERS_BYTES = 32  # of a span: to its length, text and embedding, or what is known of it
OWN_BYTES = 48


@dataclass(frozen=True, slots=True, eq=False)
class SomeSpans:
    """Some spans of a resource, with a text and an embedding for each; None is none.

    Attributes:
        resource: the encoded Resource.
        spans: encoded, as they came, but for outdated attributes of ours.
        texts: of these; None where none was made.
        embeddings: of these.

    """

    resource: bytes
    spans: PackedSpans
    texts: Sequence[str | None]
    embeddings: Sequence[Embedding | None]

    def size(self) -> int:
        """Give about how many bytes they hold, besides what is in caches as well."""
        return len(self.spans.joined) + POINTERS_BYTES * len(self.spans)

    def __len__(self) -> int:
        return len(self.spans)

    def recorded_by(self, recorder: Recorder, now: int) -> int:
        """Let them be recorded at a time, in nanoseconds; give how many were dropped."""
        return recorder.take(self.resource, self.spans, self.texts, self.embeddings, now=now)


@dataclass(frozen=True, slots=True, eq=False)
class RecurringSome:
    """Some spans that recur.

    Attributes:
        recurring: what is known of each.
        own: what is each one's own, shape (n, `layouts.NUMBERS`).
        embeddings: one of each; None is none.

    """

    recurring: Sequence[Recurring]
    own: Numbers
    embeddings: Sequence[Embedding | None]

    def size(self) -> int:
        """Give about how many bytes they hold, besides what is in caches as well."""
        return (OWN_BYTES + POINTERS_BYTES) * len(self.recurring)

    def __len__(self) -> int:
        return len(self.recurring)

    def recorded_by(self, recorder: Recorder, now: int) -> int:
        """Let them be recorded at a time, in nanoseconds; give how many were dropped."""
        return recorder.take_recurring(self.recurring, self.own, self.embeddings, now=now)


Piece = SomeSpans | RecurringSome


class _Waiting(NamedTuple):
    """A request that waits to be read: about how many bytes it holds, and its spans."""

    size: int
    pieces: Iterable[Piece]


class WaitingRequests:
    """Requests that wait to be read, in bounded memory: put by one thread, taken by another."""

    def __init__(self, *, max_bytes: int) -> None:
        """Keep none yet, and about so many bytes at most."""
        self._max_bytes = max_bytes
        self._bytes = 0
        self._lock = threading.Lock()
        self._requests: deque[_Waiting] = deque()

    def put(self, passed: Passed) -> bool:
        """Pack and keep a request; tell whether there was room: where there is none it is left."""
        if not self._has_room(passed):
            return False
        waiting = _waiting(passed)
        with self._lock:
            self._bytes += waiting.size
        self._requests.append(waiting)
        return True

    def _has_room(self, passed: Passed) -> bool:
        request, left = passed.request, self._max_bytes - self._bytes
        # With what is attached, which is not packed: where that has room nothing is to be measured.
        if request.size + POINTERS_BYTES * request.spans <= left:
            return True
        return not _is_large(request) and _packed_size(passed) <= left

    def take(self) -> Iterator[Iterable[Piece]]:
        """Give the spans of each request, the first first, and keep it no longer."""
        while self._requests:
            waiting = self._requests.popleft()
            with self._lock:
                self._bytes -= waiting.size
            yield waiting.pieces


def _is_large(request: TraceRequest) -> bool:
    """Tell whether it takes long to pack."""
    return request.spans > LARGE_SPANS or request.size > LARGE_BYTES


def _waiting(passed: Passed) -> _Waiting:
    """Pack a request, unless that takes long: then whoever reads it packs one piece at a time."""
    pieces = few_at_a_time(passed)
    if _is_large(passed.request):
        return _Waiting(passed.request.size, pieces)
    # Where it is at hand: of what lives on, to be freed in another thread, a span costs more.
    packed = [*pieces]
    return _Waiting(sum(piece.size() for piece in packed), packed)


def _packed_size(passed: Passed) -> int:
    """Give about how many bytes the spans of a request will hold."""
    seen = len(passed.sightings.recurring)
    others = (sum(map(len, map(ENCODED, spans))) for _, spans in _others(passed))
    return sum(others) + OWN_BYTES * seen + POINTERS_BYTES * passed.request.spans


def few_at_a_time(passed: Passed) -> Iterator[Piece]:
    """Give the spans that passed, and no more at once than takes a moment."""
    yield from _recurring(passed)
    if not passed.sightings.are_all_of(passed.request):
        yield from _packed(passed)


def _recurring(passed: Passed) -> Iterator[RecurringSome]:
    sightings, embeddings = passed.sightings, passed.embeddings
    if len(sightings.works) < len(passed.works):
        of_works = dict(zip(map(id, passed.works), embeddings, strict=True))
        embeddings = [of_works[id(work)] for work in sightings.works]
    end = 0
    for own in sightings.own:
        part = slice(end, end := end + len(own))
        yield RecurringSome(sightings.recurring[part], own, embeddings[part])


def _packed(passed: Passed) -> Iterator[SomeSpans]:
    of_works = {
        id(work.span): (work.content, embedding)
        for work, embedding in zip(passed.works, passed.embeddings, strict=True)
    }
    for resource, spans in _others(passed):
        for begin in range(0, len(spans), MAX_SPANS):
            part = spans[begin : begin + MAX_SPANS]
            found = [of_works.get(id(span), (None, None)) for span in part]
            texts, embeddings = zip(*found, strict=True)
            yield SomeSpans(resource, PackedSpans(map(ENCODED, part)), texts, embeddings)


def _others(passed: Passed) -> Iterator[tuple[bytes, Sequence[Span]]]:
    """Give the spans that do not recur, by their encoded Resources."""
    if passed.sightings.are_all_of(passed.request):
        return
    seen = {id(work.span) for work in passed.sightings.works}
    for resource in passed.request.resources:
        encoded = resource.resource if resource.scopes else b""
        for scope in resource.scopes:
            yield encoded, [span for span in scope.spans if id(span) not in seen]
