"""Which spans are given an embedding, and of what words: for the sidecar and for files alike."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import groupby, repeat
from operator import attrgetter
from typing import TYPE_CHECKING, Protocol

from otel_embedder.annotation.known_spans import Durations, KnownSpans
from otel_embedder.annotation.recurring import ENCODED, MOST, RecurringSpans, Texts
from otel_embedder.annotation.standing import KEPT, Standing, prefers
from otel_embedder.embedder.embedding import UNKNOWN_TRACE_ID
from otel_embedder.fairness import LOOK_BYTES, STEP_BYTES
from otel_embedder.otlp.spans import span_ids

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from otel_embedder.annotation.annotator import Annotator
    from otel_embedder.annotation.known_spans import Key, Rendered
    from otel_embedder.annotation.recurring import Look, Sightings
    from otel_embedder.embedder.embedding import Embedding
    from otel_embedder.otlp.wire import ScopeSpans, Span, TraceRequest

# What there is to do, as it is found out; and the bytes that this had to do with.
Step = tuple[list["Work"], int]

# So many spans are looked up together; that takes a tenth of a millisecond.
PIECE = 64

# To look so many bytes of resources up takes some milliseconds where none of them is known.
LOOKED_BYTES = 64 * 1024

# To render one takes a tenth of a millisecond, or twenty, whatever its size: worth a look at the
# clock each.
RENDERED_BYTES = LOOK_BYTES

# To look into one of so many takes a millisecond, however little is read of it.
LARGE_BYTES = 1024 * 1024

# To look for words in vain costs twice what is saved where they are at hand. So where that is so of
# more than this share of those looked for in a piece, some pieces are read without a look.
MANY_NOT_AT_HAND = 1 / 4
PIECES_RESTING = 16

CONTENT = attrgetter("content")
# How spans of sidecars' own work are counted among those that keep what they have.
OWN = "own"


class StandingCounter(Protocol):
    """Counts the spans that keep what they have."""

    def passed_as_is(self, standing: str, *, spans: int) -> None:
        """Count spans that had an embedding and were left alone."""
        ...


class Services(Protocol):
    """Tells of services."""

    def service(self, resource: bytes, /) -> str:
        """Give the name of the service that an encoded Resource is of."""
        ...


class SpanRenderer(Services, Durations, Texts, Protocol):
    """Makes texts of spans."""

    def at_hand(self, spans: Sequence[bytes], service: str, /) -> Sequence[Rendered | None]:
        """Give what `render` does of encoded Spans, where that takes next to no time; else None."""
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
        """Tell whether the span is better off with the embedding of its text than as it came."""
        return prefers(self.standing, embedding.source)

    def attach(self, attributes: bytes, request: TraceRequest) -> None:
        """Let encoded attributes go behind the span, one of this request's."""
        if self.bare is not self.span.encoded:
            request.replace(self.span, self.bare)
        request.add(self.span, attributes)


def spans_of(request: TraceRequest, services: Services) -> Iterator[tuple[Span, str]]:
    """Give each span of a request with the name of its service.

    Raises:
        google.protobuf.message.DecodeError: a resource is none.

    """
    for scopes, service, _ in _resources(request, services):
        for scope in scopes:
            for span in scope.spans:
                yield span, service


def _resources(
    request: TraceRequest, services: Services
) -> Iterator[tuple[list[ScopeSpans], str, int]]:
    """Give, of each resource that has spans, its scopes with some, its service and its bytes.

    Raises:
        google.protobuf.message.DecodeError: a resource is none.

    """
    for resource in request.resources:
        scopes = [scope for scope in resource.scopes if scope.spans]
        if scopes:
            encoded = resource.resource
            # Only between spans, and once: to look it up takes as long as it is large.
            yield scopes, services.service(encoded), len(encoded)


@dataclass(slots=True)
class _Piece:
    """Spans that are read together.

    Attributes:
        spans: these.
        services: the name of each one's service; nothing for those of sidecars' own work.
        looked: of so many bytes these names were made.

    """

    spans: list[Span] = field(default_factory=list)
    services: list[str] = field(default_factory=list)
    looked: int = 0


