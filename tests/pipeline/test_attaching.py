"""What is attached to a span is what it gets alone, whatever else is in its request."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from otel_embedder.annotation.annotator import Annotator
from otel_embedder.annotation.standing import Origin, Standing
from otel_embedder.annotation.work import Work
from otel_embedder.embedder.embedding import Embedding
from otel_embedder.embedder.stand_in import stand_in
from otel_embedder.errors import BusyError
from otel_embedder.fairness import Turns
from otel_embedder.otlp.wire import Span, TraceRequest, parse_request
from otel_embedder.pipeline.attaching import VECTORS, Attaching, Encoded
from tests.support.fakes import DIMENSION, FAKE_MODEL
from tests.support.otlp_samples import request, span
from tests.support.wire import spans_of

if TYPE_CHECKING:
    from collections.abc import Sequence

ANNOTATOR = Annotator(
    Origin(FAKE_MODEL, "1"),
    encoding="bytes",
    prefix="embedding.",
    attach_text=False,
    max_remembered=8,
)
EMBEDDINGS = (
    None,
    stand_in("ab" * 16, DIMENSION),
    *(
        Embedding(np.full(DIMENSION, number, np.float32), FAKE_MODEL, "model")
        for number in range(2)
    ),
)
STANDINGS = (Standing.NONE, Standing.OUTDATED, Standing.STAND_IN)
Wish = tuple[Standing, int]
WISHES = st.tuples(st.sampled_from(STANDINGS), st.integers(0, len(EMBEDDINGS) - 1))
PLAIN = st.tuples(st.just(Standing.NONE), st.integers(1, len(EMBEDDINGS) - 1))


def attached(wishes: Sequence[Wish], *, room: float = math.inf) -> tuple[list[bytes], int]:
    """Give what goes behind each span, and how many went without for lack of memory."""
    parsed = parse_request(request(*(span() for _ in wishes)).SerializeToString())
    works = [
        Work(each, standing, each.encoded, f"text {number}")
        for each, (standing, number) in zip(spans_of(parsed), wishes, strict=True)
    ]

    def grow(more: int) -> None:
        nonlocal room
        if more > room:
            raise BusyError("full", retry_after=1)
        room -= more

    async def attach() -> Attaching:
        attaching = Attaching(parsed, Encoded(ANNOTATOR, grow), Turns().task())
        wanted = [EMBEDDINGS[number] for _, number in wishes]
        await attaching.attach(works, wanted, until=math.inf)
        return attaching

    bare = asyncio.run(attach()).bare["memory"]
    spans: list[Span] = spans_of(parsed)
    assert parsed.size == TraceRequest.of(parsed.resources, parsed.header).size
    return [each.added for each in spans], bare


@given(st.lists(WISHES, min_size=1, max_size=6), st.lists(PLAIN, max_size=2 * VECTORS))
def test_a_span_gets_in_company_what_it_gets_alone(odd: list[Wish], plain: list[Wish]) -> None:
    wishes = [*plain, *odd]

    alone = {wish: attached([wish])[0][0] for wish in wishes}
    assert attached(wishes) == ([alone[wish] for wish in wishes], 0)


@given(st.lists(PLAIN, min_size=1, max_size=2 * VECTORS), st.integers(0, 2_000))
def test_whatever_finds_no_memory_is_counted(wishes: list[Wish], room: int) -> None:
    added, bare = attached(wishes, room=room)

    assert added.count(b"") == bare
