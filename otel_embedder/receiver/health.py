"""gRPC health (`grpc.health.v1`) that lets a server stop.

grpcio's servicer keeps every open `Watch` for ever, and a server that stops
waits for its calls until the grace period is over: each load balancer that
watches would hold up the end by that long.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from grpc_health.v1 import health_pb2
from grpc_health.v1.health import aio as health

if TYPE_CHECKING:
    import grpc.aio

    Request = health_pb2.HealthCheckRequest
    Response = health_pb2.HealthCheckResponse
    Context = grpc.aio.ServicerContext[Request, Response]


class _FarewellError(Exception):
    """Raised when a watcher has been told all that there will ever be to tell."""


class HealthServicer(health.HealthServicer):
    """Ends each `Watch` once it has told NOT_SERVING."""

    async def Watch(self, request: Request, context: Context) -> None:  # noqa: N802 - gRPC's name
        """Tell the status whenever it changes."""
        with suppress(_FarewellError):
            await super().Watch(request, _Watcher(context))  # type: ignore[arg-type]


class _Watcher:
    """All of a call's context that `Watch` uses."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def write(self, response: Response) -> None:
        await self._context.write(response)
        # A sidecar is NOT_SERVING only when it stops, and then for good.
        if response.status == health_pb2.HealthCheckResponse.NOT_SERVING:
            raise _FarewellError
