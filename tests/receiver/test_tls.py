from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import grpc
import grpc.aio
import pytest
from structlog.testing import capture_logs

from otel_embedder.credentials.tls_files import TlsFiles
from otel_embedder.errors import SettingsError
from otel_embedder.receiver.closing import Closing
from otel_embedder.receiver.server import listening
from otel_embedder.receiver.tls import TLS_NOT_RENEWED, TLS_RENEWED, Renewal
from otel_embedder.receiver.traces import TraceReceiver
from otel_embedder.settings import load_settings
from tests.support.certificates import Authority, KeyPair
from tests.support.door import new_calls, new_messages
from tests.support.fakes import FakeConsumer, FakeMetrics
from tests.support.otlp_samples import request, span
from tests.support.peers import Client

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def stranger(tmp_path: Path) -> Authority:
    (tmp_path / "stranger").mkdir()
    return Authority(tmp_path / "stranger")


@pytest.fixture
def pair(authority: Authority) -> KeyPair:
    return authority.issue("server")


@asynccontextmanager
async def receiving(pair: KeyPair, client_authority: Authority | None = None) -> AsyncIterator[str]:
    """Run a receiver with TLS; give the address that its certificate is for."""
    settings = load_settings(
        {
            "listen": "127.0.0.1:0",
            "tls_certificate": pair.certificate,
            "tls_key": pair.key,
            **({"tls_client_authority": client_authority.file} if client_authority else {}),
        }
    )
    metrics = FakeMetrics()
    messages = new_messages(metrics, max_bytes=9_999)
    receiver = TraceReceiver(FakeConsumer(), new_calls(metrics), messages, metrics=metrics)
    async with listening([receiver.rpc_handler()], settings, Closing()) as port:
        yield f"127.0.0.1:{port}"


def trusting(authority: Authority, own: KeyPair | None = None) -> grpc.ChannelCredentials:
    roots = authority.file.read_bytes()
    if own is None:
        return grpc.ssl_channel_credentials(roots)
    return grpc.ssl_channel_credentials(roots, own.key.read_bytes(), own.certificate.read_bytes())


async def export(address: str, credentials: grpc.ChannelCredentials | None) -> None:
    """Send a span over a connection of its own."""
    async with Client(address, credentials=credentials) as client:
        await client.export(request(span()))


async def refusal(
    address: str, credentials: grpc.ChannelCredentials | None
) -> grpc.aio.AioRpcError:
    async with Client(address, credentials=credentials) as client:
        return await client.refusal(request(span()))


async def test_who_trusts_the_certificates_authority_may_send(
    authority: Authority, pair: KeyPair
) -> None:
    async with receiving(pair) as address:
        await export(address, trusting(authority))


async def test_who_speaks_no_tls_or_trusts_another_keeps_the_spans(
    stranger: Authority, pair: KeyPair
) -> None:
    async with receiving(pair) as address:
        refusals = [await refusal(address, wrong) for wrong in (None, trusting(stranger))]

    assert [error.code() for error in refusals] == [grpc.StatusCode.UNAVAILABLE] * 2


async def test_clients_must_have_a_certificate_of_the_right_authority(
    authority: Authority, stranger: Authority, pair: KeyPair
) -> None:
    theirs, unknown = authority.issue("collector"), stranger.issue("collector")
    async with receiving(pair, authority) as address:
        await export(address, trusting(authority, theirs))
        refusals = [await refusal(address, trusting(authority, own)) for own in (None, unknown)]

    assert [error.code() for error in refusals] == [grpc.StatusCode.UNAVAILABLE] * 2


async def test_a_renewed_certificate_is_shown_to_whoever_comes_next(
    authority: Authority, stranger: Authority, pair: KeyPair
) -> None:
    with capture_logs() as logs:
        async with (
            receiving(pair) as address,
            Client(address, credentials=trusting(authority)) as early,
        ):
            await early.export(request(span()))
            replace(pair, stranger.issue("server"))
            await export(address, trusting(stranger))
            await early.export(request(span()))  # its connection is as good as it was

    assert [line["event"] for line in logs] == [TLS_RENEWED]


async def test_a_certificate_without_its_key_changes_nothing_until_the_key_is_there(
    authority: Authority, stranger: Authority, pair: KeyPair
) -> None:
    renewed = stranger.issue("server")
    with capture_logs() as logs:
        async with receiving(pair) as address:
            renewed.certificate.replace(pair.certificate)
            for _ in range(3):
                await export(address, trusting(authority))
            renewed.key.replace(pair.key)
            await export(address, trusting(stranger))

    assert [line["event"] for line in logs] == [TLS_NOT_RENEWED, TLS_RENEWED]
    assert "KEY_VALUES_MISMATCH" in logs[0]["error"]


async def test_files_that_vanish_change_nothing(authority: Authority, pair: KeyPair) -> None:
    with capture_logs() as logs:
        async with receiving(pair) as address:
            pair.key.unlink()
            for _ in range(3):
                await export(address, trusting(authority))

    assert [line["event"] for line in logs] == [TLS_NOT_RENEWED]


async def test_another_authority_of_clients_is_picked_up(
    authority: Authority, stranger: Authority, pair: KeyPair
) -> None:
    own = stranger.issue("collector")
    async with receiving(pair, authority) as address:
        credentials = trusting(authority, own)
        before = await refusal(address, credentials)
        authority.file.write_bytes(stranger.file.read_bytes())
        await export(address, credentials)

    assert before.code() is grpc.StatusCode.UNAVAILABLE


def test_as_long_as_nothing_changes_there_is_nothing_new(authority: Authority) -> None:
    pair = authority.issue("server")
    renewal = Renewal(TlsFiles(None, pair.certificate, pair.key))

    assert renewal() is None
    pair.key.touch()
    assert renewal() is None
    authority.issue("server")
    assert renewal() is not None
    assert renewal() is None


def test_what_is_wrong_is_told_of_once_until_it_is_mended(
    authority: Authority, pair: KeyPair
) -> None:
    renewal = Renewal(TlsFiles(None, pair.certificate, pair.key))
    other = authority.issue("other")
    other.key.replace(pair.key)
    with capture_logs() as logs:
        assert [renewal(), renewal()] == [None, None]
    other.certificate.replace(pair.certificate)

    assert [line["event"] for line in logs] == [TLS_NOT_RENEWED]
    assert renewal() is not None


async def test_a_key_that_is_gone_before_the_start_is_an_error(pair: KeyPair) -> None:
    settings = load_settings(
        {"listen": "127.0.0.1:0", "tls_certificate": pair.certificate, "tls_key": pair.key}
    )
    pair.key.unlink()

    with pytest.raises(SettingsError, match=r"tls_key: .* can't be read: No such file"):
        async with listening([], settings, Closing()):
            pass


def replace(pair: KeyPair, renewed: KeyPair) -> None:
    """Put a new certificate in the place of an old one, the key first."""
    renewed.key.replace(pair.key)
    renewed.certificate.replace(pair.certificate)
