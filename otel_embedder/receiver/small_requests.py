"""Inflates the requests of small services, such as health, within a bound.

The server leaves messages as they come, for the receiver inflates spans by
itself. What gRPC reads for other services it would hand over compressed.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, TypeVar

import grpc
import grpc.aio

from otel_embedder.receiver.inflate import GZIP

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


Request = TypeVar("Request")
Response = TypeVar("Response")

# The name of a service or of a file.
MAX_BYTES = 64 * 1024


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
    return lambda message: read(_inflated(message))


def _inflated(message: bytes) -> bytes:
    """Give a message inflated, cut off behind the bound: then it is none, and gRPC says so."""
    if not message.startswith(GZIP):
        return message
    return zlib.decompressobj(wbits=zlib.MAX_WBITS | 16).decompress(message, MAX_BYTES)
