"""Clients of the sidecar itself: for what no Collector lets pass, or for many at once."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc
import grpc.aio
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay

from otel_embedder.errors import ExportError, RetryableExportError
from otel_embedder.otlp.status import export_error
from tests.support.processes import EXPORT_METHOD

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tenacity import RetryCallState

    from tests.faults.ledger import Ledger

    Export = grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]

CHANNEL_OPTIONS = (
    ("grpc.max_send_message_length", -1),
    # Each of its own connection: grpcio shares one among equal channels of a process.
    ("grpc.use_local_subchannel_pool", 1),
    # Our own retries are a Collector's.
    ("grpc.enable_retries", 0),
)
DEADLINE_SECONDS = 10.0  # as in collector-config
AGAIN_SECONDS = 1.0
PATIENCE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Straight:
    """How to send.

    Attributes:
        clients: how many send at once, each on a connection of its own.
        compression: of every request.
        timeout: seconds that a call may take, with the compression.

    """

    clients: int = 1
    compression: grpc.Compression = grpc.Compression.NoCompression
    timeout: float = DEADLINE_SECONDS

    async def send(self, address: str, requests: Sequence[bytes], ledger: Ledger) -> list[str]:
        """Send what each client has, one request after the other; give their last statuses."""
        shares = [requests[client :: self.clients] for client in range(self.clients)]
        statuses = await asyncio.gather(
            *(self._send_share(address, share, ledger) for share in shares)
        )
        return [status for share in statuses for status in share]

    async def _send_share(self, address: str, share: Sequence[bytes], ledger: Ledger) -> list[str]:
        async with grpc.aio.insecure_channel(address, CHANNEL_OPTIONS, self.compression) as channel:
            export: Export = channel.unary_unary(EXPORT_METHOD)
            return [await self._send(export, request, ledger) for request in share]

    async def _send(self, export: Export, request: bytes, ledger: Ledger) -> str:
        ledger.sent(request)
        try:
            await _retrying()(self._call, export, request)
        except ExportError as error:
            if not isinstance(error, RetryableExportError):
                ledger.rejected(request)
            return _name(error)
        return grpc.StatusCode.OK.name

    async def _call(self, export: Export, request: bytes) -> None:
        try:
            await export(request, timeout=self.timeout)
        except grpc.aio.AioRpcError as error:
            raise export_error(error) from error


def _retrying() -> AsyncRetrying:
    return AsyncRetrying(
        retry=retry_if_exception_type(RetryableExportError),
        stop=stop_after_delay(PATIENCE_SECONDS),
        wait=_delay,
        reraise=True,
    )


def _delay(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    asked = error.retry_after if isinstance(error, RetryableExportError) else None
    return AGAIN_SECONDS if asked is None else asked


def _name(error: ExportError) -> str:
    cause = error.__cause__
    return cause.code().name if isinstance(cause, grpc.aio.AioRpcError) else str(error)
