"""Records spans as they pass, and gives a catalogue what it counts of them.

Of a span that passes 53 bytes are kept, and of a text that is new its row is made. All else is done
once an interval for all spans at once: see `trees` and `recording.counting`.

A span waits for an interval before it is counted, since its children may come after it; those that
came before are at hand until it has come.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from otel_embedder.otlp.layouts import SPAN, TRACE
from otel_embedder.otlp.spans import ERROR
from otel_embedder.search.entries import Embedded, RowKey
from otel_embedder.search.groups.failed import FailedTrace, Failure
from otel_embedder.search.recording.columns import (
    NO_SPANS,
    SPAN_BYTES,
    Recorded,
    recorded,
    span_ids,
)
from otel_embedder.search.recording.counting import Counting
from otel_embedder.search.recording.failures import Failures
from otel_embedder.search.recording.places import read_places
from otel_embedder.search.recording.trees import Spans, join, may_be_of
from otel_embedder.search.recording.vocabulary import Vocabulary
from otel_embedder.search.store import Batch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from otel_embedder.annotation.recurring import Recurring
    from otel_embedder.embedder.embedding import Embedding
    from otel_embedder.otlp.layouts import Numbers
    from otel_embedder.search.counts import Integers
    from otel_embedder.search.recording.failures import Failure as TracedFailure
    from otel_embedder.text.rendering import TextRenderer

# So many arrive before they are joined.
ARRIVING_SPANS = 4_096
ARRIVING_BYTES = 1_000  # of each, if it comes alone
VECTOR_BYTES = 1_700  # of 384 numbers, and what is around them
# For so many intervals a span that was counted waits for its parent.
KEPT_INTERVALS = 6
# Of spans that recur: an entry, and one of them.
RECURRING_BYTES = 1_000

STATUS_CODES = ERROR + 1  # UNSET, OK, ERROR


class EncodedSpans(Protocol):
    """Some encoded spans."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[bytes]: ...

    def __getitem__(self, place: int, /) -> bytes: ...


class Bounds(NamedTuple):
    """What a recorder may hold.

    Attributes:
        spans: of so many the trees are known; what is beyond that in an interval is counted
            without.
        bytes: about so many; what is beyond that is dropped.
        sayings: texts of services that are remembered from one interval to the next.
        errors: about so many bytes of ERROR spans, which are read when they are counted; of
            traces that fail beyond that it is not told why.

    """

    spans: int = 250_000
    bytes: int = 128 * 1024 * 1024
    sayings: int = 50_000
    errors: int = 16 * 1024 * 1024


