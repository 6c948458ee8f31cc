"""What has changed, as plain values: for a table, a line of JSON, a page."""

from dataclasses import dataclass

from otel_embedder.search.asking.answers import FoundExample
from otel_embedder.search.asking.json_types import Measured, Second
from otel_embedder.search.changes.finding import Test


@dataclass(frozen=True, slots=True)
class Operation:
    """A row: what is counted together.

    Attributes:
        service: its name.
        operation: without secrets and ids.
        kind: SERVER, CLIENT, ...; empty where its spans have none.
        calls: the other service that it called most often; empty if it called none.

    """

    service: str
    operation: str
    kind: str
    calls: str


@dataclass(frozen=True, slots=True)
class Reason:
    """What one test says.

    Attributes:
        test: median and p95 of self time, fails, new, or ends (where a caller's last call goes).
        before: milliseconds, or a share; in the baseline.
        after: the same in the window.
        z: how surely it is another, in standard deviations or so.
        said: the same in words.

    """

    test: Test
    before: Measured
    after: Measured
    z: Measured
    said: str


@dataclass(frozen=True, slots=True)
class Alike:
    """A text of another operation that reads like what happens here.

    Attributes:
        cosine: how near it is.
        service: of its spans.
        operation: of its spans.
        text: the text.
        text_id: its id, by which the like of it can be asked for.

    """

    cosine: Measured
    service: str
    operation: str
    text: str
    text_id: str


@dataclass(frozen=True, slots=True)
class Change:
    """An operation that has changed.

    Attributes:
        operation: which.
        score: what it is ranked by.
        is_certain: whether it stands above the line.
        spans_before: how many it has in the baseline.
        spans_after: how many in the window.
        reasons: what it rests on, the weightiest first.
        text: how its spans read in the window; empty if no text is left of them.
        examples_before: some of its spans before the window, the latest first.
        examples_after: some in the window, those that show it best first.
        reads_like: texts of other operations that read like it, the nearest first.
        group: the id of the group that its failures in the window are of, of several the one that
            is most beyond what was usual; empty if there is none.

    """

    operation: Operation
    score: Measured
    is_certain: bool
    spans_before: int
    spans_after: int
    reasons: tuple[Reason, ...]
    text: str
    examples_before: tuple[FoundExample, ...]
    examples_after: tuple[FoundExample, ...]
    reads_like: tuple[Alike, ...]
    group: str


@dataclass(frozen=True, slots=True)
class Shifted:
    """An operation that is listed beside: it may be why, or what follows.

    Attributes:
        operation: which.
        before: milliseconds of the median, if it is faster; else spans a trace.
        after: the same in the window.
        z: how surely it is another.

    """

    operation: Operation
    before: Measured
    after: Measured
    z: Measured


@dataclass(frozen=True, slots=True)
class Visible:
    """How large a change would have had to be, where traffic is greatest, to be told as certain.

    Attributes:
        operation: the one with the most spans.
        spans: how many it has in the window.
        failing: the share that would have had to fail.

    """

    operation: Operation
    spans: int
    failing: Measured


@dataclass(frozen=True, slots=True)
class Period:
    """Some time, and what was counted in it.

    Attributes:
        since: seconds since 1970; of all that was counted, where counts are by hours or days.
        until: the same.
        spans: how many.
        finest: how many seconds its longest bucket has.

    """

    since: Second
    until: Second
    spans: int
    finest: int


@dataclass(frozen=True, slots=True)
class Changes:
    """What is different in a window.

    Attributes:
        window: what was looked at.
        baseline: what it was compared with.
        certain: the operations above the line, the likeliest cause first.
        uncertain: the likeliest of those below it.
        faster: those whose median is less.
        gone: those that are not there any more.
        more: those that are more frequent.
        fewer: those that are less frequent.
        visible: how large a change would have had to be; None where nothing can be told.

    """

    window: Period
    baseline: Period
    certain: tuple[Change, ...]
    uncertain: tuple[Change, ...]
    faster: tuple[Shifted, ...]
    gone: tuple[Shifted, ...]
    more: tuple[Shifted, ...]
    fewer: tuple[Shifted, ...]
    visible: Visible | None
