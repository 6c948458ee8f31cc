from __future__ import annotations

import asyncio
import math
from contextlib import ExitStack, asynccontextmanager, suppress
from typing import TYPE_CHECKING, Self

import grpc
import pytest
from structlog.testing import capture_logs

from otel_embedder.credentials.tls_files import TlsFiles
from otel_embedder.errors import CredentialsError, RetryableExportError
from otel_embedder.exporter.channel import (
    CERTIFICATES_KEPT,
    CERTIFICATES_RENEWED,
    Keepalive,
    NextHop,
)
from otel_embedder.exporter.exporter import OtlpExporter
from otel_embedder.fairness import Turns
from otel_embedder.otlp.wire import parse_request
from tests.support.certificates import Authority, KeyPair
from tests.support.fakes import PATIENCE, FakeMetrics
from tests.support.otlp_samples import request, span
from tests.support.peers import KEEPALIVE, MAX_SENDING_BYTES, FakeNextHop
from tests.support.processes import free_address
from tests.support.seen_file import SeenFile

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, MutableMapping
    from pathlib import Path

    Logs = list[MutableMapping[str, object]]

pytestmark = pytest.mark.timeout(120)

REQUEST = request(span("first"), span("second"))
ONE_ADDRESS = (("grpc.so_reuseport", 0),)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def other_authority(directory: Path) -> Authority:
    directory.mkdir()
    return Authority(directory)


def server_credentials(pair: KeyPair, *clients: Authority) -> grpc.ServerCredentials:
    """Give a server's credentials; it wants its clients' from one of these authorities, if any."""
    trusted = b"".join(client.file.read_bytes() for client in clients)
    return grpc.ssl_server_credentials(
        [(pair.key.read_bytes(), pair.certificate.read_bytes())],
        root_certificates=trusted or None,
        require_client_auth=bool(clients),
    )


def exporting(
    url: str, files: TlsFiles | None = None, keepalive: Keepalive = KEEPALIVE
) -> OtlpExporter:
    return OtlpExporter(
        NextHop(
            url,
            headers={},
            compression="none",
            files=files or TlsFiles(),
            keepalive=keepalive,
            look_seconds=0.05,
        ),
        timeout=PATIENCE,
        max_send_bytes=4_000_000,
        max_sending_bytes=MAX_SENDING_BYTES,
        turns=Turns(),
        metrics=FakeMetrics(),
    )


async def send(exporter: OtlpExporter) -> None:
    wire = parse_request(REQUEST.SerializeToString())
    await exporter.export(wire, deadline=math.inf, metadata=())


async def send_until_taken(exporter: OtlpExporter) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                return await send(exporter)
            except RetryableExportError:
                await asyncio.sleep(0.02)


def events(logs: Logs) -> list[object]:
    return [line["event"] for line in logs]


async def test_tls_to_a_next_hop_that_the_authority_vouches_for(authority: Authority) -> None:
    async with (
        FakeNextHop(credentials=server_credentials(authority.issue("server"))) as next_hop,
        exporting(next_hop.url, TlsFiles(authority.file)) as exporter,
    ):
        await send(exporter)

    assert next_hop.url.startswith("https://")
    assert next_hop.requests == [REQUEST]


async def test_a_next_hop_that_nobody_vouches_for_gets_no_spans(authority: Authority) -> None:
    async with (
        FakeNextHop(credentials=server_credentials(authority.issue("server"))) as next_hop,
        exporting(next_hop.url) as exporter,
    ):
        with pytest.raises(RetryableExportError, match="UNAVAILABLE"):
            await send(exporter)

    assert next_hop.requests == []


async def test_the_next_hop_sees_our_certificate(authority: Authority, tmp_path: Path) -> None:
    clients = other_authority(tmp_path / "clients")
    ours = clients.issue("ours", "sidecar")
    credentials = server_credentials(authority.issue("server"), clients)
    async with FakeNextHop(credentials=credentials) as next_hop:
        async with exporting(next_hop.url, TlsFiles(authority.file)) as exporter:
            with pytest.raises(RetryableExportError, match="UNAVAILABLE"):
                await send(exporter)
        async with exporting(next_hop.url, TlsFiles(authority.file, *ours)) as exporter:
            await send(exporter)

    assert next_hop.requests == [REQUEST]


