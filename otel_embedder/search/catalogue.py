"""A catalogue, asked: what the command line prints, and other faces show, comes from here.

A question is compared with every text, exactly: no index is there that could
miss one. What it takes is held in memory, and follows the store.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from otel_embedder.annotation.standing import Origin
from otel_embedder.search.asking.answers import Answer, Entries, Pulse, TextVector, TextVectors
from otel_embedder.search.asking.browsing import MapQuery
from otel_embedder.search.asking.curve import curve
from otel_embedder.search.asking.facets import facets
from otel_embedder.search.asking.held import Held
from otel_embedder.search.asking.hits import Hits, likenesses
from otel_embedder.search.asking.information import information
from otel_embedder.search.asking.plane import Plane
from otel_embedder.search.asking.targets import Targets
from otel_embedder.search.asking.trends import Span
from otel_embedder.search.changes.comparing import of_one_store
from otel_embedder.search.changes.failing import groups_by_place
from otel_embedder.search.changes.telling import Telling
from otel_embedder.search.changes.texts import Texts
from otel_embedder.search.groups.asking import Groups
from otel_embedder.search.groups.states import QUIET_AFTER
from otel_embedder.search.matrix import run_of
from otel_embedder.search.ranking import DURATION_WEIGHT, WORDS_WEIGHT, Ranked, decades
from otel_embedder.search.times import nanoseconds

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_embedder.embedder.bulk import TextEmbedder
    from otel_embedder.embedder.embedding import Vector
    from otel_embedder.search.asking.answers import Curve, Facets, Info, Points
    from otel_embedder.search.asking.browsing import (
        CurveQuery,
        EmbedQuery,
        EntriesQuery,
        FacetsQuery,
    )
    from otel_embedder.search.asking.deciding import Decision
    from otel_embedder.search.asking.held import Passing, Seen
    from otel_embedder.search.asking.queries import (
        ChangesQuery,
        Filters,
        GroupsQuery,
        LikeQuery,
        Narrowing,
        SearchQuery,
    )
    from otel_embedder.search.asking.targets import Target
    from otel_embedder.search.changes.answers import Changes
    from otel_embedder.search.groups.found import FoundGroup, FreshGroups, GroupsAnswer
    from otel_embedder.search.links import TraceLink
    from otel_embedder.search.ranking import Floats, Integers
    from otel_embedder.search.store import Store


# How long a text's spans took is looked up for so many, the nearest by their cosine. Others could
# come before them only by a duration that is much more alike, though they read less so.
MOST_TIMED = 2_000
# More than any score.
OWN = 10.0


class Asked(NamedTuple):
    """What a question came to.

    Attributes:
        text: what is compared with.
        is_understood: whether the model knows a word of it.
        duration: how long what it is like took, as `decades` has it; NaN if that says nothing.

    """

    text: str
    is_understood: bool = True
    duration: float = math.nan


class Catalogue:
    """What was seen, asked in words or by example. Safe to use from several threads."""

    def __init__(  # noqa: PLR0913 - collaborators
        self,
        store: Store,
        embedder: TextEmbedder,
        *,
        model: str,
        text_version: str,
        link: TraceLink,
        quiet_after: int = QUIET_AFTER,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Prepare to answer; nothing is read before the first question.

        Args:
            store: what keeps it.
            embedder: embeds questions.
            model: the name of its model: vectors of others are not compared.
            text_version: texts of other versions are not compared either.
            link: makes the links of examples.
            quiet_after: nanoseconds; a failure that comes again after it was silent for so long is
                told as regressed.
            clock: tells the time.

        """
        self._store = store
        self._embedder = embedder
        self._origin = Origin(model, text_version)
        self._link = link
        self._clock = clock
        self._held = Held(store, model=model, text_version=text_version)
        self._targets = Targets(store, self._origin)
        self._hits = Hits(store, self._held, self._targets, link)
        self._groups = Groups(store, link=link, quiet_after=quiet_after, clock=clock)
        self._plane = Plane()
        self._lock = Lock()  # numbers are multiplied by one at a time: memory is what they wait for

    @property
    def model(self) -> str:
        """The name of the model whose vectors are compared."""
        return self._origin.model

    @property
    def text_version(self) -> str:
        """Of the texts that are compared."""
        return self._origin.text_version

    def warm(self) -> None:
        """Read what questions need, so that the first of them need not wait for it.

        Raises:
            StoreError: the catalogue can't be read.

        """
        self.points(MapQuery(count=1))

    def search(self, query: SearchQuery) -> Answer:
        """Give the texts that answer a question in words.

        Raises:
            EmbeddingError: the model is not there, or failed.
            StoreError: the catalogue can't be read.

        """
        [embedding] = self._embedder.embed([query.question])
        asked = Asked(query.question, is_understood=embedding.source == "model")
        with self._lock:
            passing = self._passing(query)
            scores = self._held.words.shares(query.question)[run_of(passing.positions)]
            scores *= np.float32(WORDS_WEIGHT)
            cosines = np.zeros(len(scores), np.float32)
            if asked.is_understood:
                cosines = self._held.cosines(embedding.vector, passing.positions)
            scores += cosines
            error = self._held.error(embedding.vector) if asked.is_understood else 0.0
            keys = self._held.keys(passing.positions)
            seen = self._held.seen()
        vector = embedding.vector if asked.is_understood else None
        best = self._best(query, vector, Ranked(keys, scores, cosines), error)
        return self._answer(query, asked, best, passing, seen)

    def like(self, query: LikeQuery, target: Target | None = None) -> Answer:
        """Give the texts that are like a span, a text of the catalogue, or any text; its own first.

        Args:
            query: what is asked.
            target: what it names, if that is known already.

        Raises:
            UnknownEntryError: the catalogue has nothing of this id.
            EmbeddingError: the model is not there, or failed.
            StoreError: the catalogue can't be read.

        """
        target = target or self._targets.find(query.like)
        asked = Asked(target.text, duration=decades(target.milliseconds))
        vector = target.vector
        if vector is None:
            [embedding] = self._embedder.embed([target.text])
            vector, understood = embedding.vector, embedding.source == "model"
            asked = asked._replace(is_understood=understood)
        with self._lock:
            passing = self._passing(query)
            cosines = self._held.cosines(vector, passing.positions)
            error = self._held.error(vector)
            keys = self._held.keys(passing.positions)
            seen = self._held.seen()
        nearest = Ranked(keys, cosines, cosines)
        if not math.isnan(asked.duration):
            nearest = nearest.near(MOST_TIMED, threshold=_threshold(query), error=error)
            nearest = nearest._replace(scores=nearest.cosines + self._likeness(nearest.keys, asked))
        # What is asked for goes before all that is as near.
        first = nearest._replace(scores=nearest.scores + OWN * (nearest.keys == target.key))
        best = self._best(query, vector, first, error)
        best = best._replace(scores=best.scores - OWN * (best.keys == target.key))
        return self._answer(query, asked, best, passing, seen)

    def _best(
        self, query: SearchQuery | LikeQuery, vector: Vector | None, ranked: Ranked, error: float
    ) -> Ranked:
        """Give the best of texts, by how near they are to a vector exactly, if there is one."""
        threshold = _threshold(query)
        near = ranked.near(query.count, threshold=threshold, error=error)
        if vector is not None:
            exact = self._held.exact(vector, near.keys, near.cosines)
            near = near._replace(scores=near.scores + (exact - near.cosines), cosines=exact)
        return near.best(query.count, threshold=threshold)

    def _likeness(self, keys: Integers, asked: Asked) -> Floats:
        """Give what it counts that spans of texts took as long, at best."""
        entries = {entry.key: entry for entry in self._store.entries(keys.tolist())}
        likeness = [
            max(likenesses(entries[key].examples.all(), asked.duration)) if key in entries else 0.0
            for key in keys.tolist()
        ]
        return DURATION_WEIGHT * np.array(likeness)

    def groups(self, query: GroupsQuery) -> GroupsAnswer:
        """Tell which failures there are: new and regressed ones first.

        Raises:
            StoreError: the catalogue can't be read.

        """
        return self._groups.find(query)

    def fresh(self) -> FreshGroups:
        """Tell which failures are new, or have come again, and no more of them.

        Raises:
            StoreError: the catalogue can't be read.

        """
        return self._groups.fresh()

    def group(self, name: str) -> FoundGroup:
        """Give a group of failures, with those that read alike.

        Args:
            name: its id, or the beginning of it.

        Raises:
            UnknownGroupError: none is named so.
            EmbeddingError: the model is not there, or failed.
            StoreError: the catalogue can't be read.

        """
        return self._groups.show(name, self._embedder)

    def decide(self, name: str, decision: Decision) -> FoundGroup:
        """Decide about a group of failures, and give what it is then.

        Args:
            name: its id, or the beginning of it.
            decision: what is decided.

        Raises:
            GroupError: none is named so, or it can't become that.
            QueryError: a time is over.
            StoreError: the catalogue can't be written.

        """
        decision.apply(self._store.groups, name, self._clock())
        return self._groups.show(name)

    def changes(self, query: ChangesQuery) -> Changes:
        """Tell what is different in a window, the likeliest cause first.

        Raises:
            StoreError: the catalogue can't be read.

        """
        compared = of_one_store(self._store, *query.times(self._clock()))
        found = compared.find()
        groups = groups_by_place(self._store.groups.all(), compared)
        with self._lock:
            self._held.refresh()
            texts = Texts(self._store, self._held, self._link, text_id=self._targets.remember)
            telling = Telling(compared, before=texts, after=texts, groups=groups)
            return telling.tell(found, most=query.count)

    def entries(self, query: EntriesQuery) -> Entries:
        """Give texts one after the other, those that came last first.

        Raises:
            StoreError: the catalogue can't be read.

        """
        with self._lock:
            self._held.refresh()
            since, until = query.times(self._clock())
            keys = self._held.keys(np.flatnonzero(self._held.matching(query, since, until)))
            seen = self._held.seen()
        if query.key:
            keys = keys[np.isin(keys, query.key)]
        if query.before is not None:
            keys = keys[keys < query.before]
        given = keys[: -query.count - 1 : -1]
        nothing = np.zeros(len(given), np.float32)
        span = self._span(query, seen)
        hits = self._hits.of(Ranked(given, nothing, nothing), span, seen)
        return Entries(tuple(hits), int(given[-1]) if len(given) < len(keys) else None)

    def facets(self, query: FacetsQuery) -> Facets:
        """Tell what filters would leave.

        Raises:
            StoreError: the catalogue can't be read.

        """
        with self._lock:
            self._held.refresh()
            return facets(self._held, query, *query.times(self._clock()))

    def points(self, query: MapQuery) -> Points:
        """Give texts as points in a plane.

        Raises:
            StoreError: the catalogue can't be read.

        """
        with self._lock:
            positions = self._passing(query).positions
            if query.after is not None:
                positions = self._held.newer(positions, query.after)
            return self._plane.points(self._held, positions, query)

    def curve(self, query: CurveQuery) -> Curve:
        """Give counts by time.

        Raises:
            StoreError: the catalogue can't be read.

        """
        return curve(self._store, query, self._clock())

    def embed(self, query: EmbedQuery) -> TextVectors:
        """Embed texts as questions are.

        Raises:
            EmbeddingError: the model is not there, or failed.

        """
        embeddings = self._embedder.embed(query.texts)
        # A float32 by its own few digits, which make it again.
        return TextVectors(
            self.model,
            tuple(
                TextVector(tuple(float(str(each)) for each in made.vector), made.source)
                for made in embeddings
            ),
        )

    def pulse(self) -> Pulse:
        """Tell whether anything is new.

        Raises:
            StoreError: the catalogue can't be read.

        """
        with self._lock:
            self._held.refresh()
            return Pulse(len(self._held), self._held.changed)

    def info(self) -> Info:
        """Tell what the catalogue holds.

        Raises:
            StoreError: it can't be read.

        """
        with self._lock:
            self._held.refresh()
            return information(self._held.columns(), self._held.rows, size=self._store.size())

    def _passing(self, query: Narrowing) -> Passing:
        self._held.refresh()
        return self._held.passing(query, *query.times(self._clock()))

    def _answer(
        self, query: Filters, asked: Asked, best: Ranked, passing: Passing, seen: Seen
    ) -> Answer:
        span = self._span(query, seen)
        return Answer(
            asked=asked.text,
            model=self._origin.model,
            text_version=self._origin.text_version,
            is_understood=asked.is_understood,
            hits=tuple(self._hits.of(best, span, seen, duration=asked.duration)),
            compared=len(passing.positions),
            left_out=passing.left_out,
            since=span.since,
            step=span.step,
        )

    def _span(self, query: Narrowing, seen: Seen) -> Span:
        """Give the time that is asked for, in steps."""
        now = self._clock()
        seen_in = (seen.first, seen.last)
        return Span.asked(*query.times(now), seen=seen_in, now=nanoseconds(now))


def _threshold(query: Filters) -> float:
    return -math.inf if query.threshold is None else query.threshold
