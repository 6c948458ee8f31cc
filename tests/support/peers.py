"""The two ends of the network: a client and a next hop, both over real gRPC."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import grpc
import grpc.aio
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from otel_embedder.exporter.channel import Keepalive
from otel_embedder.otlp.names import EXPORT_METHOD, TRACE_SERVICE
from tests.support.fakes import PATIENCE

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence
    from types import TracebackType

    from opentelemetry.proto.trace.v1.trace_pb2 import Span

    from otel_embedder.otlp.call import Metadata

    Export = grpc.aio.UnaryUnaryMultiCallable[bytes, ExportTraceServiceResponse]
    Check = grpc.aio.UnaryUnaryMultiCallable[
        health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse
    ]
    Watch = grpc.aio.UnaryStreamMultiCallable[
        health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse
    ]
    Context = grpc.aio.ServicerContext[ExportTraceServiceRequest, ExportTraceServiceResponse]


# Each of its own connection: grpcio shares one among equal channels of a process.
CLIENT_OPTIONS = (
    ("grpc.max_send_message_length", -1),
    ("grpc.use_local_subchannel_pool", 1),
)
STATUS_DETAILS = "grpc-status-details-bin"

# Of an exporter that neither pings nor waits within a test.
KEEPALIVE = Keepalive(interval=310, timeout=20)
MAX_SENDING_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """What the next hop is to say.

    Attributes:
        code: the status; details and retry_after go with one that is not OK.
        rejected: spans it says it did not take, though the status is OK.
        message: what it says about those.
        status_details: what to send in the place of retry_after, whatever it is.

    """

    code: grpc.StatusCode = grpc.StatusCode.OK
    details: str = ""
    retry_after: float | None = None
    rejected: int = 0
    message: str = ""
    status_details: bytes = b""

    def trailing_metadata(self) -> Metadata:
        if self.status_details:
            return ((STATUS_DETAILS, self.status_details),)
        if self.retry_after is None:
            return ()
        status = status_pb2.Status(code=self.code.value[0], message=self.details)
        delay = Duration()
        delay.FromNanoseconds(round(self.retry_after * 1e9))
        status.details.add().Pack(error_details_pb2.RetryInfo(retry_delay=delay))
        return ((STATUS_DETAILS, status.SerializeToString()),)

    def response(self) -> ExportTraceServiceResponse:
        response = ExportTraceServiceResponse()
        if self.rejected or self.message:
            response.partial_success.rejected_spans = self.rejected
            response.partial_success.error_message = self.message
        return response


class Client:
    """What a Collector's exporter is to a sidecar."""

    def __init__(
        self,
        server: int | str,
        *,
        compression: grpc.Compression | None = None,
        credentials: grpc.ChannelCredentials | None = None,
    ) -> None:
        """Connect to an address, or to a port here."""
        address = server if isinstance(server, str) else f"127.0.0.1:{server}"
        self._channel = (
            grpc.aio.secure_channel(address, credentials, CLIENT_OPTIONS, compression)
            if credentials
            else grpc.aio.insecure_channel(address, CLIENT_OPTIONS, compression)
        )
        self._export: Export = self._channel.unary_unary(
            EXPORT_METHOD, response_deserializer=ExportTraceServiceResponse.FromString
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._channel.close()

    @property
    def channel(self) -> grpc.aio.Channel:
        return self._channel

    async def export(
        self,
        request: ExportTraceServiceRequest | bytes,
        *,
        timeout: float | None = PATIENCE,  # noqa: ASYNC109 - the call's own deadline
        metadata: Metadata = (),
    ) -> ExportTraceServiceResponse:
        encoded = request if isinstance(request, bytes) else request.SerializeToString()
        return await self._export(encoded, timeout=timeout, metadata=metadata)

    async def refusal(
        self, request: ExportTraceServiceRequest | bytes, *, metadata: Metadata = ()
    ) -> grpc.aio.AioRpcError:
        """Give the status that ends a call which is not to succeed."""
        try:
            await self.export(request, metadata=metadata)
        except grpc.aio.AioRpcError as error:
            return error
        raise AssertionError("the request was taken")

    async def health(self, service: str) -> int:
        """Ask how a service is."""
        check: Check = self._channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            health_pb2.HealthCheckRequest.SerializeToString,
            health_pb2.HealthCheckResponse.FromString,
        )
        answer = await check(health_pb2.HealthCheckRequest(service=service), timeout=PATIENCE)
        return answer.status

    async def healths(self, service: str) -> AsyncGenerator[int, None]:
        """Be told how a service is, and whenever that changes."""
        watch: Watch = self._channel.unary_stream(
            "/grpc.health.v1.Health/Watch",
            health_pb2.HealthCheckRequest.SerializeToString,
            health_pb2.HealthCheckResponse.FromString,
        )
        call = watch(health_pb2.HealthCheckRequest(service=service))
        try:
            async for answer in call:
                yield answer.status
        finally:
            call.cancel()