class Recorder:
    """Takes spans, and gives batches for a store. Not for several threads at once."""

    def __init__(
        self,
        writer: str,
        renderer: TextRenderer,
        *,
        bounds: Bounds,
        number: int = 0,
        is_file: bool = False,
    ) -> None:
        """Begin with nothing.

        Args:
            writer: whose batches these are.
            renderer: makes texts where none are given, and rows.
            bounds: what it may hold.
            number: of the last batch of this writer.
            is_file: whether spans come from files: one without a time is counted when the one
                before it was, and not when it came.

        """
        self._writer = writer
        self._renderer = renderer
        self._bounds = bounds
        self._number = number
        self._is_file = is_file
        self._failures = Failures(max_bytes=bounds.errors)
        self._vocabulary = Vocabulary()
        # What spans say is told with their status, as one number: so one look gives both.
        self._recurring: dict[Recurring, int] = {}
        self._arriving: list[Numbers] = []
        self._arriving_said: list[Integers] = []
        self._arriving_spans = 0
        self._new: list[Recorded] = []
        self._new_spans = 0
        self._waiting = NO_SPANS
        self._kept: list[Recorded] = []
        self._last_start: int | None = None
        # By texts: of the spans that are new, and of those that wait.
        self._vectors: dict[str, Embedded] = {}
        self._waiting_vectors: dict[str, Embedded] = {}
        self._with_vector: set[int] = set()

    @property
    def arrived(self) -> int:
        """How many spans came in this interval."""
        return self._new_spans + self._arriving_spans

    @property
    def size(self) -> int:
        """About how many bytes it holds."""
        kept = sum(len(each.ids) for each in self._kept)
        return (
            SPAN_BYTES * (self._new_spans + len(self._waiting.ids) + kept)
            + ARRIVING_BYTES * self._arriving_spans
            + VECTOR_BYTES * (len(self._vectors) + len(self._waiting_vectors))
            + self._vocabulary.size
            + RECURRING_BYTES * len(self._recurring)
            + self._failures.size
        )

    def take(
        self,
        resource: bytes,
        spans: EncodedSpans,
        texts: Sequence[str | None],
        embeddings: Sequence[Embedding | None],
        *,
        now: int,
    ) -> int:
        """Record spans of a resource; give how many were dropped because it holds too much.

        Args:
            resource: the encoded Resource.
            spans: encoded, without attributes of ours.
            texts: of each; None where it was not rendered.
            embeddings: of each; None where there is none. Those of a model count.
            now: nanoseconds since 1970.

        Raises:
            google.protobuf.message.DecodeError: something is not what it should be; then none
                was recorded.

        """
        if self.size > self._bounds.bytes:
            return len(spans)
        service = self._renderer.service(resource)
        sayings = self._said(service, spans, texts)
        own, statuses = read_places(spans)
        for place in np.flatnonzero(statuses == ERROR).tolist():
            ids = span_ids(own[place, TRACE], own[place, SPAN])
            self._failures.note(ids, spans[place])
        said = np.array(sayings, np.int64) * STATUS_CODES + statuses
        self._arrive(own, said.tolist(), embeddings, now)
        return 0

    def take_recurring(
        self,
        recurring: Sequence[Recurring],
        own: Numbers,
        embeddings: Sequence[Embedding | None],
        *,
        now: int,
    ) -> int:
        """Record spans that recur; give how many were dropped because it holds too much.

        Args:
            recurring: what is known of each.
            own: what is each one's own, shape (n, `layouts.NUMBERS`).
            embeddings: of each; None where there is none. Those of a model count.
            now: nanoseconds since 1970.

        """
        if self.size > self._bounds.bytes:
            return len(recurring)
        try:
            said = [*map(self._recurring.__getitem__, recurring)]
        except KeyError:
            said = [*map(self._recurs, recurring)]
        self._arrive(own, said, embeddings, now)
        return 0

    def _recurs(self, each: Recurring) -> int:
        """Give the number of what spans say that recur, and of their status; it may be new."""
        if each not in self._recurring:
            if len(self._recurring) >= self._bounds.sayings:
                self._recurring.clear()
            [saying] = self._said(each.service, [each.encoded], [each.content])
            self._recurring[each] = saying * STATUS_CODES + each.status
        return self._recurring[each]

    def _arrive(
        self,
        own: Numbers,
        said: Sequence[int],
        embeddings: Sequence[Embedding | None],
        now: int,
    ) -> None:
        self._note_vectors(said, embeddings)
        self._arriving.append(own)
        # np.array takes half as long again for a list of some hundred numbers.
        self._arriving_said.append(np.fromiter(said, np.int64, len(said)))
        self._arriving_spans += len(said)
        if self._arriving_spans >= ARRIVING_SPANS:
            self._settle(now)

    def _said(self, service: str, spans: EncodedSpans, texts: Sequence[str | None]) -> list[int]:
        """Give the numbers of what spans of a service say."""
        known = self._vocabulary.sayings(service)
        try:
            return [*map(known.__getitem__, texts)]
        except KeyError:
            return [
                self._learned(service, span, text) for span, text in zip(spans, texts, strict=True)
            ]

    def _learned(self, service: str, span: bytes, text: str | None) -> int:
        """Give the number of what a span says, which may be new."""
        if text is None:
            text = self._renderer.render(span, service).content
        saying = self._vocabulary.sayings(service).get(text)
        if saying is None:
            row = self._renderer.row(span, service)
            key = RowKey(service, row.operation, row.kind, row.words)
            saying = self._vocabulary.add(text, key)
        return saying

    def _note_vectors(self, said: Sequence[int], embeddings: Sequence[Embedding | None]) -> None:
        if self._with_vector.issuperset(said):
            return
        for number, embedding in zip(said, embeddings, strict=True):
            if embedding is None or number in self._with_vector:
                continue
            if embedding.source == "model":
                self._with_vector.add(number)
                text = self._vocabulary.text(number // STATUS_CODES)
                self._vectors[text] = Embedded(embedding.model, embedding.vector)

    def _settle(self, now: int) -> None:
        """Make columns of what has arrived."""
        if not self._arriving_spans:
            return
        before = (self._last_start or now) if self._is_file else None
        sayings, statuses = np.divmod(np.concatenate(self._arriving_said), STATUS_CODES)
        own = np.concatenate(self._arriving)
        columns = recorded(own, statuses, sayings, now=now, before=before)
        self._arriving, self._arriving_said, self._arriving_spans = [], [], 0
        self._last_start = int(columns.starts[-1])
        self._new.append(columns)
        self._new_spans += len(columns.ids)

    def batch(self, now: int) -> Batch | None:
        """Begin a new interval; give what was counted of the spans that have waited for one.

        Args:
            now: nanoseconds since 1970.

        """
        new, beyond = self._arrived(now)
        waiting, self._waiting = self._waiting, new
        vectors = {**self._vectors, **self._waiting_vectors}
        self._waiting_vectors, self._vectors = self._vectors, {}
        return self._count(waiting, new, beyond, vectors)

    def flush(self, now: int) -> Batch | None:
        """Give what is counted of all spans, and wait for no others.

        Args:
            now: nanoseconds since 1970.

        """
        new, beyond = self._arrived(now)
        waiting, self._waiting = Recorded.joined([self._waiting, new]), NO_SPANS
        vectors = {**self._vectors, **self._waiting_vectors}
        self._waiting_vectors, self._vectors = {}, {}
        return self._count(waiting, NO_SPANS, beyond, vectors)

    def _arrived(self, now: int) -> tuple[Recorded, Recorded]:
        """Give the new spans: as many as will be put into trees, and the others."""
        self._settle(now)
        new = Recorded.joined(self._new)
        self._new, self._new_spans = [], 0
        self._with_vector.clear()
        most = self._bounds.spans // 2  # as many wait
        return new.at(slice(most)), new.at(slice(most, None))

    def _count(
        self, waiting: Recorded, new: Recorded, beyond: Recorded, vectors: dict[str, Embedded]
    ) -> Batch | None:
        """Count the spans that waited, and those beyond, the new ones being at hand."""
        # Most traces are over within an interval: those that only begin are put together once, and
        # those of which nothing came no more.
        near = self._take_near(waiting, new)
        counted = Recorded.joined([*near, waiting])
        new = new.at(may_be_of(new.traces, counted.traces))
        spans = Recorded.joined([counted, new])
        tied = self._tied(spans)
        trees = join(tied)
        which = np.zeros(len(spans.ids) + len(beyond.ids), bool)
        end = len(spans.ids) - len(new.ids)
        which[end - len(waiting.ids) : end] = True
        which[len(spans.ids) :] = True
        failures = self._failures.tell(
            spans, tied, trees, which[: len(spans.ids)], self._vocabulary
        )
        batch = None
        if which.any():
            spans, trees = Recorded.joined([spans, beyond]), trees.with_others(len(beyond.ids))
            counting = Counting(spans, trees, which, self._vocabulary)
            batch = self._counted(counting, vectors, failures)
        self._keep([*near, waiting], trees.parents[:end])
        self._forget_sayings()
        return batch

    def _tied(self, spans: Recorded) -> Spans:
        """Give the spans as they are put together into trees."""
        return Spans(
            spans.traces,
            spans.ids,
            spans.parents,
            spans.starts,
            spans.ends,
            self._vocabulary.columns().services.take(spans.sayings),
            spans.statuses == ERROR,
        )

    def _counted(
        self, counting: Counting, vectors: dict[str, Embedded], failures: Sequence[TracedFailure]
    ) -> Batch:
        self._number += 1
        return Batch(
            writer=self._writer,
            number=self._number,
            rows=counting.rows(),
            services=counting.services(),
            texts=[*counting.texts(vectors, self._renderer.text_version)],
            counts=counting.counts(),
            failures=[self._read_failure(each) for each in failures if any(each.trace_id)],
        )

    def _read_failure(self, failure: TracedFailure) -> FailedTrace:
        """Read why a trace failed: what the span says, or else the nearest error above it."""
        said = (self._renderer.error_words(encoded) for encoded in failure.errors)
        type_, words = next((each for each in said if any(each)), ("", ""))
        row = failure.row
        return FailedTrace(
            failure.trace_id,
            failure.span_id,
            failure.ended,
            Failure(row.service, row.operation, type_, words),
            failure.reached,
        )

    def _take_near(self, *others: Recorded) -> list[Recorded]:
        """Take those out of the kept spans, by interval, whose traces may be among others'."""
        kept, sizes = self._kept, [len(each.ids) for each in self._kept]
        if not any(sizes):
            return [*kept]
        traces = np.concatenate([each.traces for each in others])
        among = may_be_of(np.concatenate([each.traces for each in kept]), traces)
        are_near = np.split(among, np.cumsum(sizes)[:-1])
        self._kept = [each.at(~near) for each, near in zip(kept, are_near, strict=True)]
        return [each.at(near) for each, near in zip(kept, are_near, strict=True)]

    def _keep(self, counted: Sequence[Recorded], parents: Integers) -> None:
        """Keep of the spans that were counted those whose parent was not.

        Args:
            counted: by interval, each beside those kept of it, and at last the newest.
            parents: where each has its parent among the spans that were put together.

        """
        self._kept.append(NO_SPANS)
        begin = 0
        for place, spans in enumerate(counted):
            end = begin + len(spans.ids)
            above = parents[begin:end]
            alone = spans.at((spans.parents != 0) & ((above < 0) | (above >= len(parents))))
            self._kept[place] = Recorded.joined([self._kept[place], alone])
            begin = end
        self._kept = self._kept[-KEPT_INTERVALS:]
        while sum(len(each.ids) for each in self._kept) > self._bounds.spans:
            del self._kept[0]

    def _forget_sayings(self) -> None:
        """Forget what no span at hand says, if too much is remembered."""
        vocabulary, bounds = self._vocabulary, self._bounds
        if len(vocabulary) <= bounds.sayings and vocabulary.size <= bounds.bytes // 4:
            return
        held = [self._waiting, *self._kept]
        used = np.unique(np.concatenate([spans.sayings for spans in held]))
        self._vocabulary = vocabulary.only(used)
        self._recurring.clear()
        self._waiting, *self._kept = (
            spans._replace(sayings=np.searchsorted(used, spans.sayings).astype(np.int32))
            for spans in held
        )
