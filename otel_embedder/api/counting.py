"""Counts questions, whichever way they come."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from otel_embedder.errors import (
    BusyError,
    GroupError,
    MalformedRequestError,
    QueryError,
    UnknownEntryError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

ANSWERED, REFUSED, BUSY, FAILED = "answered", "refused", "busy", "failed"


class QuestionMetrics(Protocol):
    """What is told of questions."""

    def asked(self, face: str, outcome: str) -> None:
        """Count a question."""
        ...

    def answered(self, face: str, *, seconds: float) -> None:
        """Record how long an answer took."""
        ...


@contextmanager
def counted(metrics: QuestionMetrics, face: str) -> Iterator[None]:
    """Count a question by how its answering ends, and time it.

    Args:
        metrics: gets told.
        face: by which way it came.

    """
    started, outcome = time.perf_counter(), FAILED
    try:
        yield
    except BusyError:
        outcome = BUSY
        raise
    except (GroupError, MalformedRequestError, QueryError, UnknownEntryError):
        outcome = REFUSED
        raise
    else:
        outcome = ANSWERED
        metrics.answered(face, seconds=time.perf_counter() - started)
    finally:
        metrics.asked(face, outcome)
