"""Who may send: whoever knows a token.

A call without one ends before its message is read. It ends with UNAVAILABLE, as
one does whose client certificate is wrong: to UNAUTHENTICATED a Collector drops
its spans, and a token that was renewed on one side only would lose them. So
they stay in its queue, and the reason is in its log, until the tokens agree.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn, TypeVar

import grpc
import grpc.aio

from otel_embedder.credentials.tokens import presented
from otel_embedder.errors import UnauthenticatedError
from otel_embedder.otlp.status import refusal
from otel_embedder.telemetry.sparing import Sparing

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from otel_embedder.credentials.tokens import Tokens
    from otel_embedder.otlp.call import Metadata

Request = TypeVar("Request")
Response = TypeVar("Response")

HEADER = "authorization"

CALL_REFUSED = "authentication.refused"


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
        brought = (presented(str(value)) for key, value in metadata if key == HEADER)
        token = next(filter(None, brought), b"")
        return bool(token) and await self._tokens.include(token)

    async def _refuse(
        self, _: object, context: grpc.aio.ServicerContext[Request, Response]
    ) -> NoReturn:
        self._refusals.tell(peer=context.peer())
        answer = refusal(UnauthenticatedError("unauthenticated: no token that is good here came"))
        await context.abort(answer.code, answer.details, answer.trailing_metadata)
