"""Over real gRPC: an echo service that reads its messages as the receivers do."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

import grpc
import grpc.aio
import pytest
from structlog.testing import capture_logs

from otel_embedder.errors import BusyError
from otel_embedder.fairness import Turns
from otel_embedder.otlp.names import EXPORT_METHOD
from otel_embedder.receiver.admission import Admission
from otel_embedder.receiver.calls import REQUEST_INCOMPLETE
from otel_embedder.receiver.closing import Closing
from otel_embedder.receiver.intake.messages import Messages
from otel_embedder.receiver.intake.reading import PLACES
from otel_embedder.receiver.server import SERVER_OPTIONS
from tests.support.door import new_calls
from tests.support.fakes import PATIENCE, FakeMetrics
from tests.support.peers import CLIENT_OPTIONS, retry_after

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from otel_embedder.otlp.call import Call
    from otel_embedder.receiver.intake.messages import Context

pytestmark = pytest.mark.timeout(120)

ECHO = "/test.Echo/Echo"


class Echo:
    """Answers with the message, once it is free to."""

    def __init__(self, messages: Messages) -> None:
        self.called = asyncio.Semaphore(0)
        self.arrived = asyncio.Semaphore(0)
        self.free = asyncio.Event()
        self.free.set()
        self.left = asyncio.Event()
        self._messages = messages
        self._calls = new_calls(FakeMetrics())

    async def answer(self, _: object, context: Context) -> bytes:
        self.called.release()
        try:
            return await self._calls.answered(context, EXPORT_METHOD, partial(self._echo, context))
        finally:
            self.left.set()

    async def _echo(self, context: Context, _: Call) -> bytes:
        async with self._messages.received(context) as message:
            self.arrived.release()
            await self.free.wait()
            return message.encoded


@asynccontextmanager
async def echoing(
    admission: Admission, *, max_read_seconds: float = PATIENCE, closing: Closing | None = None
) -> AsyncIterator[tuple[Echo, grpc.aio.Channel]]:
    """Run an echo service, and give it with a channel to it."""
    echo = Echo(
        Messages(
            admission,
            closing or Closing(),
            turns=Turns(),
            max_bytes=1_000_000,
            max_read_seconds=max_read_seconds,
        )
    )
    async with serving(echo) as port, connected(port) as channel:
        yield echo, channel


@asynccontextmanager
async def echo_server() -> AsyncIterator[tuple[Echo, int]]:
    """Run an echo service, and give it with its port."""
    echo = Echo(
        Messages(
            admission(max_requests=10_000),
            Closing(),
            turns=Turns(),
            max_bytes=1_000_000,
        )
    )
    async with serving(echo) as port:
        yield echo, port


def connected(port: int) -> grpc.aio.Channel:
    """Give a connection of its own."""
    return grpc.aio.insecure_channel(f"127.0.0.1:{port}", CLIENT_OPTIONS)


@asynccontextmanager
async def serving(echo: Echo) -> AsyncIterator[int]:
    server = grpc.aio.server(options=SERVER_OPTIONS)
    handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.stream_unary_rpc_method_handler(echo.answer)
    service, method = ECHO.strip("/").split("/")
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(service, {method: handler}),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield port
    await server.stop(None)


def call(channel: grpc.aio.Channel, message: bytes) -> grpc.aio.UnaryUnaryCall[bytes, bytes]:
    method: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(ECHO)
    return method(message, timeout=PATIENCE)


def slow_call(
    channel: grpc.aio.Channel,
    *,
    timeout: float = PATIENCE,
) -> grpc.aio.StreamUnaryCall[bytes, bytes]:
    """Open a call that sends nothing until it is told to."""
    method: grpc.aio.StreamUnaryMultiCallable[bytes, bytes] = channel.stream_unary(ECHO)
    return method(timeout=timeout)


def admission(*, max_requests: int = 100, max_bytes: int = 10_000_000) -> Admission:
    return Admission(max_requests=max_requests, max_bytes=max_bytes, metrics=FakeMetrics())


async def test_a_message_is_in_flight_until_it_is_answered() -> None:
    door = admission()
    async with echoing(door) as (echo, channel):
        echo.free.clear()
        waiting = call(channel, b"message")
        await echo.arrived.acquire()
        meanwhile = (door.requests(), door.bytes())
        echo.free.set()
        answer = await waiting

    assert answer == b"message"
    assert meanwhile == (1, 7)
    assert (door.requests(), door.bytes()) == (0, 0)


async def test_a_caller_that_leaves_gives_its_place_back() -> None:
    door = admission()
    async with echoing(door) as (echo, channel):
        echo.free.clear()
        waiting = call(channel, b"message")
        await echo.arrived.acquire()
        waiting.cancel()
        await asyncio.wait_for(echo.left.wait(), PATIENCE)

    assert (door.requests(), door.bytes()) == (0, 0)


@pytest.mark.parametrize("door", [admission(max_requests=1), admission(max_bytes=7)])
async def test_without_room_a_call_is_refused_before_its_message_is_read(door: Admission) -> None:
    async with echoing(door) as (echo, channel):
        echo.free.clear()
        first = call(channel, b"message")
        await echo.arrived.acquire()
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await slow_call(channel)  # it never sends one
        echo.free.set()
        await first

    assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
    assert retry_after(raised.value) is not None


async def test_of_two_that_fit_only_alone_one_is_refused() -> None:
    async with echoing(admission(max_bytes=1_000)) as (echo, channel):
        echo.free.clear()
        first = call(channel, bytes(600))
        await echo.arrived.acquire()
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await call(channel, bytes(600))
        echo.free.set()

        assert await first == bytes(600)
    assert raised.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_those_who_send_slowly_keep_nobody_waiting() -> None:
    async with echoing(admission()) as (_, channel):
        slow = [slow_call(channel) for _ in range(5 * PLACES)]
        quick = await asyncio.gather(*(call(channel, b"quick") for _ in range(50)))
        await slow[0].write(b"at last")
        await slow[0].done_writing()
        answer = await slow[0]
        for waiting in slow:
            waiting.cancel()

    assert quick == [b"quick"] * 50
    assert answer == b"at last"


async def test_of_very_many_who_say_nothing_a_caller_notices_nothing() -> None:
    async with AsyncExitStack() as stack:
        echo, port = await stack.enter_async_context(echo_server())
        silent = []
        for _ in range(8):
            crowd = await stack.enter_async_context(connected(port))
            silent += [slow_call(crowd, timeout=60) for _ in range(400)]
            for _ in range(400):  # gRPC gives calls up where very many come at once
                await asyncio.wait_for(echo.called.acquire(), PATIENCE)
        channel = await stack.enter_async_context(connected(port))
        # At eight places of 50 ms each they would take twice as long.
        async with asyncio.timeout(PATIENCE):
            answers = [await call(channel, b"quick") for _ in range(3)]
        for waiting in silent:
            waiting.cancel()

    assert answers == [b"quick"] * 3


@pytest.mark.parametrize("pause", [0.0, 0.2], ids=["at once", "later"])
async def test_a_second_message_in_a_call_is_refused_and_neither_goes_on(pause: float) -> None:
    async with echoing(admission()) as (echo, channel):
        both = slow_call(channel)
        await both.write(b"first")
        await asyncio.sleep(pause)
        await both.write(b"second")
        await both.done_writing()
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await both

        assert raised.value.code() is grpc.StatusCode.INTERNAL
        assert echo.arrived.locked()
        assert await call(channel, b"alone") == b"alone"


async def test_what_is_still_arriving_ends_with_the_server() -> None:
    closing = Closing()
    async with echoing(admission(), closing=closing) as (_, channel):
        silent, halfway = slow_call(channel), slow_call(channel)
        await halfway.write(b"and more was to come")
        await asyncio.gather(silent.wait_for_connection(), halfway.wait_for_connection())
        closing.begin()
        codes = await asyncio.wait_for(asyncio.gather(silent.code(), halfway.code()), PATIENCE)

    assert {*codes} == {grpc.StatusCode.UNAVAILABLE}


async def test_a_message_that_never_arrives_is_given_up() -> None:
    async with echoing(admission(), max_read_seconds=0.1) as (_, channel):
        with capture_logs() as logs, pytest.raises(grpc.aio.AioRpcError) as raised:
            await slow_call(channel)

    assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
    assert raised.value.details() == "the request did not arrive within 0.1 s"
    assert [line["event"] for line in logs] == [REQUEST_INCOMPLETE]


async def test_a_call_without_a_message_is_refused() -> None:
    async with echoing(admission()) as (_, channel):
        with capture_logs() as logs:
            empty = slow_call(channel)
            await empty.done_writing()
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await empty

    assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
    assert "no whole request arrived" in str(raised.value.details())
    assert [line["event"] for line in logs] == [REQUEST_INCOMPLETE]


async def test_only_the_caller_keeps_a_message() -> None:
    class Message(bytes):
        """Tells when nobody has it any more."""

        def __del__(self) -> None:
            gone.append(True)

    class Stream:
        def __init__(self) -> None:
            self._messages = [Message(b"message")]

        async def read(self) -> bytes | object:
            return self._messages.pop() if self._messages else grpc.aio.EOF

        def peer(self) -> str:
            return "a peer"

    gone: list[bool] = []
    messages = Messages(admission(), Closing(), turns=Turns(), max_bytes=100)
    async with messages.received(Stream()) as message:  # type: ignore[arg-type]  # all that is asked
        kept = list(gone)
        del message
        dropped = list(gone)

    assert (kept, dropped) == ([], [True])


async def test_without_room_what_is_raised_is_what_the_status_is_made_of() -> None:
    door = admission(max_requests=1)
    with door.admit(), pytest.raises(BusyError):
        async with Messages(door, Closing(), turns=Turns(), max_bytes=100).received(None):  # type: ignore[arg-type]  # not asked
            pass
