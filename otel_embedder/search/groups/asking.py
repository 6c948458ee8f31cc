"""The groups of a catalogue, asked: which failures there are, and which of them are new."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from otel_embedder.search.asking.answers import FoundExample
from otel_embedder.search.asking.trends import Span
from otel_embedder.search.groups.found import (
    FoundGroup,
    FreshGroup,
    FreshGroups,
    GroupsAnswer,
    RelatedGroup,
)
from otel_embedder.search.groups.kept import FOR_EVER, counting_as
from otel_embedder.search.groups.seeing import both
from otel_embedder.search.groups.states import QUIET_AFTER, URGENCY, came_again_at, state_of
from otel_embedder.search.groups.templates import ANYTHING
from otel_embedder.search.times import nanoseconds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from otel_embedder.embedder.bulk import TextEmbedder
    from otel_embedder.embedder.embedding import Vector
    from otel_embedder.search.asking.queries import GroupsQuery, State
    from otel_embedder.search.groups.kept import KeptGroup, Member, Seen
    from otel_embedder.search.links import TraceLink
    from otel_embedder.search.ranking import Integers
    from otel_embedder.search.store import Store

EXAMPLES = 3
RELATED = 5
MOST_FRESH = 50
FRESH: tuple[State, ...] = ("new", "regressed")
# To embed more of them would keep whoever asks waiting.
MOST_COMPARED = 500


class _Whole(NamedTuple):
    """A group with those that were merged into it."""

    head: KeptGroup
    parts: list[KeptGroup]
    seen: Seen
    state: State

    @property
    def numbers(self) -> list[int]:
        """The numbers that it has in counts."""
        return [part.number for part in self.parts]


class Groups:
    """What a catalogue knows of failures. Safe to use from several threads."""

    def __init__(
        self,
        store: Store,
        *,
        link: TraceLink,
        quiet_after: int = QUIET_AFTER,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Prepare to answer; nothing is read yet.

        Args:
            store: what keeps the catalogue.
            link: makes the links of examples.
            quiet_after: nanoseconds; what comes again after it was silent for so long is regressed.
            clock: tells the time.

        """
        self._store = store
        self._link = link
        self._quiet_after = quiet_after
        self._clock = clock
        self._vectors: Mapping[str, Vector | None] = {}

    def find(self, query: GroupsQuery) -> GroupsAnswer:
        """Give the groups that are asked for.

        Raises:
            StoreError: the catalogue can't be read.

        """
        now = self._clock()
        since, until = query.times(now)
        wanted = [each for each in self._all(now) if _passes(each, query, since, until)]
        span = self._span(wanted, since, until, now)
        trends = self._trends(wanted, span)
        found = [(each, trends[each.head.number]) for each in wanted]
        found.sort(key=lambda each: _order(*each))
        return GroupsAnswer(
            tuple(self._found(*each, span) for each in found[: query.count]),
            total=len(found),
            since=span.since,
            step=span.step,
        )

    def fresh(self) -> FreshGroups:
        """Give the groups that are new, or have come again, without what was counted of them.

        Raises:
            StoreError: the catalogue can't be read.

        """
        every = [self._fresh(each) for each in self._all(self._clock()) if each.state in FRESH]
        every.sort(key=lambda each: -each.since)
        return FreshGroups(len(every), tuple(every[:MOST_FRESH]))

    def _fresh(self, group: _Whole) -> FreshGroup:
        again = came_again_at(group.seen, group.head.decision, quiet_after=self._quiet_after)
        known = group.head.group
        since = group.seen.first if again is None else again
        return FreshGroup(known.id, known.title, group.state, known.key.service, since)

    def show(self, name: str, embedder: TextEmbedder | None = None) -> FoundGroup:
        """Give a group, over all the time that is kept.

        Args:
            name: its id, or the beginning of it; of one that was merged into another, that one.
            embedder: finds those that read alike; None: they are not looked for.

        Raises:
            UnknownGroupError: none is named so.
            EmbeddingError: the model is not there, or failed.
            StoreError: the catalogue can't be read.

        """
        now = self._clock()
        group, every = self._named(name, now)
        span = self._span([group], None, None, now)
        found = self._found(group, self._trends([group], span)[group.head.number], span)
        if embedder is None:
            return found
        related = tuple(self._related(group, every, embedder))
        return replace(found, related=related)

    def members(self, name: str, *, most: int) -> list[FoundExample]:
        """Give the latest traces of a group, the latest first.

        Raises:
            UnknownGroupError: none is named so.
            StoreError: the catalogue can't be read.

        """
        group, _ = self._named(name, self._clock())
        members = self._store.groups.members(group.numbers, most=most)
        return [*map(self._example, members)]

    def _named(self, name: str, now: datetime) -> tuple[_Whole, list[_Whole]]:
        number = self._store.groups.find(name).number
        every = self._all(now)
        found = next((each for each in every if number in each.numbers), None)
        # Where it went meanwhile, `find` says so.
        return (found, every) if found is not None else self._named(name, now)

    def _all(self, now: datetime) -> list[_Whole]:
        """Give all groups, each with what was merged into it."""
        kept = self._store.groups.all()
        by_id = {each.group.id: each for each in kept}
        parts: defaultdict[str, list[KeptGroup]] = defaultdict(list)
        for each in kept:
            parts[counting_as(each, by_id).group.id].append(each)
        at = nanoseconds(now)
        return [self._whole(by_id[id_], of_one, at) for id_, of_one in parts.items()]

    def _whole(self, head: KeptGroup, parts: list[KeptGroup], now: int) -> _Whole:
        seen = head.seen
        for part in parts:
            seen = both(seen, part.seen)
        state = state_of(seen, head.decision, now=now, quiet_after=self._quiet_after)
        return _Whole(head, parts, seen, state)

    def _span(
        self, groups: Sequence[_Whole], since: int | None, until: int | None, now: datetime
    ) -> Span:
        """Give the time of trends: what is asked for, else all in which these were seen."""
        first = min((each.seen.first for each in groups), default=0)
        last = max((each.seen.last for each in groups), default=0)
        return Span.asked(since, until, seen=(first, last), now=nanoseconds(now))

    def _trends(self, groups: Iterable[_Whole], span: Span) -> dict[int, Integers]:
        """Give how many traces failed in each step, by the numbers of the heads."""
        places = {part: group.head.number for group in groups for part in group.numbers}
        trends = {head: np.zeros(span.steps, np.int64) for head in places.values()}
        for bucket in span.buckets(self._store):
            table = bucket.counts.table("groups")
            step = span.place(bucket.start)
            keys, values = table.keys[:, 0].tolist(), table.values[:, 0].tolist()
            for number, traces in zip(keys, values, strict=True):
                if number in places:
                    trends[places[number]][step] += traces
        return trends

    def _found(self, group: _Whole, trend: Integers, span: Span) -> FoundGroup:
        head, seen, decision = group.head, group.seen, group.head.decision
        is_muted = group.state == "muted" and decision.until != FOR_EVER
        members = self._store.groups.members(group.numbers, most=EXAMPLES)
        return FoundGroup(
            id=head.group.id,
            title=head.group.title,
            state=group.state,
            service=head.group.key.service,
            type=head.group.key.type,
            count=int(trend.sum()),
            trend=tuple(trend.tolist()),
            since=span.since,
            step=span.step,
            growth=_growth(trend),
            first_seen=seen.first,
            last_seen=seen.last,
            came_again=came_again_at(seen, decision, quiet_after=self._quiet_after),
            reached=seen.services,
            operations=seen.operations,
            examples=tuple(map(self._example, members)),
            note=decision.note,
            muted_until=decision.until if is_muted else None,
            merged=tuple(part.group.id for part in group.parts if part is not head),
        )

    def _example(self, member: Member) -> FoundExample:
        trace_id, span_id = member.trace_id.hex(), member.span_id.hex()
        return FoundExample(trace_id, span_id, member.ended, None, self._link(trace_id, span_id))

    def _related(
        self, group: _Whole, every: Iterable[_Whole], embedder: TextEmbedder
    ) -> list[RelatedGroup]:
        """Give the groups whose words are nearest: these tell of the same kind of fault."""
        others = sorted(
            (each for each in every if each is not group), key=lambda each: -each.seen.last
        )[:MOST_COMPARED]
        vectors = self._embedded({_words(each) for each in (group, *others)}, embedder)
        vector = vectors[_words(group)]
        if vector is None:
            return []
        related = [
            RelatedGroup(
                other.head.group.id,
                other.head.group.title,
                other.head.group.key.service,
                float(vector @ near),
            )
            for other in others
            if (near := vectors[_words(other)]) is not None
        ]
        return sorted(related, key=lambda each: -each.cosine)[:RELATED]

    def _embedded(self, texts: set[str], embedder: TextEmbedder) -> Mapping[str, Vector | None]:
        """Give the vectors of texts; None for one of no word that the model knows."""
        before = self._vectors  # another thread may put others in their place
        known = {text: before[text] for text in texts & before.keys()}
        new = sorted(texts - known.keys())
        embeddings = embedder.embed(new) if new else []
        for text, embedding in zip(new, embeddings, strict=True):
            known[text] = embedding.vector if embedding.source == "model" else None
        self._vectors = known
        return known


def _passes(group: _Whole, query: GroupsQuery, since: int | None, until: int | None) -> bool:
    return (
        (not query.state or group.state in query.state)
        and query.takes((group.head.group.key.service, *group.seen.services))
        and (since is None or group.seen.last >= since)
        and (until is None or group.seen.first <= until)
    )


def _order(group: _Whole, trend: Integers) -> tuple[float, ...]:
    return (
        URGENCY[group.state],
        -_growth(trend),
        -int(trend.sum()),
        -group.seen.last,
        group.head.number,
    )


def _growth(trend: Integers) -> float:
    half = len(trend) // 2
    if not half:
        return 1.0
    before, after = int(trend[:half].sum()), int(trend[half:].sum())
    return (after + 1) / (before + 1)


def _words(group: _Whole) -> str:
    said = [word for word in group.head.group.template if word != ANYTHING]
    return " ".join(said) or group.head.group.title
