from __future__ import annotations

import asyncio
import gzip
import socket
import stat
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import grpc
import grpc.aio
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

from otel_embedder.errors import ListenError
from otel_embedder.otlp.names import EXPORT_METHOD, OTHER_SERVICES, TRACE_SERVICE
from otel_embedder.receiver.closing import Closing
from otel_embedder.receiver.health import HealthServicer
from otel_embedder.receiver.intake.inflate import MAX_SMALL_BYTES
from otel_embedder.receiver.other_signals import PassThrough
from otel_embedder.receiver.server import SERVER_OPTIONS, listening
from otel_embedder.receiver.traces import TraceReceiver
from otel_embedder.settings import load_settings
from tests.support.door import new_calls, new_messages
from tests.support.fakes import PATIENCE, FakeConsumer, FakeMetrics
from tests.support.otlp_samples import field, request, span
from tests.support.peers import Client
from tests.support.processes import free_address

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from otel_embedder.otlp.call import Metadata
    from tests.support.peers import Watch

    Stream = grpc.aio.StreamUnaryMultiCallable[bytes, bytes]
    Call = grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]
    Reflection = grpc.aio.StreamStreamMultiCallable[
        reflection_pb2.ServerReflectionRequest, reflection_pb2.ServerReflectionResponse
    ]

pytestmark = pytest.mark.timeout(120)

SERVICE_UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
OPTIONS = dict(SERVER_OPTIONS)

# HTTP/2: what a client begins with, its settings, a ping, and the frame by which a server leaves.
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes.fromhex("000000 04 00 00000000")
PING = bytes.fromhex("000008 06 00 00000000") + bytes(8)
PING_TYPE, GOAWAY_TYPE = 6, 7
PING_SECONDS = 6.0
HANDSHAKE_TIMEOUT = "grpc.server_handshake_timeout_ms"
# Hardly slower than the server lets anybody ping.
PING_MILLISECONDS = 1.1 * OPTIONS["grpc.http2.min_ping_interval_without_data_ms"]


@asynccontextmanager
async def receiving(
    consumer: FakeConsumer | None = None,
    *,
    options: Mapping[str, int] = OPTIONS,
    **flags: object,
) -> AsyncIterator[int]:
    """Run a receiver, and give its port."""
    settings = load_settings({"listen": "127.0.0.1:0", **flags})
    metrics = FakeMetrics()
    closing = Closing()
    messages = new_messages(metrics, max_bytes=9_999, closing=closing)
    receiver = TraceReceiver(
        consumer or FakeConsumer(), new_calls(metrics), messages, metrics=metrics
    )
    handlers = [receiver.rpc_handler()]
    async with listening(handlers, settings, closing, options=[*options.items()]) as port:
        yield port


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sidecar.sock"


@pytest.mark.parametrize("slashes", ["", "//"])
async def test_spans_come_through_a_unix_socket(path: Path, slashes: str) -> None:
    consumer = FakeConsumer()
    async with (
        receiving(consumer, listen=f"unix:{slashes}{path}") as port,
        Client(f"unix:{path}") as client,
    ):
        await client.export(request(span()))

    assert port == 0
    assert len(consumer.requests) == 1


async def test_owner_and_group_may_connect_to_a_socket_and_it_goes_at_the_end(path: Path) -> None:
    async with receiving(listen=f"unix:{path}"):
        mode = mode_of(path)

    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o660
    assert mode_of(path) == 0


def mode_of(path: Path) -> int:
    """Give a file's type and permissions; 0 if there is none."""
    return path.stat().st_mode if path.exists() else 0


async def test_several_addresses_lead_to_the_same_door(path: Path) -> None:
    consumer = FakeConsumer()
    listen = f"unix:{path}, 127.0.0.1:0, {free_address()}"
    async with receiving(consumer, listen=listen) as port:
        for server in (f"unix:{path}", port, listen.rpartition(" ")[2]):
            async with Client(server) as client:
                await client.export(request(span()))

    assert len(consumer.requests) == 3


