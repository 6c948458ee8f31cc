"""What a catalogue knows: texts with their examples, and rows, which are what is counted.

Times are nanoseconds since 1970, as OTLP has them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple, Self

if TYPE_CHECKING:
    from otel_embedder.embedder.embedding import Vector

LAST_EXAMPLES = 3
LATEST = 2**63 - 1  # nanoseconds; in the year 2262


class RowKey(NamedTuple):
    """What is counted together: an operation as it is rendered, however it went and took.

    Attributes:
        service: the service's name.
        operation: the span's name, without secrets and ids.
        kind: SERVER, CLIENT, ...; empty where the span has none.
        words: what its text says of operation, kind and attributes: not of duration, status and
            error.

    """

    service: str
    operation: str
    kind: str
    words: str


class Example(NamedTuple):
    """A span that has a text.

    Attributes:
        trace_id: 16 bytes, where OTLP was kept to.
        span_id: 8 bytes, where OTLP was kept to.
        time: when it started.
        duration: nanoseconds; None where its times don't tell.

    """

    trace_id: bytes
    span_id: bytes
    time: int
    duration: int | None


class Examples(NamedTuple):
    """Some spans that have a text.

    Attributes:
        first: the earliest.
        last: the latest three, the latest first.
        slowest: the one that took longest.

    """

    first: Example
    last: tuple[Example, ...]
    slowest: Example

    @classmethod
    def of(cls, *examples: Example) -> Examples:
        """Choose from some; in whatever order they come, and however often, it is the same."""
        by_time = sorted({_bounded(example) for example in examples}, key=_by_time)
        slowest = max(by_time, key=lambda each: (each.duration or 0, _by_time(each)))
        return cls(by_time[0], tuple(reversed(by_time[-LAST_EXAMPLES:])), slowest)

    def with_(self, other: Examples) -> Examples:
        """Choose from both."""
        return Examples.of(*self.all(), *other.all())

    def all(self) -> tuple[Example, ...]:
        """Give each of them, the first first, some perhaps twice."""
        return (self.first, *self.last, self.slowest)


def _bounded(example: Example) -> Example:
    """Give it with times that fit into 63 bits: OTLP's have 64, and a broken clock uses them."""
    if example.time <= LATEST and (example.duration or 0) <= LATEST:
        return example
    duration = None if example.duration is None else min(example.duration, LATEST)
    return example._replace(time=min(example.time, LATEST), duration=duration)


def _by_time(example: Example) -> tuple[int, bytes, bytes, int]:
    duration = -1 if example.duration is None else example.duration
    return example.time, example.trace_id, example.span_id, duration


@dataclass(frozen=True, slots=True, eq=False)
class Embedded:
    """A text's vector, as a model made it: a stand-in is never one.

    Attributes:
        model: the name of the model that made it.
        vector: shape (dimension,), float32, unit length.

    """

    model: str
    vector: Vector


@dataclass(frozen=True, slots=True)
class SeenText:
    """A text as a writer has seen it.

    Attributes:
        words: the text; what a catalogue knows it by, for a vector is of words and a model alone.
        text_version: of the renderer that made it.
        row: the row of the spans that have it: its position among the rows of the same batch.
        status: UNSET, OK or ERROR.
        examples: of its spans; they tell when it was seen first and last.
        embedded: its vector, None if there is none yet.

    """

    words: str
    text_version: str
    row: int
    status: str
    examples: Examples
    embedded: Embedded | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """A text as a catalogue keeps it.

    Attributes:
        key: a number that the catalogue gave it, above 0 and above all that it gave before.
        changed: grows with each change of the catalogue; the number of this entry's last one.
        words: the text.
        text_version: of the renderer that made it last, or that it was brought over to.
        brought_from: the text version that it had before it was brought over; empty if it was not.
        row: the key of its row.
        status: UNSET, OK or ERROR.
        examples: of its spans; they tell when it was seen first and last.
        model: the name of the model that made its vector; empty if there is none yet.

    """

    key: int
    changed: int
    words: str
    text_version: str
    brought_from: str
    row: int
    status: str
    examples: Examples
    model: str

    @property
    def first_seen(self) -> int:
        """When its earliest span started."""
        return self.examples.first.time

    @property
    def last_seen(self) -> int:
        """When its latest span started."""
        return self.examples.last[0].time

    @property
    def slowest(self) -> int:
        """How long its slowest span took, in nanoseconds; -1 if no span's is known."""
        duration = self.examples.slowest.duration
        return -1 if duration is None else duration

    @classmethod
    def of(cls, text: SeenText, *, key: int, row: int) -> Self:
        """Give a text's entry as it is when it is seen for the first time, without its vector."""
        return cls(
            key=key,
            changed=0,
            words=text.words,
            text_version=text.text_version,
            brought_from="",
            row=row,
            status=text.status,
            examples=text.examples,
            model="",
        )

    def seen_again(self, text: SeenText, *, row: int) -> Entry:
        """Give it as it is after a text of the same words, whose row this is, was seen."""
        examples = self.examples.with_(text.examples)
        if text.examples.last[0].time < self.last_seen:
            return replace(self, examples=examples)
        version = text.text_version
        brought_from = self.brought_from if version == self.text_version else ""
        return replace(
            self,
            text_version=version,
            brought_from=brought_from,
            row=row,
            status=text.status,
            examples=examples,
        )

    def brought_to(self, text_version: str) -> Entry:
        """Give it as it is once its words stand for those of another text version."""
        if text_version == self.text_version:
            return self
        rendered_by = self.brought_from or self.text_version
        brought_from = "" if rendered_by == text_version else rendered_by
        return replace(self, text_version=text_version, brought_from=brought_from)
