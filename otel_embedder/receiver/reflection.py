"""Reflection, which tells clients such as grpcurl what is served, and what its messages look like.

The messages of other signals are loaded when somebody asks: nothing else needs them.
"""

from __future__ import annotations

import asyncio
from importlib import import_module
from typing import TYPE_CHECKING

from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Sequence

    import grpc.aio
    from grpc_reflection.v1alpha import reflection_pb2

    Request = reflection_pb2.ServerReflectionRequest
    Response = reflection_pb2.ServerReflectionResponse
    Context = grpc.aio.ServicerContext[Request, Response]

# v1 of profiles is yet to come.
OTHER_MESSAGES = (
    "opentelemetry.proto.collector.logs.v1.logs_service_pb2",
    "opentelemetry.proto.collector.metrics.v1.metrics_service_pb2",
    "opentelemetry.proto.collector.profiles.v1development.profiles_service_pb2",
)


class ReflectionServicer(reflection.aio.ReflectionServicer):
    """Knows the messages of all signals once there is a question."""

    # The stubs take what is an asynchronous generator for a coroutine.
    async def ServerReflectionInfo(  # type: ignore[override]  # noqa: N802 - gRPC's name
        self, request_iterator: AsyncIterable[Request], context: Context
    ) -> AsyncIterator[Response]:
        """Answer question by question."""
        await asyncio.to_thread(_load_other_messages)
        answers = super().ServerReflectionInfo(request_iterator, context)
        async for answer in answers:  # type: ignore[attr-defined]
            yield answer


def _load_other_messages() -> None:
    for name in OTHER_MESSAGES:
        import_module(name)


def add_reflection(server: grpc.aio.Server, services: Sequence[str]) -> None:
    """Let a server tell of these services, and of reflection itself."""
    servicer = ReflectionServicer((*services, reflection.SERVICE_NAME))
    reflection_pb2_grpc.add_ServerReflectionServicer_to_server(servicer, server)  # type: ignore[no-untyped-call]
