"""A backend for demonstrations: takes whatever spans it is sent, over gRPC."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import grpc
import grpc.aio
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from otel_embedder.otlp.names import TRACE_SERVICE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    Handler = grpc.RpcMethodHandler[bytes, bytes]

UNLIMITED = (("grpc.max_receive_message_length", -1),)


@asynccontextmanager
async def sinking(take: Callable[[bytes], object]) -> AsyncIterator[int]:
    """Run a sink; give the port of 127.0.0.1 that it listens on.

    Args:
        take: gets each request, encoded, in the order that they come.

    """

    async def export(request: bytes, _: object) -> bytes:
        take(request)
        return ExportTraceServiceResponse().SerializeToString()

    handler: Handler = grpc.unary_unary_rpc_method_handler(export)
    server = grpc.aio.server(options=UNLIMITED)
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(TRACE_SERVICE, {"Export": handler}),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield port
    finally:
        await server.stop(None)
