"""Decompresses requests, never further than allowed.

gRPC would do it by itself, but without a bound: 64 MiB of gzip may hold 64 GiB,
and these would be in memory before anybody asked how large they are. So the
server is told to leave messages alone. What they are compressed with is then to
be seen from their first bytes only.

Spans are inflated step by step by whoever reads them. What gRPC itself reads, the
requests of small services such as health, is inflated on the way there.
"""

from __future__ import annotations

import zlib
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import grpc
import grpc.aio

from otel_embedder.errors import MalformedRequestError, RequestTooLargeError
from otel_embedder.fairness import joined

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from otel_embedder.fairness import SharedTurn

Request = TypeVar("Request")
Response = TypeVar("Response")

# No message begins like this: 0x1F would be a field of wire type 7, which protobuf has not.
GZIP = b"\x1f\x8b"
# What gRPC calls deflate is zlib's format (RFC 1950): 0x78, and both bytes a multiple of 31. That
# would be a field 15, which no request of OTLP has.
ZLIB = b"\x78"
ZLIB_MULTIPLE = 31

EITHER_FORMAT = zlib.MAX_WBITS | 32

# One step keeps others waiting for some milliseconds.
STEP_BYTES = 1024 * 1024
SLICE_BYTES = 256 * 1024

# The name of a service or of a file.
MAX_SMALL_BYTES = 64 * 1024


async def inflated(
    message: bytes, turn: SharedTurn, *, max_bytes: int, grow: Callable[[int], None]
) -> bytes:
    """Give a message decompressed, if it is compressed with gzip or deflate.

    Args:
        message: as it came.
        turn: of what inflates; it ends with each step.
        max_bytes: how many it may have at most.
        grow: is told of all bytes that are made, and may raise to end it.

    Raises:
        MalformedRequestError: it begins as if compressed, and is damaged.
        RequestTooLargeError: it would be larger than allowed.

    """
    if not is_compressed(message):
        return message
    steps: list[bytes] = []
    size = 0
    try:
        for step in _inflate(message):
            size += len(step)
            if size > max_bytes:
                # In the words of gRPC: whoever knows them splits the request and sends it again.
                raise RequestTooLargeError(
                    f"received message after decompression larger than max {max_bytes}"
                )
            grow(len(step))
            steps.append(step)
            await turn.let_others()
    except zlib.error as error:
        raise MalformedRequestError("the request is compressed, and damaged") from error
    return await joined(partial(b"".join, steps), size)


def is_compressed(message: bytes) -> bool:
    """Tell whether a message begins as gzip or deflate do, and so as no request does."""
    is_zlib = message.startswith(ZLIB) and int.from_bytes(message[:2]) % ZLIB_MULTIPLE == 0
    return is_zlib or message.startswith(GZIP)


def _inflate(message: bytes) -> Iterator[bytes]:
    inflater = zlib.decompressobj(EITHER_FORMAT)
    for start in range(0, len(message), SLICE_BYTES):
        if inflater.eof:
            raise zlib.error("something follows")
        rest = message[start : start + SLICE_BYTES]
        while rest and not inflater.eof:
            yield inflater.decompress(rest, STEP_BYTES)
            rest = inflater.unconsumed_tail
    yield from _last(inflater)


def _last(inflater: zlib._Decompress) -> Iterator[bytes]:
    """Give what was held back for lack of room."""
    while not inflater.eof:
        step = inflater.decompress(b"", STEP_BYTES)
        if not step:
            raise zlib.error("cut off")
        yield step
    if inflater.unused_data:
        raise zlib.error("something follows")


class SmallRequests(grpc.aio.ServerInterceptor):
    """Puts the inflation before whatever reads requests; what reads by itself is left alone."""

    async def intercept_service(
        self,
        continuation: Callable[
            [grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Request, Response] | None]
        ],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Request, Response] | None:
        """Give what answers the call, None where nothing does."""
        answering = await continuation(handler_call_details)
        if answering is None or answering.request_deserializer is None:
            return answering
        inflating = _inflating(answering.request_deserializer)
        # What gRPC makes of a method is a named tuple; the stubs don't tell.
        return answering._replace(request_deserializer=inflating)  # type: ignore[attr-defined,no-any-return]


def _inflating(read: Callable[[bytes], Request]) -> Callable[[bytes], Request]:
    return lambda message: read(_small_inflated(message))


def _small_inflated(message: bytes) -> bytes:
    """Give a message inflated, cut off behind the bound: then it is none, and gRPC says so."""
    if not message.startswith(GZIP):
        return message
    return zlib.decompressobj(EITHER_FORMAT).decompress(message, MAX_SMALL_BYTES)
