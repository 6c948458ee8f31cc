"""Spans that recur, told by hundreds at once: by their bytes, but for what is in no text.

That is their ids and times, and values like a thread's or a port's. It is a short way to what
`known_spans` finds, and finds what is each span's own as well, which a catalogue counts. What was
found there is learned here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import compress, repeat
from operator import attrgetter
from typing import TYPE_CHECKING, Protocol

import numpy as np

from otel_embedder.annotation.known_spans import MAX_SPAN_BYTES
from otel_embedder.annotation.looking import Looking
from otel_embedder.otlp.layouts import ENDED, STARTED, Cuts, Layouts
from otel_embedder.otlp.remembered import Bounded
from otel_embedder.otlp.spans import status_code
from otel_embedder.otlp.volatile import VolatileValues

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from otel_embedder.annotation.known_spans import Rendered
    from otel_embedder.annotation.work import Work
    from otel_embedder.otlp.layouts import Numbers
    from otel_embedder.otlp.wire import Span, TraceRequest

    Flags = npt.NDArray[np.bool_]
    # The name of its service, by what form and version it was cut, its bytes but for what is its
    # own.
    Key = tuple[str, int, int, bytes]

# Of fewer spans it takes longer to begin than to look each up by itself; or than to read what is
# each one's own as well, where somebody wants to know.
MANY, MANY_SIGHTED = 128, 48
# So many take a millisecond or two.
MOST = 512
MOST_NANOSECONDS = 2**64 - 1

ENCODED = attrgetter("encoded")


class Texts(Protocol):
    """Tells what texts say nothing of."""

    @property
    def silent_below(self) -> float:
        """Nanoseconds; of a span that took less a text says nothing of that."""
        ...

    def leaves_out(self, attribute: bytes, /) -> bool:
        """Tell whether a text has nothing of an encoded attribute, whatever its value.

        That is as long as the value has no others in it. It is no where the key is new.
        """
        ...


@dataclass(slots=True, eq=False)
class Recurring:
    """What is known of spans that recur.

    Attributes:
        content: their text.
        status: UNSET or OK, for of ERROR spans none is known.
        service: the name of their service.
        encoded: one of them.

    """

    content: str
    status: int
    service: str
    encoded: bytes


class RecurringSpans:
    """Knows spans that recur, as far as they say nothing of how long they took."""

    def __init__(self, texts: Texts) -> None:
        """Begin with none.

        Args:
            texts: tells what texts say nothing of.

        """
        self._silent_below = np.uint64(max(0, min(texts.silent_below, MOST_NANOSECONDS)))
        self._layouts = Layouts(VolatileValues(texts.leaves_out))
        self._known: Bounded[Key | None, Recurring] = Bounded(_size)
        self._looking = Looking()
        self._hits = 0

    def hits(self) -> int:
        """Give how many spans were known."""
        return self._hits

    def memory(self) -> int:
        """Give what they take in memory, in bytes."""
        return self._known.memory() + self._layouts.memory()

    def look_up(
        self, spans: Sequence[Span], services: Sequence[str], *, are_sighted: bool = False
    ) -> Look | None:
        """Look for some spans, MOST at most; None where that is not worth it.

        Args:
            spans: as they came.
            services: the name of the service of each.
            are_sighted: whether somebody wants to know what is each one's own.

        """
        many = MANY_SIGHTED if are_sighted else MANY
        if len(spans) < many or not self._silent_below or self._looking.rests(len(spans)):
            return None
        encoded = [*map(ENCODED, spans)]
        if max(map(len, encoded)) > MAX_SPAN_BYTES:
            encoded = [each if len(each) <= MAX_SPAN_BYTES else b"" for each in encoded]
        cuts = self._layouts.cut(encoded)
        versions = repeat(cuts.taken.version, len(spans))
        keys: list[Key | None] = [*zip(services, cuts.forms, versions, cuts.rests, strict=True)]
        for place in np.flatnonzero(~self._are_silent(cuts.own)).tolist():
            keys[place] = None
        look = Look(spans, services, cuts, keys, [*map(self._known.get, keys)])
        self._hits += len(look.seen)
        self._looking.note(len(spans), len(look.seen))
        return look

    def learn(self, look: Look, spans: Sequence[Span], found: Sequence[Rendered | None]) -> None:
        """Know what some spans say of which nothing was known, but those that won't come again.

        Args:
            look: for these and others.
            spans: some of the others of that.
            found: what is known of each, None where it is nothing.

        """
        for span, rendered in zip(spans, found, strict=True):
            if rendered is None:
                continue
            (content, is_error), place, encoded = rendered, look.place(span), span.encoded
            key = None if is_error else look.keys[place]
            if key is not None and self._layouts.is_right(look.cuts, place, encoded):
                known = Recurring(content, status_code(encoded), key[0], encoded)
                self._known.remember(key, known)

    def _are_silent(self, own: Numbers) -> Flags:
        """Tell of which spans it is certain that their texts don't say how long they took."""
        started, ended = own[:, STARTED], own[:, ENDED]
        are_silent: Flags = (ended <= started) | (ended - started < self._silent_below)
        return are_silent


class Look:
    """What was found of some spans.

    Attributes:
        seen: those of which something is known.
        recurring: what that is, of each.
        own: what is each one's own of these, shape (n, `layouts.NUMBERS`).
        others: the others.
        services: the names of their services.
        cuts: of all.
        keys: of all; None where nothing is to be known.

    """

    def __init__(
        self,
        spans: Sequence[Span],
        services: Sequence[str],
        cuts: Cuts,
        keys: Sequence[Key | None],
        found: Sequence[Recurring | None],
    ) -> None:
        """Part them by what was found of each."""
        self.seen, self.own, self.cuts, self.keys = spans, cuts.own, cuts, keys
        self.recurring = [*filter(None, found)]
        self.others: Sequence[Span] = ()
        self.services: Sequence[str] = ()
        self._places: dict[int, int] = {}
        if len(self.recurring) < len(spans):
            self._part(spans, services, [each is not None for each in found])

    def _part(
        self, spans: Sequence[Span], services: Sequence[str], are_seen: Sequence[bool]
    ) -> None:
        self._places = {id(span): place for place, span in enumerate(spans)}
        self.seen, self.own = [*compress(spans, are_seen)], self.own[np.array(are_seen)]
        are_others = [not is_seen for is_seen in are_seen]
        self.others = [*compress(spans, are_others)]
        self.services = [*compress(services, are_others)]

    def place(self, span: Span) -> int:
        """Give the place of one of several spans of which not all were seen."""
        return self._places[id(span)]


@dataclass(slots=True)
class Sightings:
    """Spans of a request that recur.

    Attributes:
        works: what there is to do with each.
        recurring: what is known of each.
        own: what is each one's own, in pieces of shape (n, `layouts.NUMBERS`).

    """

    works: list[Work] = field(default_factory=list)
    recurring: list[Recurring] = field(default_factory=list)
    own: list[Numbers] = field(default_factory=list)

    def are_all_of(self, request: TraceRequest) -> bool:
        """Tell whether all spans of their request recur."""
        return len(self.recurring) == request.spans

    def add(self, works: Sequence[Work], look: Look) -> None:
        """Add those that were seen, each with what there is to do with it."""
        self.works += works
        self.recurring += look.recurring
        self.own.append(look.own)


def _size(key: Key | None) -> int:
    return 2 * len(key[-1]) if key else 0  # with the one that is kept of them
