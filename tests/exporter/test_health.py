"""One line when the next hop begins to fail, one when it is back, and few between."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import grpc
import grpc.aio
import pytest
from structlog.testing import capture_logs

from otel_embedder.errors import ExportError
from otel_embedder.exporter.health import (
    NEXT_HOP_FAILING,
    NEXT_HOP_RECOVERED,
    NEXT_HOP_STILL_FAILING,
    QUIET_SECONDS,
    REMIND_SECONDS,
    NextHopHealth,
)
from tests.support.certificates import Authority
from tests.support.exporting import exporting, send
from tests.support.http2 import PlainHttp2
from tests.support.otlp_samples import request, span
from tests.support.peers import Answer, FakeNextHop
from tests.support.processes import free_address

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from structlog.typing import EventDict

    from otel_embedder.exporter.exporter import OtlpExporter

pytestmark = pytest.mark.timeout(120)

Code = grpc.StatusCode
REFUSED = "connections to all backends failing; last error: ... Connection refused"


class Clock:
    """Stands still until it is turned."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def health(clock: Clock) -> NextHopHealth:
    return NextHopHealth("http://backend:4317", clock=clock)


def fail(
    health: NextHopHealth, code: Code = Code.UNAVAILABLE, words: str = REFUSED, seconds: float = 5
) -> None:
    none = grpc.aio.Metadata()
    health.failed(grpc.aio.AioRpcError(code, none, none, words), seconds=seconds)


def events(logs: list[EventDict]) -> list[str]:
    return [line["event"] for line in logs]


def test_beginning_and_end_of_a_failure_are_told(clock: Clock, health: NextHopHealth) -> None:
    with capture_logs() as logs:
        health.answered()
        fail(health)
        fail(health)
        clock.now += 7.5
        health.answered()
        health.answered()

    failing, recovered = logs
    assert (failing["event"], failing["log_level"]) == (NEXT_HOP_FAILING, "warning")
    assert failing["next_hop"] == "http://backend:4317"
    assert failing["reason"] == f"UNAVAILABLE: {REFUSED}"
    assert "answered UNAVAILABLE" in failing["doing"]
    assert (recovered["event"], recovered["seconds"]) == (NEXT_HOP_RECOVERED, 7.5)


def test_that_it_goes_on_is_told_once_a_minute_with_a_count(
    clock: Clock, health: NextHopHealth
) -> None:
    with capture_logs() as logs:
        for _ in range(130):
            fail(health)
            clock.now += 1

    assert [(line["event"], line["failed_calls"]) for line in logs] == [
        (NEXT_HOP_FAILING, 1),
        (NEXT_HOP_STILL_FAILING, REMIND_SECONDS),
        (NEXT_HOP_STILL_FAILING, REMIND_SECONDS),
    ]


def test_one_that_fails_now_and_then_does_not_fill_the_log(
    clock: Clock, health: NextHopHealth
) -> None:
    with capture_logs() as logs:
        for _ in range(1_000):
            fail(health)
            health.answered()
            clock.now += QUIET_SECONDS / 1_000

    assert events(logs) == [NEXT_HOP_FAILING, NEXT_HOP_RECOVERED]


def test_a_failure_that_begins_soon_after_another_is_told_all_the_same(
    clock: Clock, health: NextHopHealth
) -> None:
    with capture_logs() as logs:
        fail(health)
        health.answered()
        for _ in range(20):
            clock.now += 1
            fail(health)
        health.answered()

    assert events(logs) == [NEXT_HOP_FAILING, NEXT_HOP_RECOVERED] * 2


@pytest.mark.parametrize(
    "code",
    [
        *(Code.INVALID_ARGUMENT, Code.UNAUTHENTICATED, Code.RESOURCE_EXHAUSTED),
        *(Code.INTERNAL, Code.UNKNOWN, Code.ABORTED, Code.CANCELLED),
    ],
)
def test_a_refusal_of_one_request_is_no_failure_and_ends_none(
    health: NextHopHealth, code: Code
) -> None:
    with capture_logs() as logs:
        fail(health, code)
        fail(health)
        fail(health, code)

    assert events(logs) == [NEXT_HOP_FAILING]