async def test_the_socket_of_a_process_that_was_killed_is_taken_over(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    async with receiving(listen=f"unix:{path}"), Client(f"unix:{path}") as client:
        await client.export(request(span()))


async def test_the_socket_of_a_sidecar_at_work_is_left_to_it(path: Path) -> None:
    async with receiving(listen=f"unix:{path}"):
        with pytest.raises(ListenError, match=f"another process listens on {path} already"):
            async with receiving(listen=f"unix:{path}"):
                pass
        async with Client(f"unix:{path}") as client:
            await client.export(request(span()))


async def test_what_is_no_socket_is_left_alone(path: Path) -> None:
    write_poem(path)
    with pytest.raises(ListenError, match="is there already, and no socket"):
        async with receiving(listen=f"unix:{path}"):
            pass

    assert stat.S_ISREG(mode_of(path))


def write_poem(path: Path) -> None:
    path.write_text("a poem")


async def test_a_socket_of_another_kind_is_left_alone(path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.bind(str(path))
        with pytest.raises(ListenError, match="Protocol wrong type"):
            async with receiving(listen=f"unix:{path}"):
                pass

    assert stat.S_ISSOCK(mode_of(path))


async def test_a_socket_in_a_directory_that_is_not_there_is_an_error(path: Path) -> None:
    with pytest.raises(ListenError, match="no such address or directory"):
        async with receiving(listen=f"unix:{path.parent}/missing/{path.name}"):
            pass


async def test_who_says_nothing_is_hung_up_on() -> None:
    async with receiving(options={**OPTIONS, HANDSHAKE_TIMEOUT: 300}) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        # What the server says at first, and then the end.
        await asyncio.wait_for(reader.read(), PATIENCE / 2)
        writer.close()


def test_who_says_nothing_has_ten_seconds() -> None:
    assert OPTIONS[HANDSHAKE_TIMEOUT] == 10_000


async def test_who_pings_often_without_a_call_is_not_hung_up_on() -> None:
    interval = PING_MILLISECONDS / 1_000
    pings = int(PING_SECONDS / interval)
    async with receiving() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(PREFACE)
        for _ in range(pings):
            writer.write(PING)
            await asyncio.sleep(interval)
        writer.write_eof()
        types = frame_types(await asyncio.wait_for(reader.read(), PATIENCE))
        writer.close()

    assert types.count(PING_TYPE) == pings
    assert GOAWAY_TYPE not in types


async def test_who_pings_often_during_a_call_is_not_hung_up_on() -> None:
    options = (
        ("grpc.keepalive_time_ms", round(PING_MILLISECONDS)),
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.use_local_subchannel_pool", 1),
    )
    async with (
        receiving() as port,
        grpc.aio.insecure_channel(f"127.0.0.1:{port}", options) as channel,
    ):
        watch: Watch = channel.unary_stream(
            "/grpc.health.v1.Health/Watch",
            health_pb2.HealthCheckRequest.SerializeToString,
            health_pb2.HealthCheckResponse.FromString,
        )
        call = watch(health_pb2.HealthCheckRequest())
        await call.read()
        ended, _ = await asyncio.wait({asyncio.ensure_future(call.code())}, timeout=PING_SECONDS)
        call.cancel()

    assert not ended


def frame_types(received: bytes) -> list[int]:
    """Give the types of HTTP/2 frames."""
    types = []
    while received:
        size = int.from_bytes(received[:3])
        types.append(received[3])
        received = received[9 + size :]
    return types


async def test_who_has_too_many_calls_open_waits_and_is_not_refused() -> None:
    async with receiving() as port, Client(port) as client:
        watches = [client.healths("") for _ in range(OPTIONS["grpc.max_concurrent_streams"])]
        await asyncio.gather(*map(anext, watches))
        one_more = asyncio.ensure_future(client.health(""))
        early, _ = await asyncio.wait({one_more}, timeout=0.2)
        await watches.pop().aclose()
        health = await one_more
        await asyncio.gather(*(watch.aclose() for watch in watches))

    assert not early
    assert health == SERVING


async def test_many_headers_are_let_in_and_too_many_never_by_chance() -> None:
    consumer = FakeConsumer()
    async with receiving(consumer) as port, Client(port) as client:
        for _ in range(20):  # beyond a soft limit gRPC refuses some and not others
            await client.export(request(span()), metadata=(("x-token", "t" * 20_000),))
        refusal = await client.refusal(
            request(span()), metadata=(("x-token", "t" * OPTIONS["grpc.max_metadata_size"]),)
        )

    assert len(consumer.requests) == 20
    assert refusal.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_a_watch_of_a_name_that_nobody_knows_ends_with_the_server() -> None:
    async with asyncio.timeout(PATIENCE), AsyncExitStack() as stack:
        port = await stack.enter_async_context(receiving(shutdown_timeout=600.0))
        healths = Client(port).healths("otel-embedder")
        first = await anext(healths)
        await stack.aclose()
        rest = [health async for health in healths]

    assert (first, rest) == (SERVICE_UNKNOWN, [])


async def test_of_several_the_whole_is_as_well_as_somebody_tells() -> None:
    health = HealthServicer(is_one_of_several=True)
    settings = load_settings({"listen": "127.0.0.1:0", "shutdown_timeout": 600.0})
    async with asyncio.timeout(PATIENCE), AsyncExitStack() as stack:
        port = await stack.enter_async_context(listening([], settings, Closing(), health=health))
        client = Client(port)
        healths = client.healths("")
        found = [await anext(healths)]
        own = await client.health(TRACE_SERVICE)
        for are_serving in (True, False, True):
            await health.tell_of_all(are_serving=are_serving)
            found.append(await anext(healths))
        await stack.aclose()
        found += [each async for each in healths]

    assert own == SERVING
    assert found == [NOT_SERVING, SERVING, NOT_SERVING, SERVING, NOT_SERVING]


async def test_a_question_left_open_ends_with_the_server() -> None:
    async with asyncio.timeout(PATIENCE), AsyncExitStack() as stack:
        port = await stack.enter_async_context(receiving(shutdown_timeout=600.0))
        ask: Reflection = Client(port).channel.stream_stream(
            "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
            reflection_pb2.ServerReflectionRequest.SerializeToString,
            reflection_pb2.ServerReflectionResponse.FromString,
        )
        call = ask()
        await call.write(reflection_pb2.ServerReflectionRequest(list_services=""))
        await call.read()
        await stack.aclose()

        assert await call.code() is grpc.StatusCode.OK


async def test_who_has_sent_nothing_yet_is_refused_when_the_server_ends() -> None:
    async with asyncio.timeout(PATIENCE), AsyncExitStack() as stack:
        port = await stack.enter_async_context(receiving(shutdown_timeout=600.0))
        export: Stream = Client(port).channel.stream_unary(EXPORT_METHOD)
        call = export()
        await call.wait_for_connection()
        await Client(port).health("")  # and so the call has come before
        await stack.aclose()

        assert await call.code() is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
async def test_reflection_lists_all_that_is_served_and_describes_it(version: str) -> None:
    pass_through = PassThrough(
        FakeForwarder(),
        new_calls(FakeMetrics()),
        new_messages(FakeMetrics(), max_bytes=9),
        metrics=FakeMetrics(),
    )
    settings = load_settings({"listen": "127.0.0.1:0"})
    async with listening(pass_through.rpc_handlers(), settings, Closing()) as port:
        known = await asyncio.to_thread(reflected, port, version)

    assert {*known} == {
        *OTHER_SERVICES,
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
    }
    # OTLP has no v1 of profiles yet, and so nobody can say what its messages look like.
    unknown = {service for service, methods in known.items() if not methods}
    assert unknown == {"opentelemetry.proto.collector.profiles.v1.ProfilesService"}


def reflected(port: int, version: str) -> dict[str, list[str]]:
    """Ask for the services there, and for the methods of each; none, where that is not known."""
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        asked = AskedByVersion(channel, version)  # all of a channel that is needed
        database = ProtoReflectionDescriptorDatabase(asked)  # type: ignore[arg-type]
        pool = DescriptorPool(database)
        return {service: methods_of(pool, service) for service in database.get_services()}


def methods_of(pool: DescriptorPool, service: str) -> list[str]:
    try:
        return [*pool.FindServiceByName(service).methods_by_name]
    except KeyError:
        return []


class AskedByVersion:
    """A channel on which grpcio's client of reflection, which knows v1alpha, asks otherwise."""

    def __init__(self, channel: grpc.Channel, version: str) -> None:
        self._channel = channel
        self._version = version

    def stream_stream(
        self, method: str, **options: object
    ) -> grpc.StreamStreamMultiCallable[object, object]:
        method = method.replace("v1alpha", self._version)
        return self._channel.stream_stream(method, **options)  # type: ignore[arg-type]


class FakeForwarder:
    """Answers nothing."""

    async def forward(
        self,
        method: str,  # noqa: ARG002 - the protocol's
        encoded: bytes,  # noqa: ARG002 - the protocol's
        *,
        deadline: float,  # noqa: ARG002 - the protocol's
        metadata: Metadata,  # noqa: ARG002 - the protocol's
    ) -> bytes:
        return b""


async def test_a_health_check_may_come_compressed() -> None:
    async with receiving() as port, Client(port, compression=grpc.Compression.Gzip) as client:
        assert await client.health(TRACE_SERVICE) == SERVING


async def test_a_question_for_the_services_may_come_compressed() -> None:
    async with receiving() as port, Client(port, compression=grpc.Compression.Gzip) as client:
        ask: Reflection = client.channel.stream_stream(
            "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
            reflection_pb2.ServerReflectionRequest.SerializeToString,
            reflection_pb2.ServerReflectionResponse.FromString,
        )
        name = reflection_pb2.ServerReflectionRequest(file_containing_symbol=TRACE_SERVICE)
        [answer] = [answer async for answer in ask(iter([name]))]

    assert answer.file_descriptor_response.file_descriptor_proto


async def test_a_health_check_is_inflated_no_further_than_it_may_be() -> None:
    bomb = gzip.compress(field(1, b"x" * 100 * MAX_SMALL_BYTES))
    async with receiving() as port, Client(port) as client:
        check: Call = client.channel.unary_unary("/grpc.health.v1.Health/Check")
        with pytest.raises(grpc.aio.AioRpcError, match="DecodeError"):
            await check(bomb)

        assert await client.health(TRACE_SERVICE) == SERVING


async def test_what_no_service_answers_is_unimplemented() -> None:
    async with receiving() as port, Client(port) as client:
        call: Call = client.channel.unary_unary("/no.such/Method")
        with pytest.raises(grpc.aio.AioRpcError, match="UNIMPLEMENTED"):
            await call(b"")
