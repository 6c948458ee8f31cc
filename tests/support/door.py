"""The door's parts, as tests have them: with bounds that nobody meets by accident."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_embedder.fairness import Turns
from otel_embedder.otlp.call import NoTraces
from otel_embedder.receiver.admission import Admission
from otel_embedder.receiver.calls import Calls
from otel_embedder.receiver.closing import Closing
from otel_embedder.receiver.intake.headers import Headers
from otel_embedder.receiver.intake.hops import Hops
from otel_embedder.receiver.intake.messages import Messages

if TYPE_CHECKING:
    from collections.abc import Collection

    from tests.support.fakes import FakeMetrics

ASSUMED_DEADLINE = 10.0


def new_calls(metrics: FakeMetrics, *, withheld: Collection[str] = ()) -> Calls:
    """Give what makes calls, of a sidecar of its own."""
    headers = Headers(withheld=withheld)
    return Calls(
        Hops(), headers, assumed_deadline=ASSUMED_DEADLINE, metrics=metrics, traces=NoTraces()
    )


def new_messages(
    metrics: FakeMetrics,
    *,
    max_bytes: int,
    max_requests: int = 100,
    max_inflight_bytes: int = 100_000_000,
    closing: Closing | None = None,
) -> Messages:
    """Give what reads messages of up to so many bytes."""
    admission = Admission(max_requests=max_requests, max_bytes=max_inflight_bytes, metrics=metrics)
    return Messages(admission, closing or Closing(), turns=Turns(), max_bytes=max_bytes)