def test_a_caller_without_patience_does_not_make_it_failing(health: NextHopHealth) -> None:
    with capture_logs() as logs:
        fail(health, Code.DEADLINE_EXCEEDED, "Deadline Exceeded", seconds=0.1)
        fail(health, Code.DEADLINE_EXCEEDED, "Deadline Exceeded", seconds=-1)
        before = events(logs)
        fail(health, Code.DEADLINE_EXCEEDED, "Deadline Exceeded", seconds=5)

    assert before == []
    assert events(logs) == [NEXT_HOP_FAILING]


def test_words_of_the_next_hops_own_go_to_the_sender_alone(health: NextHopHealth) -> None:
    """They may hold what a span holds."""
    with capture_logs() as logs:
        fail(health, words="cannot store span 'password=hunter2'")

    assert "hunter2" not in str(logs)
    assert logs[0]["reason"].startswith("UNAVAILABLE: ")


@pytest.mark.parametrize("words", ["", "x" * 100_000, "Socket closed\r\n" + "\x00" * 10_000])
def test_whatever_is_said_is_one_short_line(health: NextHopHealth, words: str) -> None:
    with capture_logs() as logs:
        fail(health, words=words)

    assert len(logs[0]["reason"]) < 500
    assert logs[0]["reason"].isprintable()


@pytest.mark.parametrize(
    ("url", "words", "remedy"),
    [
        ("http://b:4317", "... Socket closed", "does it want https://?"),
        ("https://b:4317", "... Socket closed", None),
        ("http://b:4317", "... http1.x server (HTTP status 404)", "4318 is OTLP/HTTP; the gRPC"),
        ("http://b:4318", "... Connection refused", "4318 is OTLP/HTTP; the gRPC port is 4317"),
        ("https://b:4317", "... WRONG_VERSION_NUMBER ...", "does it want http://?"),
        ("https://b:4317", "... CERTIFICATE_VERIFY_FAILED ...", "next_hop_certificate"),
        ("http://b:4317", "... Connection refused", None),
    ],
)
def test_what_mends_it_is_told_where_the_words_tell(
    clock: Clock, url: str, words: str, remedy: str | None
) -> None:
    health = NextHopHealth(url, clock=clock)
    with capture_logs() as logs:
        fail(health, words=f"connections to all backends failing; {words}")

    told = logs[0].get("remedy", "")
    assert remedy in told if remedy else told == ""


@pytest.mark.parametrize("url", ["http://b:4317", "http://b:4318"])
def test_one_that_has_answered_before_is_not_of_another_kind(clock: Clock, url: str) -> None:
    health = NextHopHealth(url, clock=clock)
    health.answered()
    with capture_logs() as logs:
        fail(health, words="Socket closed")

    assert "remedy" not in logs[0]


# -- with real ones -------------------------------------------------------------------------------


async def failing(exporter: OtlpExporter) -> EventDict:
    """Send to one that fails; give the one line of it."""
    with capture_logs() as logs:
        for _ in range(3):
            with suppress(ExportError):
                await send(exporter, request(span()))
    [line] = [line for line in logs if line["event"].startswith("next_hop.")]
    assert line["event"] == NEXT_HOP_FAILING
    return line


async def test_one_that_is_away_and_comes_back() -> None:
    address = free_address()
    async with exporting(f"http://{address}") as exporter:
        line = await failing(exporter)
        with capture_logs() as logs:
            async with FakeNextHop(port=int(address.rpartition(":")[2])):
                deadline = asyncio.get_running_loop().time() + 20
                await send(exporter, request(span()), deadline=deadline)

    assert line["next_hop"] == f"http://{address}"
    assert "Connection refused" in line["reason"]
    assert events(logs) == [NEXT_HOP_RECOVERED]


