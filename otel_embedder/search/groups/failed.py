"""A trace that failed, as whoever puts it into a group gets to know of it."""

from __future__ import annotations

from typing import NamedTuple


class Failure(NamedTuple):
    """Why a trace failed, where it did.

    Attributes:
        service: of the span at which it failed.
        operation: of that span, without secrets and ids.
        type: the exception's, empty if there is none.
        words: what was said of it, without secrets and ids; perhaps empty.

    """

    service: str
    operation: str
    type: str
    words: str


class FailedTrace(NamedTuple):
    """A trace that failed, as far as its spans were at hand.

    Attributes:
        trace_id: as in OTLP.
        span_id: of the span at which it failed.
        ended: when that span ended, in nanoseconds since 1970.
        failure: why.
        reached: the services that have a span of status ERROR in it, sorted.

    """

    trace_id: bytes
    span_id: bytes
    ended: int
    failure: Failure
    reached: tuple[str, ...]
