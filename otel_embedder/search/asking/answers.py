"""What a catalogue answers, as plain values: for a table, a line of JSON, a page."""

from dataclasses import dataclass
from typing import Self

from otel_embedder.search.asking.json_types import Likeness, Measured, Second, Time


@dataclass(frozen=True, slots=True)
class FoundExample:
    """A span that has a text.

    Attributes:
        trace_id: in hex.
        span_id: in hex.
        time: when it started, in nanoseconds since 1970.
        milliseconds: how long it took; None if that is unknown.
        link: where the trace can be looked at; empty where no `trace_link` is set.

    """

    trace_id: str
    span_id: str
    time: Time
    milliseconds: Measured | None
    link: str


@dataclass(frozen=True, slots=True)
class Hit:
    """A text that was found.

    Attributes:
        score: what it is ranked by; see `ranking`.
        cosine: how near it is to what was asked for; 1 is the same.
        text: the text.
        text_id: what its spans share as `embedding.text_id`.
        service: of its spans.
        operation: of its spans, without secrets and ids.
        kind: of its spans; empty where they have none.
        status: UNSET, OK or ERROR.
        spans: how many had it, as far as the time that was asked for was counted.
        trend: how many had it in each step of that time.
        first_seen: the start of its first span, in nanoseconds since 1970.
        last_seen: that of its last.
        milliseconds: how long its spans took: the geometric mean, in that time; None if unknown.
        examples: some of its spans, the latest first; those like a span, the most alike first.

    """

    score: Likeness
    cosine: Likeness
    text: str
    text_id: str
    service: str
    operation: str
    kind: str
    status: str
    spans: int
    trend: tuple[int, ...]
    first_seen: Time
    last_seen: Time
    milliseconds: Measured | None
    examples: tuple[FoundExample, ...]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Texts that pass the filters, and yet were not compared.

    Attributes:
        waiting: have no vector yet.
        other_model: have another model's.
        other_text_version: are of another text version.

    """

    waiting: int = 0
    other_model: int = 0
    other_text_version: int = 0

    @property
    def total(self) -> int:
        """How many they are."""
        return self.waiting + self.other_model + self.other_text_version


@dataclass(frozen=True, slots=True)
class Answer:
    """What was found.

    Attributes:
        asked: the text that was compared with: the question, or what is looked for the like of.
        model: whose vectors were compared.
        text_version: of the texts that were compared.
        is_understood: whether the model knows a word of it; if not, only words were compared.
        hits: the best first.
        compared: how many texts passed the filters and were compared.
        left_out: those that passed, and were not.
        since: the begin of the time of trends, in seconds since 1970.
        step: how many seconds each number of a trend stands for.

    """

    asked: str
    model: str
    text_version: str
    is_understood: bool
    hits: tuple[Hit, ...]
    compared: int
    left_out: LeftOut
    since: Second
    step: int


@dataclass(frozen=True, slots=True)
class ServiceInfo:
    """What a catalogue holds of a service.

    Attributes:
        service: its name.
        operations: how many it has, as they are counted.
        texts: how many it has.
        failing: how many of these are of status ERROR.
        first_seen: nanoseconds since 1970.
        last_seen: nanoseconds since 1970.

    """

    service: str
    operations: int
    texts: int
    failing: int
    first_seen: Time
    last_seen: Time


@dataclass(frozen=True, slots=True)
class Info:
    """What a catalogue holds.

    Attributes:
        texts: how many.
        waiting: how many of them have no vector yet.
        bytes: what it takes where it is kept.
        models: how many texts have a vector of each.
        text_versions: how many texts are of each.
        services: by name.

    """

    texts: int
    waiting: int
    bytes: int
    models: dict[str, int]
    text_versions: dict[str, int]
    services: tuple[ServiceInfo, ...]


@dataclass(frozen=True, slots=True)
class Entries:
    """Some of the texts of a catalogue.

    Attributes:
        hits: those that came last first; scores and cosines are 0.
        next: `before` of those that follow; None if these are the last.

    """

    hits: tuple[Hit, ...]
    next: int | None


@dataclass(frozen=True, slots=True)
class Facet:
    """A value that a filter may have.

    Attributes:
        value: the value.
        texts: how many would be left with it.

    """

    value: str
    texts: int


@dataclass(frozen=True, slots=True)
class Facets:
    """What filters would leave, the most first; each field's are counted without its own filter.

    Attributes:
        texts: how many pass all filters.
        service: by service.
        operation: by operation.
        kind: by kind.
        status: by status.

    """

    texts: int
    service: tuple[Facet, ...]
    operation: tuple[Facet, ...]
    kind: tuple[Facet, ...]
    status: tuple[Facet, ...]


@dataclass(frozen=True, slots=True)
class Points:
    """Texts as points in a plane; but for the first three and last four, a value for each text.

    Attributes:
        axes: another number than before: all points have moved.
        changed: the number of the last change that is in it: what comes later is asked for by it.
        total: how many texts there are, those for which `count` left no room included.
        key: of the text; what it says is asked for by it.
        x: where it is.
        y: where it is.
        service: its place in `services`.
        operation: its place in `operations`.
        kind: its place in `kinds`.
        status: its place in `statuses`.
        first_seen: seconds since 1970.
        last_seen: seconds since 1970.
        services: the names.
        operations: the names.
        kinds: the names.
        statuses: the names.

    """

    axes: int
    changed: int
    total: int
    key: tuple[int, ...]
    x: tuple[Likeness, ...]
    y: tuple[Likeness, ...]
    service: tuple[int, ...]
    operation: tuple[int, ...]
    kind: tuple[int, ...]
    status: tuple[int, ...]
    first_seen: tuple[int, ...]
    last_seen: tuple[int, ...]
    services: tuple[str, ...]
    operations: tuple[str, ...]
    kinds: tuple[str, ...]
    statuses: tuple[str, ...]

    @classmethod
    def none(cls, axes: int, changed: int) -> Self:
        """Give no points."""
        return cls(axes, changed, 0, *((),) * 13)


@dataclass(frozen=True, slots=True)
class Curve:
    """Counts by time.

    Attributes:
        since: the begin of the first step.
        step: seconds of each.
        spans: in each step.
        errors: of these, those that failed and have no child that failed.

    """

    since: Second
    step: int
    spans: tuple[Measured, ...]
    errors: tuple[Measured, ...]


@dataclass(frozen=True, slots=True)
class TextVector:
    """A text's vector.

    Attributes:
        vector: of length 1.
        source: "model", or "fallback" for a stand-in, which means nothing.

    """

    vector: tuple[float, ...]
    source: str


@dataclass(frozen=True, slots=True)
class TextVectors:
    """Vectors of texts.

    Attributes:
        model: the name of the model that made them.
        embeddings: one a text, in order.

    """

    model: str
    embeddings: tuple[TextVector, ...]


@dataclass(frozen=True, slots=True)
class Pulse:
    """Whether anything is new.

    Attributes:
        texts: how many there are.
        changed: the number of the last change: it grows.

    """

    texts: int
    changed: int
