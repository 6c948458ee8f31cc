"""How an RPC is taken in and how it ends: for all services of this room."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol, TypeVar

import grpc
import grpc.aio
from google.protobuf.message import DecodeError, Message

from otel_embedder.errors import (
    BusyError,
    EmbeddingError,
    IncompleteRequestError,
    MalformedRequestError,
    OtelEmbedderError,
    QueryError,
    RequestTooLargeError,
    StoreError,
    SurplusRequestError,
    UnknownEntryError,
    UnknownGroupError,
)
from otel_embedder.otlp.call import UNTRACED
from otel_embedder.otlp.words import fit
from otel_embedder.telemetry.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextlib import AbstractAsyncContextManager

    from otel_embedder.otlp.call import Trace, Traces

    Context = grpc.aio.ServicerContext[bytes, bytes]
    Handler = grpc.RpcMethodHandler[bytes, bytes]

Request = TypeVar("Request", bound=Message)

RPC_FAILED = "rpc.failed"
MAX_DETAILS = 1_024  # of bytes: gRPC's clients refuse a call for headers over 8 KiB

# The first that fits.
CODES: tuple[tuple[type[OtelEmbedderError], grpc.StatusCode], ...] = (
    (QueryError, grpc.StatusCode.INVALID_ARGUMENT),
    (MalformedRequestError, grpc.StatusCode.INVALID_ARGUMENT),
    (SurplusRequestError, grpc.StatusCode.INVALID_ARGUMENT),
    (UnknownEntryError, grpc.StatusCode.NOT_FOUND),
    (UnknownGroupError, grpc.StatusCode.NOT_FOUND),
    (RequestTooLargeError, grpc.StatusCode.RESOURCE_EXHAUSTED),
    (BusyError, grpc.StatusCode.UNAVAILABLE),
    (IncompleteRequestError, grpc.StatusCode.UNAVAILABLE),
    (StoreError, grpc.StatusCode.UNAVAILABLE),
    (EmbeddingError, grpc.StatusCode.UNAVAILABLE),
)

log = get_logger()


class Arrived(Protocol):
    """A message that has arrived."""

    @property
    def encoded(self) -> bytes:
        """Its bytes, inflated."""
        ...


class Intake(Protocol):
    """Takes messages in, within bounds of its own."""

    def received(self, context: Context) -> AbstractAsyncContextManager[Arrived]:
        """Give a call's message, which is in flight until the end, or raise why not."""
        ...


class Rpcs:
    """Makes handlers of functions."""

    def __init__(self, intake: Intake, *, max_bytes: int, traces: Traces) -> None:
        """Prepare for calls.

        Args:
            intake: takes messages in.
            max_bytes: a message may have so many.
            traces: tells of each call.

        """
        self._intake = intake
        self._max_bytes = max_bytes
        self._traces = traces

    def handler(
        self, method: str, request: type[Request], answer: Callable[[Request], Awaitable[Message]]
    ) -> Handler:
        """Give the handler of a method.

        To gRPC it is one for streams, which leaves the reading to the intake.

        Args:
            method: what is called, as /SERVICE/METHOD.
            request: what comes.
            answer: gives what goes back, or raises.

        """

        async def answer_to(context: Context, trace: Trace) -> bytes:
            async with self._intake.received(context) as message:
                asked = self._parsed(request, message.encoded)
                with trace.stage("answer"):
                    return (await answer(asked)).SerializeToString()

        async def answered(_: object, context: Context) -> bytes:
            trace: Trace = UNTRACED
            try:
                trace = self._traces.begin(method, tuple(context.invocation_metadata() or ()))
                encoded = await answer_to(context, trace)
            except asyncio.CancelledError:
                trace.ended(grpc.StatusCode.CANCELLED.value[0])
                raise
            except OtelEmbedderError as error:
                code = next((code for kind, code in CODES if isinstance(error, kind)), _ANY)
                details = str(error)
            except Exception as error:
                log.exception(RPC_FAILED, exc_info=error)
                code, details = grpc.StatusCode.INTERNAL, "a fault of ours; the log tells of it"
            else:
                trace.ended(grpc.StatusCode.OK.value[0])
                return encoded
            trace.ended(code.value[0])
            # Not while the error is at hand, as in `receiver.calls`.
            return await context.abort(code, fit(details, MAX_DETAILS))

        return grpc.stream_unary_rpc_method_handler(answered)

    def _parsed(self, kind: type[Request], encoded: bytes) -> Request:
        if len(encoded) > self._max_bytes:
            raise RequestTooLargeError(f"a question may have {self._max_bytes} bytes at most")
        try:
            return kind.FromString(encoded)
        except DecodeError as error:
            raise MalformedRequestError(f"the message is no {kind.DESCRIPTOR.full_name}") from error


_ANY = grpc.StatusCode.UNKNOWN
