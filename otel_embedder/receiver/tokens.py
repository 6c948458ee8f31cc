"""Who may send: whoever knows a token.

A call without one ends before its message is read. It ends with UNAVAILABLE, as
one does whose client certificate is wrong: to UNAUTHENTICATED a Collector drops
its spans, and a token that was renewed on one side only would lose them. So
they stay in its queue, and the reason is in its log, until the tokens agree.
"""

from __future__ import annotations

import asyncio
import hmac
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, NoReturn, Protocol, TypeVar

import grpc
import grpc.aio

from otel_embedder.credentials.checks import read_tokens
from otel_embedder.credentials.renewed import RenewedFiles
from otel_embedder.errors import CredentialsError, UnauthenticatedError
from otel_embedder.otlp.status import refusal
from otel_embedder.telemetry.logs import get_logger
from otel_embedder.telemetry.sparing import Sparing

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path

    from otel_embedder.otlp.call import Metadata

Request = TypeVar("Request")
Response = TypeVar("Response")

HEADER = "authorization"
SCHEME = "bearer"

TOKENS_RENEWED = "tokens.renewed"
TOKENS_NOT_RENEWED = "tokens.not_renewed"
CALL_REFUSED = "authentication.refused"

# So long a token that was withdrawn may go on being good.
LOOK_SECONDS = 1.0

log = get_logger()


@dataclass(frozen=True, slots=True)
class Access:
    """Who may call: whoever brings a good token, or anybody.

    Attributes:
        tokens: gives those that are good, or raises CredentialsError; None if none is asked for.

    """

    tokens: Callable[[], Tokens] | None = field(repr=False)

    def withheld(self) -> frozenset[str]:
        """Give the headers that are meant for this sidecar alone: a token that is asked for."""
        return frozenset({HEADER} if self.tokens else ())

    def checks(self, *, open_services: Sequence[str]) -> tuple[TokenCheck, ...]:
        """Give what refuses those who may not call.

        Args:
            open_services: what anybody may call all the same.

        Raises:
            CredentialsError: the tokens can't be read.

        """
        return (TokenCheck(self.tokens(), open_services=open_services),) if self.tokens else ()


class Tokens(Protocol):
    """The tokens that are good."""

    async def include(self, token: bytes) -> bool:
        """Tell whether a token is among them."""
        ...


class FixedTokens:
    """Tokens that stay as they are."""

    def __init__(self, tokens: Sequence[bytes]) -> None:
        self._tokens = tokens

    async def include(self, token: bytes) -> bool:
        """Tell whether a token is among them."""
        return is_among(token, self._tokens)


class TokenFile:
    """Tokens of a file, one a line; when it changes, those that are there now."""

    def __init__(self, file: Path, *, look_seconds: float = LOOK_SECONDS) -> None:
        """Read it.

        Args:
            file: the file.
            look_seconds: so long a token that was withdrawn may go on being good.

        Raises:
            CredentialsError: it holds no token, or can't be read.

        """
        self._file = str(file)
        self._tokens = RenewedFiles((file,), partial(_read, file), kept=self._tell_why)
        self._look_seconds = look_seconds
        self._looked_at = 0.0
        self._looking = asyncio.Lock()

    async def include(self, token: bytes) -> bool:
        """Tell whether a token is among them."""
        now = asyncio.get_running_loop().time()
        await self._look(since=now - self._look_seconds)
        if is_among(token, self._tokens.current()):
            return True
        # It may have come into the file this moment.
        await self._look(since=now)
        return is_among(token, self._tokens.current())

    async def _look(self, *, since: float) -> None:
        """Make sure that somebody has looked at the file since then."""
        if self._looked_at >= since:
            return
        async with self._looking:
            if self._looked_at < since:
                self._looked_at = asyncio.get_running_loop().time()
                await asyncio.to_thread(self._look_and_tell)

    def _look_and_tell(self) -> None:
        if self._tokens.look():
            log.info(TOKENS_RENEWED, file=self._file, tokens=len(self._tokens.current()))

    def _tell_why(self, complaint: str) -> None:
        log.warning(TOKENS_NOT_RENEWED, file=self._file, error=complaint)


def _read(file: Path) -> tuple[bytes, ...]:
    try:
        return read_tokens(file)
    except ValueError as error:
        raise CredentialsError(str(error)) from error


def is_among(token: bytes, tokens: Sequence[bytes]) -> bool:
    """Tell whether a token is one of these, in a time that tells nothing about them."""
    # All of them, so that the time does not tell which.
    return True in [hmac.compare_digest(token, good) for good in tokens]


class TokenCheck(grpc.aio.ServerInterceptor):
    """Refuses each call that brings no good token, but for those to services that are open."""

    def __init__(self, tokens: Tokens, *, open_services: Sequence[str]) -> None:
        self._tokens = tokens
        self._open = tuple(f"/{service}/" for service in open_services)
        # Who has no token has none the next time.
        self._refusals = Sparing(CALL_REFUSED)

    async def intercept_service(
        self,
        continuation: Callable[
            [grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Request, Response] | None]
        ],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Request, Response] | None:
        """Give what answers the call; gRPC asks before it reads the message."""
        call = handler_call_details
        if call.method.startswith(self._open) or await self._is_known(call.invocation_metadata):
            return await continuation(call)
        # To gRPC it is one for streams, so that nothing is read for it.
        return grpc.stream_unary_rpc_method_handler(self._refuse)

    async def _is_known(self, metadata: Metadata) -> bool:
        token = presented(metadata)
        return bool(token) and await self._tokens.include(token)

    async def _refuse(
        self, _: object, context: grpc.aio.ServicerContext[Request, Response]
    ) -> NoReturn:
        self._refusals.tell(peer=context.peer())
        answer = refusal(UnauthenticatedError("unauthenticated: no token that is good here came"))
        await context.abort(answer.code, answer.details, answer.trailing_metadata)


def presented(metadata: Metadata) -> bytes:
    """Give the token that a call brings; nothing if it brings none."""
    for key, value in metadata:
        scheme, _, token = str(value).partition(" ")
        if key == HEADER and scheme.lower() == SCHEME:
            return token.strip().encode()
    return b""
