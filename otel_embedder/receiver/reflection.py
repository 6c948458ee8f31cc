"""Reflection, which tells clients such as grpcurl what is served, and what its messages look like.

It is there as v1, which clients ask for first, and as v1alpha, which grpcio-reflection
knows: the same messages in another package. Those of other signals are loaded when
somebody asks: nothing else needs them.
"""

from __future__ import annotations

import asyncio
from importlib import import_module
from typing import TYPE_CHECKING

import grpc
import grpc.aio
from google.protobuf import descriptor_pool
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_reflection.v1alpha import reflection, reflection_pb2

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Sequence

    Request = reflection_pb2.ServerReflectionRequest
    Response = reflection_pb2.ServerReflectionResponse
    Context = grpc.aio.ServicerContext[Request, Response]

V1ALPHA, V1 = "grpc.reflection.v1alpha", "grpc.reflection.v1"
REFLECTION_SERVICES = (f"{V1}.ServerReflection", f"{V1ALPHA}.ServerReflection")

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
    descriptor_pool.Default().AddSerializedFile(_v1().SerializeToString())


def _v1() -> FileDescriptorProto:
    """Describe v1 of reflection: v1alpha in another package."""
    file = FileDescriptorProto()
    reflection_pb2.DESCRIPTOR.CopyToProto(file)
    file.name = "grpc/reflection/v1/reflection.proto"
    file.package = V1
    for field in (field for message in file.message_type for field in message.field):
        if field.type_name:
            field.type_name = field.type_name.replace(V1ALPHA, V1)
    for method in (method for service in file.service for method in service.method):
        method.input_type = method.input_type.replace(V1ALPHA, V1)
        method.output_type = method.output_type.replace(V1ALPHA, V1)
    return file


def add_reflection(server: grpc.aio.Server, services: Sequence[str]) -> None:
    """Let a server tell of these services, and of reflection itself."""
    servicer = ReflectionServicer((*services, *REFLECTION_SERVICES))
    handler = grpc.stream_stream_rpc_method_handler(
        servicer.ServerReflectionInfo,
        reflection_pb2.ServerReflectionRequest.FromString,
        reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    server.add_generic_rpc_handlers(
        [
            grpc.method_handlers_generic_handler(name, {"ServerReflectionInfo": handler})
            for name in REFLECTION_SERVICES
        ]
    )