async def test_a_renewed_certificate_is_shown_without_a_restart(
    authority: Authority, tmp_path: Path
) -> None:
    """The server trusts only the authority of the new one."""
    clients = other_authority(tmp_path / "clients")
    ours = authority.issue("ours", "sidecar")
    key = SeenFile(ours.key)
    credentials = server_credentials(authority.issue("server"), clients)
    async with (
        FakeNextHop(credentials=credentials) as next_hop,
        exporting(next_hop.url, TlsFiles(authority.file, ours.certificate, key)) as exporter,
    ):
        with pytest.raises(RetryableExportError, match="UNAVAILABLE"):
            await send(exporter)
        renewed = clients.issue("renewed", "sidecar")
        renewed.certificate.replace(ours.certificate)
        renewed.key.replace(ours.key)
        await key.seen()
        await send(exporter)

    assert next_hop.requests == [REQUEST]


async def test_a_renewed_authority_is_trusted_without_a_restart(
    authority: Authority, tmp_path: Path
) -> None:
    new = other_authority(tmp_path / "new")
    authorities = SeenFile(authority.file)
    async with (
        FakeNextHop(credentials=server_credentials(new.issue("server"))) as next_hop,
        exporting(next_hop.url, TlsFiles(authorities)) as exporter,
    ):
        with pytest.raises(RetryableExportError, match="UNAVAILABLE"):
            await send(exporter)
        new.file.replace(authorities)
        await authorities.seen()
        await send(exporter)

    assert next_hop.requests == [REQUEST]


async def test_calls_in_flight_outlive_a_renewal_and_their_connection_does_not_outlive_them(
    authority: Authority,
) -> None:
    ours = authority.issue("ours", "sidecar")
    key = SeenFile(ours.key)
    credentials = server_credentials(authority.issue("server"), authority)
    async with (
        FakeNextHop(credentials=credentials) as next_hop,
        Exchange(next_hop.port) as exchange,
        exporting(exchange.url, TlsFiles(authority.file, ours.certificate, key)) as exporter,
    ):
        next_hop.hold()
        before = asyncio.create_task(send(exporter))
        await next_hop.arrived()
        authority.issue("ours", "sidecar")
        await key.seen()
        after = asyncio.create_task(send(exporter))
        await next_hop.arrived()
        meanwhile = exchange.connected
        next_hop.release()
        await asyncio.gather(before, after)
        await exchange.until_connected(1)
        await send(exporter)

    assert meanwhile == 2
    assert exchange.made == 2
    assert next_hop.requests == [REQUEST] * 3


async def test_certificates_that_are_written_again_as_they_were_change_nothing(
    authority: Authority, tmp_path: Path
) -> None:
    authorities = SeenFile(authority.file)
    credentials = server_credentials(authority.issue("server"))
    async with (
        FakeNextHop(credentials=credentials) as next_hop,
        Exchange(next_hop.port) as exchange,
        exporting(exchange.url, TlsFiles(authorities)) as exporter,
    ):
        await send(exporter)
        (tmp_path / "again.pem").write_bytes(authorities.read_bytes())
        (tmp_path / "again.pem").replace(authorities)
        await authorities.seen()
        await send(exporter)

    assert exchange.made == 1
    assert next_hop.requests == [REQUEST] * 2


async def test_what_ends_does_not_wait_for_calls_of_old_certificates(authority: Authority) -> None:
    credentials = server_credentials(authority.issue("server"))
    authorities = SeenFile(authority.file)
    async with FakeNextHop(credentials=credentials) as next_hop:
        with capture_logs() as logs:
            async with (
                exporting(next_hop.url, TlsFiles(authorities)) as exporter,
                asyncio.timeout(PATIENCE / 2),
            ):
                next_hop.hold()
                call = asyncio.create_task(send(exporter))
                await next_hop.arrived()
                authorities.write_bytes(authorities.read_bytes() * 2)
                await authorities.seen()
        async with asyncio.timeout(PATIENCE / 2):
            await next_hop.was_left.wait()
        await asyncio.wait([call])

    assert CERTIFICATES_RENEWED in events(logs)
    assert call.cancelled() or isinstance(call.exception(), RetryableExportError)


