"""What a catalogue knows: texts with their examples, and rows, which are what is counted.

Times are nanoseconds since 1970, as OTLP has them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from otel_embedder.embedder.embedding import Vector

LAST_EXAMPLES = 3


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
        by_time = sorted(set(examples), key=_by_time)
        slowest = max(by_time, key=lambda each: (each.duration or 0, _by_time(each)))
        return cls(by_time[0], tuple(reversed(by_time[-LAST_EXAMPLES:])), slowest)

    def with_(self, other: Examples) -> Examples:
        """Choose from both."""
        return Examples.of(*self.all(), *other.all())

    def all(self) -> tuple[Example, ...]:
        """Give each of them, the first first, some perhaps twice."""
        return (self.first, *self.last, self.slowest)


def _by_time(example: Example) -> tuple[int, bytes, bytes]:
    return example.time, example.trace_id, example.span_id


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
        key: a number that the catalogue gave it, above 0.
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
