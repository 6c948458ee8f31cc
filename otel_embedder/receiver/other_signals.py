"""Other signals: logs, metrics and profiles, passed on as the bytes they came as.

They have no business here. But a Collector whose exporter for spans is in the
wrong pipeline would drop them for good, were they refused as UNIMPLEMENTED.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Protocol

import grpc

from otel_embedder.otlp.names import OTHER_SERVICES
from otel_embedder.telemetry.logs import get_logger

if TYPE_CHECKING:
    from otel_embedder.otlp.call import Call, Metadata
    from otel_embedder.receiver.calls import Calls
    from otel_embedder.receiver.intake.messages import Context, Messages

    Handler = grpc.RpcMethodHandler[bytes, bytes]


SIGNAL_PASSED_THROUGH = "signal.passed_through"

log = get_logger()


class Forwarder(Protocol):
    """Sends requests on as they are."""

    async def forward(
        self, method: str, encoded: bytes, *, deadline: float, metadata: Metadata
    ) -> bytes:
        """Call a method of the next hop by `deadline`, or raise ExportError; give its answer."""
        ...


class PassThroughMetrics(Protocol):
    """What is told of other signals."""

    def passed_through(self, signal: str) -> None:
        """Count a request that was passed on."""
        ...


class PassThrough:
    """Takes requests of other signals, and answers what the next hop answers."""

    def __init__(
        self,
        next_: Forwarder,
        calls: Calls,
        messages: Messages,
        *,
        metrics: PassThroughMetrics,
    ) -> None:
        """Take in for the next hop.

        Args:
            next_: the next hop.
            calls: what tells of each call all but its message.
            messages: what reads the messages.
            metrics: who counts.

        """
        self._next = next_
        self._calls = calls
        self._messages = messages
        self._metrics = metrics
        self._known: set[str] = set()

    def rpc_handlers(self) -> list[grpc.GenericRpcHandler]:
        """Give the handlers to add to a server, one a service."""
        return [
            grpc.method_handlers_generic_handler(service, self._methods(service, signal))
            for service, signal in OTHER_SERVICES.items()
        ]

    def _methods(self, service: str, signal: str) -> dict[str, Handler]:
        export = partial(self._export, f"/{service}/Export", signal)
        return {"Export": grpc.stream_unary_rpc_method_handler(export)}

    async def _export(self, method: str, signal: str, _: object, context: Context) -> bytes:
        forward = partial(self._forward, context, method, signal)
        return await self._calls.answered(context, method, forward)

    async def _forward(self, context: Context, method: str, signal: str, call: Call) -> bytes:
        async with self._messages.received(context) as message:
            with call.trace.stage("forward"):
                answer = await self._next.forward(
                    method,
                    message.encoded,
                    deadline=call.deadline,
                    metadata=call.trace.passed_on(call.metadata),
                )
            self._note(signal)
            return answer

    def _note(self, signal: str) -> None:
        self._metrics.passed_through(signal)
        if signal not in self._known:
            self._known.add(signal)
            log.warning(
                SIGNAL_PASSED_THROUGH, signal=signal, hint="only traces need to be sent here"
            )