async def test_half_renewed_certificates_change_nothing_and_are_told_of_once(
    authority: Authority,
) -> None:
    ours, new = authority.issue("ours", "sidecar"), authority.issue("new", "sidecar")
    key = SeenFile(ours.key)
    credentials = server_credentials(authority.issue("server"), authority)
    with capture_logs() as logs:
        async with (
            FakeNextHop(credentials=credentials) as next_hop,
            exporting(next_hop.url, TlsFiles(authority.file, ours.certificate, key)) as exporter,
        ):
            new.key.replace(key)
            await key.seen()
            await key.seen()
            await send(exporter)
            new.certificate.replace(ours.certificate)
            await key.seen()
            await send(exporter)

    # A look while the second file was put in its place says that it was being written.
    [told] = [line for line in logs if str(ours.key) in str(line.get("reason"))]
    assert told["event"] == CERTIFICATES_KEPT
    assert events(logs).count(CERTIFICATES_RENEWED) == 1
    assert next_hop.requests == [REQUEST] * 2


async def test_certificates_that_go_missing_are_kept(authority: Authority) -> None:
    authorities = SeenFile(authority.file)
    credentials = server_credentials(authority.issue("server"))
    with capture_logs() as logs:
        async with (
            FakeNextHop(credentials=credentials) as next_hop,
            exporting(next_hop.url, TlsFiles(authorities)) as exporter,
        ):
            authorities.unlink()
            await authorities.seen()
            await send(exporter)

    assert events(logs) == [CERTIFICATES_KEPT]
    assert "No such file" in str(logs[0]["reason"])
    # A sidecar may have several channels.
    assert logs[0]["next_hop"] == next_hop.url
    assert next_hop.requests == [REQUEST]


async def test_certificates_that_can_not_be_used_end_the_start(tmp_path: Path) -> None:
    file = tmp_path / "authorities.pem"
    file.write_text("-----BEGIN CERTIFICATE-----")

    with pytest.raises(CredentialsError, match=r"authorities\.pem must be a PEM file"):
        async with exporting("https://localhost:1", TlsFiles(file)):
            pass


async def test_without_tls_certificates_do_not_matter(
    next_hop: FakeNextHop, tmp_path: Path
) -> None:
    async with exporting(next_hop.url, TlsFiles(tmp_path / "missing.pem")) as exporter:
        await send(exporter)

    assert next_hop.requests == [REQUEST]


@asynccontextmanager
async def two_addresses() -> AsyncIterator[tuple[FakeNextHop, FakeNextHop]]:
    """Run two next hops, at the two addresses that the name localhost stands for."""
    async with (
        FakeNextHop(name="localhost", options=ONE_ADDRESS) as first,
        FakeNextHop(host="[::1]", port=first.port, options=ONE_ADDRESS) as second,
    ):
        yield first, second


async def test_all_addresses_of_the_next_hop_are_used() -> None:
    async with two_addresses() as (first, second), exporting(first.url) as exporter:
        async with asyncio.timeout(PATIENCE):
            while not (first.requests and second.requests):
                await send(exporter)


async def test_one_of_several_addresses_may_go_away() -> None:
    async with two_addresses() as (first, second), exporting(first.url) as exporter:
        async with asyncio.timeout(PATIENCE):
            while not (first.requests and second.requests):
                await send(exporter)
        await first.stop()
        first.requests.clear()
        async with asyncio.timeout(PATIENCE):
            while not await are_all_taken(exporter, 10):
                pass  # until it is noticed that the first has gone

    assert first.requests == []


async def are_all_taken(exporter: OtlpExporter, count: int) -> bool:
    try:
        for _ in range(count):
            await send(exporter)
    except RetryableExportError:
        return False
    return True