async def test_one_that_speaks_http_1() -> None:
    async with http_1_server() as url, exporting(url) as exporter:
        line = await failing(exporter)

    assert line["remedy"] == "4318 is OTLP/HTTP; the gRPC port is 4317"


@pytest.mark.parametrize(
    ("status", "remedy"),
    [
        (404, "OTLP/gRPC, mostly port 4317"),
        (405, "OTLP/gRPC, mostly port 4317"),
        (415, "OTLP/gRPC, mostly port 4317"),
        (501, "OTLP/gRPC, mostly port 4317"),
        (308, "OTLP/gRPC, mostly port 4317"),
        (401, "next_hop_headers"),
        (403, "next_hop_headers"),
        (502, ""),
    ],
)
async def test_one_that_answers_with_pages(status: int, remedy: str) -> None:
    with PlainHttp2(status) as server:
        async with exporting(f"http://{server.address}") as exporter:
            line = await failing(exporter)

    assert line["reason"].endswith(f"Received http2 header with status: {status}")
    assert remedy in line["remedy"] if remedy else "remedy" not in line


async def test_one_to_which_a_request_is_too_large_is_not_failing() -> None:
    with PlainHttp2(413) as server, capture_logs() as logs:
        async with exporting(f"http://{server.address}") as exporter:
            with pytest.raises(ExportError, match="413"):
                await send(exporter, request(span()))

    assert logs == []


async def test_one_that_wants_tls(tmp_path: Path) -> None:
    pair = await asyncio.to_thread(lambda: Authority(tmp_path).issue("server"))
    credentials = grpc.ssl_server_credentials(
        [(pair.key.read_bytes(), pair.certificate.read_bytes())]
    )
    async with (
        FakeNextHop(credentials=credentials) as next_hop,
        exporting(next_hop.url.replace("https", "http")) as exporter,
    ):
        line = await failing(exporter)

    assert line["remedy"] == "does it want https://?"


async def test_one_that_wants_none(next_hop: FakeNextHop) -> None:
    async with exporting(next_hop.url.replace("http", "https")) as exporter:
        line = await failing(exporter)

    assert line["remedy"] == "does it want http://?"


async def test_one_that_answers_with_a_refusal_is_not_failing(next_hop: FakeNextHop) -> None:
    next_hop.answers = [Answer(Code.INVALID_ARGUMENT, "no")] * 3
    async with exporting(next_hop.url) as exporter:
        with capture_logs() as logs:
            for _ in range(3):
                with suppress(ExportError):
                    await send(exporter, request(span()))

    assert logs == []


@pytest.mark.parametrize(
    ("patience", "told"), [(1.2, [NEXT_HOP_FAILING]), (60, [])], ids=["out of time", "hung up"]
)
async def test_one_that_says_nothing_is_told_of_though_its_caller_is_sooner(
    next_hop: FakeNextHop, patience: float, told: list[str]
) -> None:
    next_hop.hold()
    async with exporting(next_hop.url) as exporter:
        deadline = asyncio.get_running_loop().time() + patience
        with capture_logs() as logs:
            sending = asyncio.create_task(send(exporter, request(span()), deadline=deadline))
            # The door cancels what its caller does not wait for any more.
            await asyncio.wait([sending], timeout=1.15)
            sending.cancel()
            with suppress(asyncio.CancelledError):
                await sending
        next_hop.release()

    assert events(logs) == told


@asynccontextmanager
async def http_1_server() -> AsyncIterator[str]:
    """Run a server that answers whatever comes with an error of HTTP/1.1; give its URL."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(ConnectionError):
                await reader.read(1)
                writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
                await writer.drain()
        finally:  # also where nothing comes until the end
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, family=socket.AF_INET)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