def _pieces(request: TraceRequest, services: Services) -> Iterator[_Piece]:
    """Give the spans of a request, MOST at once, and fewer where their resources are large.

    Raises:
        google.protobuf.message.DecodeError: a resource is none.

    """
    piece = _Piece()
    for run in _runs(request, services):
        if not run.services:
            yield run
            continue
        if len(piece.spans) + len(run.spans) > MOST:
            yield piece
            piece = _Piece()
        piece.spans += run.spans
        piece.services += run.services
        piece.looked += run.looked
        if piece.looked > LOOKED_BYTES:
            yield piece
            piece = _Piece()
    if piece.spans:
        yield piece


def _runs(request: TraceRequest, services: Services) -> Iterator[_Piece]:
    """Give the spans of a request by their scopes, MOST at once.

    Raises:
        google.protobuf.message.DecodeError: a resource is none.

    """
    for scopes, service, size in _resources(request, services):
        looked = size
        for scope in scopes:
            for start in range(0, len(scope.spans), MOST):
                spans = scope.spans[start : start + MOST]
                yield _Piece(spans, [] if scope.is_own else [service] * len(spans), looked)
                looked = 0  # once a resource


def _never() -> bool:
    return False


@dataclass(slots=True)
class _Reading:
    """What belongs to the reading of one request.

    Attributes:
        is_late: whether there is no time left to render.
        sightings: gets the spans that recur, if somebody wants them.
        kept: how many spans keep what they have.

    """

    is_late: Callable[[], bool]
    sightings: Sightings | None
    kept: Counter[str] = field(default_factory=Counter)


def _passed_by(spans: Sequence[Span], kept: Counter[str]) -> Iterator[Step]:
    """Leave spans of sidecars' own work as they are: what tells of embedding isn't embedded."""
    for span in spans:
        span_ids(span.encoded)  # a request with a malformed span is refused
        yield [], len(span.encoded)
    kept[OWN] += len(spans)


