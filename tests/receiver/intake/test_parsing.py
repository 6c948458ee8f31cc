from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING

import pytest

from otel_embedder.errors import BusyError, RequestTooLargeError
from otel_embedder.fairness import Turns
from otel_embedder.otlp.wire import Span
from otel_embedder.receiver.intake.parsing import (
    FIELD_BYTES,
    MAX_FIELDS,
    MIN_MAX_SPANS,
    MIN_SPAN_BYTES,
    parsed,
)
from tests.support.otlp_samples import field, request, span
from tests.support.turns import others_beside

if TYPE_CHECKING:
    from otel_embedder.otlp.wire import TraceRequest

MANY = 1_000_000


class Account:
    """Keeps what it is told of; has room for so much."""

    def __init__(self, room: int = 10**12) -> None:
        self.bytes = 0
        self._room = room

    def grow(self, more: int) -> None:
        if self.bytes + more > self._room:
            raise BusyError("no room", retry_after=1)
        self.bytes += more


async def parse(encoded: bytes, account: Account) -> TraceRequest:
    async with Turns().task() as turn:
        return await parsed(encoded, turn, grow=account.grow)


def spans_of(size: int, count: int) -> bytes:
    """Encode a request of so many spans, each of so many bytes with what is in front of it."""
    return field(1, field(2, field(2, bytes(size - 2)) * count))


TINY = {
    "resources": field(1, b"") * MANY,
    "resources of an empty schema": field(1, field(3, b"")) * MANY,
    "scopes": field(1, field(2, b"") * MANY),
    "scopes of a resource each": field(1, field(2, b"")) * MANY,
    "spans": spans_of(2, MANY),
    "spans of a resource each": field(1, field(2, field(2, b""))) * MANY,
    "unknown fields of the request": b"\x28\0" * MANY,
    "unknown fields of a scope": field(1, field(2, b"\x28\0" * MANY)),
    "fields of an unknown group": b"\x2b" + b"\x28\0" * MANY + b"\x2c",
    "pieces of a resource": field(1, field(1, b"") * MANY),
}


@pytest.mark.parametrize("encoded", TINY.values(), ids=TINY)
async def test_what_is_of_no_size_is_counted_and_ended(encoded: bytes) -> None:
    account = Account()
    with pytest.raises(RequestTooLargeError, match="more than"):
        await parse(encoded, account)

    assert account.bytes >= MAX_FIELDS * FIELD_BYTES - len(encoded)


async def test_what_is_of_no_size_takes_room_from_the_first() -> None:
    encoded, account = spans_of(2, 1_000), Account()
    await parse(encoded, account)

    assert len(encoded) + account.bytes >= 1_000 * FIELD_BYTES


async def test_where_there_is_no_room_for_its_objects_a_request_is_refused() -> None:
    with pytest.raises(BusyError):
        await parse(spans_of(2, 100_000), Account(room=1_000_000))


async def test_spans_of_the_usual_size_take_no_more_than_their_bytes() -> None:
    encoded = request(*[span("one", {"a": "b" * 300})] * 500).SerializeToString()
    account = Account()

    assert (await parse(encoded, account)).spans == 500
    assert account.bytes == 0


async def test_spans_are_never_too_many_where_they_are_of_a_size() -> None:
    count = 2 * MIN_MAX_SPANS

    assert (await parse(spans_of(MIN_SPAN_BYTES, count), Account())).spans == count


async def test_others_have_their_turn_meanwhile() -> None:
    with others_beside() as others:
        await asyncio.sleep(0)
        before = others.turns
        async with Turns().task() as turn:
            encoded = field(1, field(2, field(2, b"")) * 40_000)
            await parsed(encoded, turn, grow=Account().grow)

    assert others.turns > before


async def test_others_have_their_turn_between_the_copies_of_a_large_resource() -> None:
    with others_beside() as others:
        await asyncio.sleep(0)
        before = others.turns
        async with Turns(seconds=0).task() as turn:
            await parsed(field(1, field(1, bytes(2))), turn, grow=Account().grow)

    assert others.turns >= before + 2


async def test_of_a_refused_request_nothing_is_left_while_the_error_is_at_hand() -> None:
    before = spans_in_memory()
    with pytest.raises(RequestTooLargeError) as refused:
        await parse(TINY["spans"], Account())

    assert refused.tb is not None
    assert spans_in_memory() == before


def spans_in_memory() -> int:
    return sum(isinstance(each, Span) for each in gc.get_objects())


async def test_others_have_their_turn_while_a_refused_request_is_let_go_of() -> None:
    refused_at: list[int] = []

    def refuse(_: int) -> None:
        refused_at.append(others.turns)
        raise BusyError("no room", retry_after=1)

    with others_beside() as others:
        async with Turns(seconds=0).task() as turn:
            with pytest.raises(BusyError):
                await parsed(spans_of(2, MANY), turn, grow=refuse)

    assert others.turns >= refused_at[0] + 10