def retry_after(error: grpc.aio.AioRpcError) -> float | None:
    """Give the seconds of the RetryInfo that came with a status."""
    for key, value in error.trailing_metadata() or ():
        if key == STATUS_DETAILS and isinstance(value, bytes):
            info = error_details_pb2.RetryInfo()
            assert status_pb2.Status.FromString(value).details[0].Unpack(info)
            return float(info.retry_delay.ToNanoseconds() / 1e9)
    return None


class FakeNextHop:
    """A real server on a free port, which keeps what it is sent and answers what it is told to."""

    def __init__(
        self,
        *,
        credentials: grpc.ServerCredentials | None = None,
        options: Sequence[tuple[str, int]] = (),
        host: str = "127.0.0.1",
        name: str = "127.0.0.1",
        port: int = 0,
        bytes_a_second: float = math.inf,
        judge: Callable[[ExportTraceServiceRequest], Answer | None] = lambda _: None,
    ) -> None:
        """Prepare to listen.

        Args:
            credentials: for TLS.
            options: gRPC's own.
            host: where to listen. A name may stand for more addresses, of which another test may
                have one with the same port.
            name: what it is called in its URL.
            port: any, if it is 0.
            bytes_a_second: how fast it reads.
            judge: what to answer to a request, where that depends on it.

        """
        self.requests: list[ExportTraceServiceRequest] = []
        self.metadata: list[Metadata] = []
        self.time_remaining: list[float] = []
        self.answers: list[Answer] = []
        self.was_left = asyncio.Event()
        self._credentials = credentials
        self._options = options
        self._bytes_a_second = bytes_a_second
        self._wanted = f"{host}:{port}"
        self._name = name
        self._judge = judge
        self._arrived = asyncio.Semaphore(0)
        self._free = asyncio.Event()
        self._free.set()

    async def __aenter__(self) -> Self:
        handler = grpc.unary_unary_rpc_method_handler(
            self._export,
            ExportTraceServiceRequest.FromString,
            ExportTraceServiceResponse.SerializeToString,
        )
        self._server = grpc.aio.server(options=self._options)
        self._server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(TRACE_SERVICE, {"Export": handler}),)
        )
        self.port = self._bind()
        await self._server.start()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()

    async def stop(self) -> None:
        await self._server.stop(None)

    @property
    def url(self) -> str:
        scheme = "https" if self._credentials else "http"
        return f"{scheme}://{self._name}:{self.port}"

    def spans(self) -> list[Span]:
        """Give the spans of every request, in the order that they came."""
        return [span for request in self.requests for span in spans_in(request)]

    def hold(self) -> None:
        """Let every request wait for its answer from now on."""
        self._free.clear()

    def release(self) -> None:
        self._free.set()

    async def arrived(self, requests: int = 1) -> None:
        """Wait until so many more requests have come."""
        async with asyncio.timeout(PATIENCE):
            for _ in range(requests):
                await self._arrived.acquire()

    def _bind(self) -> int:
        if self._credentials:
            return self._server.add_secure_port(self._wanted, self._credentials)
        return self._server.add_insecure_port(self._wanted)

    async def _export(
        self, request: ExportTraceServiceRequest, context: Context
    ) -> ExportTraceServiceResponse:
        # What does not come in time never does: the call is cancelled within this.
        await asyncio.sleep(request.ByteSize() / self._bytes_a_second)
        self.requests.append(request)
        self.metadata.append(tuple(context.invocation_metadata() or ()))
        self.time_remaining.append(context.time_remaining())
        self._arrived.release()
        try:
            await self._free.wait()
        except asyncio.CancelledError:
            self.was_left.set()
            raise
        answer = self._judge(request) or (self.answers.pop(0) if self.answers else Answer())
        if answer.code is not grpc.StatusCode.OK:
            await context.abort(answer.code, answer.details, answer.trailing_metadata())
        return answer.response()


def spans_in(request: ExportTraceServiceRequest) -> list[Span]:
    return [
        span
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]