class SpanReader:
    """Reads spans: what each has of an embedding and, if it is to get one, its words."""

    def __init__(self, renderer: SpanRenderer, annotator: Annotator) -> None:
        """Prepare to read.

        Args:
            renderer: makes the texts of spans.
            annotator: tells what they have.

        """
        self._known = KnownSpans(renderer)
        self._recurring = RecurringSpans(renderer)
        self._renderer = renderer
        self._annotator = annotator
        self._resting = 0

    def hits(self) -> int:
        """Give how many spans were known by their bytes."""
        return self._recurring.hits() + self._known.hits()

    def memory(self) -> int:
        """Give what that takes in memory, in bytes."""
        return self._recurring.memory() + self._known.memory()

    def read(
        self,
        request: TraceRequest,
        counter: StandingCounter,
        *,
        is_late: Callable[[], bool] = _never,
        sightings: Sightings | None = None,
    ) -> Iterator[Step]:
        """Give what is to be done with the spans of a request, in their order, step by step.

        Args:
            request: the spans.
            counter: counts those that keep what they have.
            is_late: whether there is no time left to render.
            sightings: gets those that recur.

        Raises:
            google.protobuf.message.DecodeError: one is not a Span.

        """
        reading = _Reading(is_late, sightings)
        for piece in _pieces(request, self._renderer):
            if piece.looked > LOOKED_BYTES:
                yield [], piece.looked
            if piece.services:
                yield from self._read_some(piece.spans, piece.services, reading)
            else:
                yield from _passed_by(piece.spans, reading.kept)
        for standing, count in reading.kept.items():
            counter.passed_as_is(standing, spans=count)

    def _read_some(
        self, spans: Sequence[Span], services: Sequence[str], reading: _Reading
    ) -> Iterator[Step]:
        """Read spans, hundreds at once or few, as it takes less time."""
        is_sighted = reading.sightings is not None
        look = self._recurring.look_up(spans, services, are_sighted=is_sighted)
        if look is None:
            yield from self._read_few(spans, services, reading)
        else:
            yield from self._read_many(look, reading)

    def _read_many(self, look: Look, reading: _Reading) -> Iterator[Step]:
        """Take what was found of spans, and read the others."""
        encoded, contents = map(ENCODED, look.seen), map(CONTENT, look.recurring)
        works = [*map(Work, look.seen, repeat(Standing.NONE), encoded, contents)]
        if reading.sightings is not None:
            reading.sightings.add(works, look)
        if not look.others:
            yield works, len(works) * STEP_BYTES
            return
        yield [], len(works) * STEP_BYTES
        for others, size in self._read_few(look.others, look.services, reading, look):
            works += others
            yield [], size
        yield sorted(works, key=lambda work: look.place(work.span)), len(works) * STEP_BYTES

    def _read_few(
        self,
        spans: Sequence[Span],
        services: Sequence[str],
        reading: _Reading,
        look: Look | None = None,
    ) -> Iterator[Step]:
        """Read spans, some of one service at a time."""
        end = 0
        for service, run in groupby(services):
            begin, end = end, end + len([*run])
            for start in range(begin, end, PIECE):
                piece = spans[start : min(start + PIECE, end)]
                yield from self._read_piece(piece, service, reading, look)

    def _read_piece(
        self, spans: Sequence[Span], service: str, reading: _Reading, look: Look | None = None
    ) -> Iterator[Step]:
        """Look some spans up, and read those that are not known one by one."""
        encoded = [*map(ENCODED, spans)]
        keys = self._known.keys(encoded, service)
        found = self._look_up(spans, encoded, service, keys, look)
        if all(found):
            contents, urgent = zip(*found, strict=True)
            known = map(Work, spans, repeat(Standing.NONE), encoded, contents, urgent)
            yield [*known], len(spans) * STEP_BYTES
            return
        works: list[Work] = []
        for span, key, rendered in zip(spans, keys, found, strict=True):
            if rendered is not None:
                works.append(Work(span, Standing.NONE, span.encoded, *rendered))
                continue
            standing = self._annotator.standing(span.encoded)
            size = len(span.encoded)
            if size > LARGE_BYTES:
                yield [], size  # it is read once more
            if standing in KEPT:
                reading.kept[standing] += 1
            else:
                works.append(work := self._read(span, service, standing, reading.is_late))
                if work.content is not None:
                    size += RENDERED_BYTES
                    if standing is Standing.NONE:
                        self._known.remember(key, (work.content, work.urgent))
            yield works, size
            works = []
        if works:
            yield works, len(works) * STEP_BYTES

    def _look_up(
        self,
        spans: Sequence[Span],
        encoded: Sequence[bytes],
        service: str,
        keys: Sequence[Key | None],
        look: Look | None,
    ) -> list[Rendered | None]:
        """Give what is known of some spans, by their bytes or else by their words."""
        found = self._known.look_up(keys)
        if not all(found):
            self._look_at_words(encoded, service, keys, found)
        if look is not None:
            self._recurring.learn(look, spans, found)
        return found

    def _look_at_words(
        self,
        encoded: Sequence[bytes],
        service: str,
        keys: Sequence[Key | None],
        found: list[Rendered | None],
    ) -> None:
        """Find those whose words are at hand though their bytes are not known."""
        if self._resting:
            self._resting -= 1
            return
        unknown = [place for place, rendered in enumerate(found) if rendered is None]
        at_hand = self._renderer.at_hand([encoded[place] for place in unknown], service)
        for place, rendered in zip(unknown, at_hand, strict=True):
            if rendered is not None and self._annotator.standing(encoded[place]) is Standing.NONE:
                found[place] = rendered
                self._known.remember(keys[place], rendered)
        if at_hand.count(None) > len(unknown) * MANY_NOT_AT_HAND:
            self._resting = PIECES_RESTING

    def _read(
        self, span: Span, service: str, standing: Standing, is_late: Callable[[], bool]
    ) -> Work:
        encoded = span.encoded
        bare = encoded if standing is Standing.NONE else self._annotator.stripped(encoded)
        if is_late():
            span_ids(encoded)  # a request with a malformed span is refused, however late it is
            return Work(span, standing, bare)
        return Work(span, standing, bare, *self._renderer.render(bare, service))
