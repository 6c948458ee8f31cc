from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import grpc
import grpc.aio
import pytest
from structlog.testing import capture_logs

from otel_embedder.errors import ExportError, PermanentExportError, RetryableExportError
from otel_embedder.otlp.names import OTHER_SERVICES
from otel_embedder.receiver.closing import Closing
from otel_embedder.receiver.intake.hops import HOPS_KEY
from otel_embedder.receiver.other_signals import SIGNAL_PASSED_THROUGH, PassThrough
from otel_embedder.receiver.server import listening
from otel_embedder.settings import load_settings
from tests.support.door import ASSUMED_DEADLINE, new_calls, new_messages
from tests.support.fakes import PATIENCE, FakeMetrics
from tests.support.peers import Client, retry_after

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from otel_embedder.otlp.call import Metadata

pytestmark = pytest.mark.timeout(120)

# Not even protobuf: nobody looks into it.
REQUEST = b"\xff\x00whatever it is"
ANSWER = b"\xfe\x01and what was said to it"

METHODS = [f"/{service}/Export" for service in OTHER_SERVICES]


class FakeForwarder:
    """Keeps what it was to send on; answers or raises what it was given."""

    def __init__(self, answer: bytes | ExportError) -> None:
        self.requests: list[tuple[str, bytes]] = []
        self.metadata: list[Metadata] = []
        self.deadlines: list[float] = []
        self._answer = answer

    async def forward(
        self, method: str, encoded: bytes, *, deadline: float, metadata: Metadata
    ) -> bytes:
        self.requests.append((method, encoded))
        self.metadata.append(metadata)
        self.deadlines.append(deadline)
        if isinstance(self._answer, ExportError):
            raise self._answer
        return self._answer


@asynccontextmanager
async def passing(
    forwarder: FakeForwarder, metrics: FakeMetrics | None = None
) -> AsyncIterator[grpc.aio.Channel]:
    metrics = metrics or FakeMetrics()
    messages = new_messages(metrics, max_bytes=10_000)
    pass_through = PassThrough(forwarder, new_calls(metrics), messages, metrics=metrics)
    settings = load_settings({"listen": "127.0.0.1:0"})
    async with (
        listening(pass_through.rpc_handlers(), settings, Closing()) as port,
        Client(port) as client,
    ):
        yield client.channel


async def send(
    channel: grpc.aio.Channel, method: str, *, metadata: Metadata = (), timed: bool = True
) -> bytes:
    export: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(method)
    return await export(REQUEST, metadata=metadata, timeout=PATIENCE if timed else None)


@pytest.mark.parametrize("method", METHODS)
async def test_other_signals_and_their_answers_pass_untouched(method: str) -> None:
    forwarder, metrics = FakeForwarder(ANSWER), FakeMetrics()
    async with passing(forwarder, metrics) as channel:
        answer = await send(channel, method, metadata=(("x-scope-orgid", "shop"),))

    assert answer == ANSWER
    assert forwarder.requests == [(method, REQUEST)]
    [[own, (hops, _)]] = forwarder.metadata
    assert (own, hops) == (("x-scope-orgid", "shop"), HOPS_KEY)
    assert metrics.counts == {OTHER_SERVICES[method.split("/")[1]]: 1}


async def test_the_log_says_so_once_a_signal() -> None:
    with capture_logs() as logs:
        async with passing(FakeForwarder(ANSWER)) as channel:
            for method in METHODS * 3:
                await send(channel, method)

    lines = [(line["event"], line["signal"]) for line in logs]
    assert lines == [(SIGNAL_PASSED_THROUGH, signal) for signal in ("logs", "metrics", "profiles")]


async def test_without_a_deadline_it_is_that_of_otlp() -> None:
    forwarder = FakeForwarder(ANSWER)
    async with passing(forwarder) as channel:
        started = asyncio.get_running_loop().time()
        await send(channel, METHODS[0], timed=False)

    assert forwarder.deadlines == [pytest.approx(started + ASSUMED_DEADLINE, abs=2)]


@pytest.mark.parametrize(
    ("error", "code", "delay"),
    [
        (RetryableExportError("later", retry_after=1.5), grpc.StatusCode.UNAVAILABLE, 1.5),
        (RetryableExportError("later"), grpc.StatusCode.UNAVAILABLE, None),
        (PermanentExportError("never", code=12), grpc.StatusCode.UNIMPLEMENTED, None),
    ],
    ids=repr,
)
async def test_what_the_next_hop_refuses_is_refused_alike(
    error: ExportError, code: grpc.StatusCode, delay: float | None
) -> None:
    metrics = FakeMetrics()
    async with passing(FakeForwarder(error), metrics) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await send(channel, METHODS[0])

    assert raised.value.code() is code
    assert retry_after(raised.value) == delay
    assert metrics.counts == {}


async def test_what_has_been_here_before_is_kept_by_whoever_sent_it() -> None:
    forwarder = FakeForwarder(ANSWER)
    async with passing(forwarder) as channel:
        await send(channel, METHODS[0])
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await send(channel, METHODS[0], metadata=forwarder.metadata[0])

    assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
    assert len(forwarder.requests) == 1
