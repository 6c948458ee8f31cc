"""How all is: what the page's *Now* shows, in words and numbers."""

from dataclasses import dataclass

from otel_embedder.search.asking.answers import Info
from otel_embedder.search.asking.json_types import Measured, Second


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that is not as it should be.

    Attributes:
        what: in a sentence.
        effect: what it does to spans, or to whoever looks.
        remedy: what to do, in a sentence.
        line: what to type for it; empty where there is nothing.
        tone: how bad it is: error, slow or info.

    """

    what: str
    effect: str
    remedy: str
    line: str
    tone: str


@dataclass(frozen=True, slots=True)
class Moment:
    """What a sidecar did in some seconds.

    Attributes:
        spans: a second, passed on.
        refused: spans a second that were answered with an error.
        hits: the share of texts that were known already, from 0 to 1; None where there were none.
        stand_ins: spans that got one.
        queue: texts that wait for the model, at its end.
        memory: bytes that the process has, at its end.
        p50_ms: of how long texts waited for the model; None where none did.
        p95_ms: as p50.
        p99_ms: as p50.

    """

    spans: Measured
    refused: Measured
    hits: Measured | None
    stand_ins: int
    queue: int
    memory: int
    p50_ms: Measured | None
    p95_ms: Measured | None
    p99_ms: Measured | None


@dataclass(frozen=True, slots=True)
class Sidecar:
    """How a sidecar does.

    Attributes:
        listen: where it takes spans.
        next_hop: where it sends them.
        max_queue: texts that may wait.
        since: the begin of the first moment.
        step: seconds of each.
        moments: the last hour, the latest last.

    """

    listen: str
    next_hop: str
    max_queue: int
    since: Second
    step: int
    moments: tuple[Moment, ...]


@dataclass(frozen=True, slots=True)
class Status:
    """How all is.

    Attributes:
        version: of otel-embedder.
        started: when this process began.
        model: whose vectors are compared.
        text_version: of texts that are compared.
        url: of the catalogue.
        catalogue: what it holds.
        sidecar: how it does; None where the page is shown beside one.
        troubles: what is not as it should be, the worst first.

    """

    version: str
    started: Second
    model: str
    text_version: str
    url: str
    catalogue: Info
    sidecar: Sidecar | None
    troubles: tuple[Trouble, ...]


@dataclass(frozen=True, slots=True)
class Beat:
    """How all is in a second.

    Attributes:
        time: the second.
        texts: how many the catalogue has.
        changed: the number of its last change: where it is another, something is new.
        moment: what a sidecar did last.

    """

    time: Second
    texts: int
    changed: int
    moment: Moment | None
