from __future__ import annotations

import asyncio
import gzip
import random
import tracemalloc
import zlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_embedder.errors import BusyError, MalformedRequestError, RequestTooLargeError
from otel_embedder.fairness import Turns
from otel_embedder.receiver.intake.inflate import SLICE_BYTES, STEP_BYTES, inflated
from tests.support.turns import others_beside

if TYPE_CHECKING:
    from collections.abc import Callable

MEBIBYTE = 1024 * 1024
FORMATS: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "deflate": zlib.compress}


def noise(size: int) -> bytes:
    return random.Random(size).randbytes(size)


def ignore(_: int) -> None:
    pass


async def unpacked(message: bytes, *, max_bytes: int, grow: Callable[[int], None]) -> bytes:
    async with Turns().task() as turn:
        return await inflated(message, turn, max_bytes=max_bytes, grow=grow)


@pytest.mark.parametrize("compress", FORMATS.values(), ids=FORMATS)
@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\n",
        noise(SLICE_BYTES - 20),
        noise(3 * SLICE_BYTES),
        bytes(STEP_BYTES),
        bytes(3 * STEP_BYTES),
        noise(SLICE_BYTES) + bytes(3 * STEP_BYTES) + noise(10),
    ],
    ids=lambda message: str(len(message)),
)
async def test_what_was_compressed_comes_out(
    message: bytes, compress: Callable[[bytes], bytes]
) -> None:
    grown: list[int] = []

    assert await unpacked(compress(message), max_bytes=len(message), grow=grown.append) == message
    assert sum(grown) == len(message)


@given(message=st.binary().filter(lambda message: message[:1] not in {b"\x1f", b"\x78"}))
def test_whatever_is_not_compressed_stays_as_it_is(message: bytes) -> None:
    assert asyncio.run(unpacked(message, max_bytes=0, grow=ignore)) is message


WHOLE = gzip.compress(noise(1000))
DAMAGED = {
    "nothing but the magic": b"\x1f\x8b",
    "cut off": WHOLE[:-1],
    "cut off within the data": WHOLE[:500],
    "wrong checksum": WHOLE[:-8] + b"\0\0\0\0" + WHOLE[-4:],
    "something behind it": WHOLE + b"\n",
    "something behind it in another slice": WHOLE + bytes(SLICE_BYTES),
    "a second member": WHOLE + WHOLE,
    "deflate, cut off": zlib.compress(noise(1000))[:-1],
    "deflate, damaged": bytes.fromhex("789ce39216121112b264628000474628838be1801d2300176801"),
}


@pytest.mark.parametrize("message", DAMAGED.values(), ids=DAMAGED)
async def test_what_is_damaged_is_malformed(message: bytes) -> None:
    with pytest.raises(MalformedRequestError, match="compressed, and damaged"):
        await unpacked(message, max_bytes=MEBIBYTE, grow=ignore)


async def test_a_slice_that_ends_where_the_data_end_hides_nothing_behind_it() -> None:
    message = next(
        packed
        for size in range(SLICE_BYTES - 200, SLICE_BYTES)
        if len(packed := gzip.compress(noise(size), 0)) == SLICE_BYTES
    )
    with pytest.raises(MalformedRequestError):
        await unpacked(message + b"more", max_bytes=MEBIBYTE, grow=ignore)


@pytest.mark.parametrize("compress", FORMATS.values(), ids=FORMATS)
async def test_a_bomb_goes_off_no_further_than_the_limit(
    compress: Callable[[bytes], bytes],
) -> None:
    bomb = compress(bytes(200 * MEBIBYTE))
    tracemalloc.start()
    try:
        with pytest.raises(RequestTooLargeError, match=f"larger than max {8 * MEBIBYTE}"):
            await unpacked(bomb, max_bytes=8 * MEBIBYTE, grow=ignore)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 12 * MEBIBYTE


async def test_whoever_has_no_room_may_end_it() -> None:
    def refuse(_: int) -> None:
        raise BusyError("no room", retry_after=1)

    with pytest.raises(BusyError):
        await unpacked(WHOLE, max_bytes=MEBIBYTE, grow=refuse)


async def test_others_have_their_turn_meanwhile() -> None:
    packed = gzip.compress(bytes(50 * STEP_BYTES))
    with others_beside() as others:
        await unpacked(packed, max_bytes=64 * STEP_BYTES, grow=ignore)

    assert others.turns >= 50
