"""gRPC health (`grpc.health.v1`) that lets a server stop, and may tell of several.

grpcio's servicer keeps every open `Watch` for ever, and a server that stops
waits for its calls until the grace period is over: each load balancer that
watches would hold up the end by that long.

Where several processes listen at one address, nobody knows which of them he asks. So what is told
of the whole, under no name, is true of all of them, and what is told of TraceService of this one.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from grpc_health.v1 import health_pb2
from grpc_health.v1.health import OVERALL_HEALTH
from grpc_health.v1.health import aio as health

from otel_embedder.otlp.names import TRACE_SERVICE

if TYPE_CHECKING:
    from collections.abc import Callable

    import grpc.aio

    Request = health_pb2.HealthCheckRequest
    Response = health_pb2.HealthCheckResponse
    Context = grpc.aio.ServicerContext[Request, Response]


class _FarewellError(Exception):
    """Raised when a watcher has been told all that there will ever be to tell."""


SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class HealthServicer(health.HealthServicer):
    """Ends each `Watch` once it has told that the server stops."""

    def __init__(self, *, is_one_of_several: bool = False) -> None:
        """Begin; of several, all are not serving until somebody tells that they are."""
        super().__init__()
        self._is_one_of_several = is_one_of_several
        self._is_leaving = False

    async def begin(self) -> None:
        """Tell that this server takes spans."""
        await self.set(TRACE_SERVICE, SERVING)
        await self.tell_of_all(are_serving=not self._is_one_of_several)

    async def tell_of_all(self, *, are_serving: bool) -> None:
        """Tell whether all of several take spans."""
        await self.set(OVERALL_HEALTH, SERVING if are_serving else NOT_SERVING)

    async def enter_graceful_shutdown(self) -> None:
        """Tell, for good, that the server stops."""
        self._is_leaving = True
        await super().enter_graceful_shutdown()

    async def Watch(self, request: Request, context: Context) -> None:  # noqa: N802 - gRPC's name
        """Tell the status whenever it changes."""
        with suppress(_FarewellError):
            await super().Watch(request, _Watcher(context, self.is_leaving))  # type: ignore[arg-type]

    def is_leaving(self) -> bool:
        """Tell whether the server stops."""
        return self._is_leaving


class _Watcher:
    """All of a call's context that `Watch` uses."""

    def __init__(self, context: Context, is_leaving: Callable[[], bool]) -> None:
        self._context = context
        self._is_leaving = is_leaving

    async def write(self, response: Response) -> None:
        await self._context.write(response)
        if response.status == NOT_SERVING and self._is_leaving():
            raise _FarewellError