async def test_a_next_hop_that_comes_back_is_found_again() -> None:
    async with FakeNextHop() as first, exporting(first.url) as exporter:
        await send(exporter)
        await first.stop()
        async with FakeNextHop(port=first.port) as second:
            await send_until_taken(exporter)

    assert second.requests == [REQUEST]


async def test_a_next_hop_that_comes_up_later_is_found() -> None:
    port = int(free_address().rpartition(":")[2])
    async with exporting(f"http://127.0.0.1:{port}") as exporter:
        with pytest.raises(RetryableExportError, match="UNAVAILABLE"):
            await send(exporter)
        async with FakeNextHop(port=port) as next_hop:
            await send_until_taken(exporter)

    assert next_hop.requests == [REQUEST]


async def test_a_connection_that_has_died_in_silence_is_noticed(next_hop: FakeNextHop) -> None:
    next_hop.hold()
    loop = asyncio.get_running_loop()
    started = loop.time()
    async with Wire(next_hop.port) as wire:
        keepalive = Keepalive(interval=0.3, timeout=0.3)
        async with exporting(f"http://127.0.0.1:{wire.port}", keepalive=keepalive) as exporter:
            call = asyncio.create_task(send(exporter))
            await next_hop.arrived()
            wire.cut()
            with pytest.raises(RetryableExportError, match="UNAVAILABLE"):
                await call

    assert loop.time() - started < PATIENCE / 2


class Exchange:
    """A way to a port that counts the connections on it.

    Attributes:
        made: how many there were.
        connected: how many there are.

    """

    def __init__(self, to: int) -> None:
        self.made = 0
        self.connected = 0
        self._to = to
        self._changed = asyncio.Condition()
        self._joining: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        self.url = f"https://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._joining:
            task.cancel()
        await asyncio.gather(*self._joining, return_exceptions=True)

    async def until_connected(self, connections: int) -> None:
        """Wait until there are so many."""
        async with asyncio.timeout(PATIENCE), self._changed:
            await self._changed.wait_for(lambda: self.connected == connections)

    def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._joining.add(asyncio.create_task(self._join(reader, writer)))

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with ExitStack() as ends:
            ends.callback(writer.transport.abort)
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._to)
            ends.callback(far_writer.transport.abort)
            self.made += 1
            await self._count(1)
            # The first end that hangs up ends both.
            there = asyncio.create_task(_carry(reader, far_writer))
            back = asyncio.create_task(_carry(far_reader, writer))
            try:
                await asyncio.wait((there, back), return_when=asyncio.FIRST_COMPLETED)
            finally:
                ends.close()
                await asyncio.gather(there, back, return_exceptions=True)
                await self._count(-1)

    async def _count(self, more: int) -> None:
        async with self._changed:
            self.connected += more
            self._changed.notify_all()


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while some := await reader.read(65_536):
            writer.write(some)


class Wire:
    """A way to a port for one connection, which can die as if its cable was pulled."""

    def __init__(self, to: int) -> None:
        self._to = to
        self._intact = asyncio.Event()
        self._intact.set()
        self._carrying: list[asyncio.Task[None]] = []
        self._writers: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> Self:
        self._far_reader, self._far_writer = await asyncio.open_connection("127.0.0.1", self._to)
        self._writers.append(self._far_writer)
        self._server = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._carrying:
            task.cancel()
        await asyncio.gather(*self._carrying, return_exceptions=True)
        for writer in self._writers:
            writer.transport.abort()
        closings = (writer.wait_closed() for writer in self._writers)
        await asyncio.gather(*closings, return_exceptions=True)

    def cut(self) -> None:
        """Take what comes, and let nothing through."""
        self._intact.clear()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        if self._carrying:
            writer.close()
            return
        for source, target in ((reader, self._far_writer), (self._far_reader, writer)):
            self._carrying.append(asyncio.create_task(self._carry(source, target)))

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while some := await reader.read(65_536):
            await self._intact.wait()
            writer.write(some)
