from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING

import grpc
import pytest
from structlog.testing import capture_logs

from otel_embedder.errors import SettingsError
from otel_embedder.exporter.exporter import PROXY_UNUSED, OtlpExporter, otlp_exporter
from otel_embedder.exporter.settings import NextHopSettings
from otel_embedder.fairness import Turns
from otel_embedder.otlp.wire import parse_request
from otel_embedder.telemetry.metrics import Metrics
from tests.support.certificates import Authority, KeyPair
from tests.support.otlp_samples import request, span
from tests.support.peers import MAX_SENDING_BYTES, FakeNextHop
from tests.support.settings import problem_of

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path


@pytest.fixture
def pair(tmp_path: Path) -> KeyPair:
    return Authority(tmp_path).issue("ours")


def problem(**values: object) -> str:
    return problem_of(NextHopSettings, **values)


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        ("https://backend.example", "needs a port, such as https://backend.example:4317"),
        ("http://[::1]", "needs a port, such as http://[::1]:4317"),
        ("http://backend:99999", "needs a port up to 65535, such as http://backend:4317"),
        ("https://backend:grpc", "needs a port up to 65535, such as https://backend:4317"),
        ("http://backend:4318/v1/traces", "only OTLP/gRPC is spoken here: http://backend:4317"),
    ],
)
def test_what_is_nearly_an_address_is_told_what_it_lacks(url: str, hint: str) -> None:
    assert hint in problem(next_hop=url)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("next_hop", "backend:4317"),
        ("next_hop", "http://backend"),
        ("next_hop", "grpc://backend:4317"),
        ("next_hop", "http://backend:4317/v1/traces"),
        ("next_hop", "http://[::1"),
        ("next_hop_headers", "no equals"),
        ("next_hop_headers", "=value"),
        ("next_hop_headers", "a key=value"),
        ("next_hop_headers", "key=%0A"),
        ("next_hop_compression", "zstd"),
        ("next_hop_certificate", "missing.pem"),
        ("next_hop_timeout", "0"),
        ("next_hop_timeout", "inf"),  # gRPC takes it for a time long past
        ("max_send_bytes", "many"),
    ],
)
def test_a_wrong_value_is_the_one_problem(
    field: str, value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    assert problem(**{field: value}).startswith(f"{field}: ")


def test_a_header_may_be_written_in_capitals() -> None:
    # gRPC refuses to send one that is not in lower case.
    settings = NextHopSettings(next_hop_headers={"Authorization": "Bearer x"})

    assert settings.next_hop_headers == {"authorization": "Bearer x"}


def test_a_client_certificate_comes_with_its_key(pair: KeyPair) -> None:
    settings = NextHopSettings(
        next_hop_client_certificate=pair.certificate, next_hop_client_key=pair.key
    )

    assert settings.next_hop_client_certificate == pair.certificate
    assert settings.next_hop_client_key == pair.key


def test_a_client_certificate_without_its_key_is_an_error(pair: KeyPair) -> None:
    said = problem(next_hop_client_certificate=pair.certificate)

    assert said.startswith("next_hop_client_key: ")
    assert "must be given, as next_hop_client_certificate is" in said


def test_a_client_key_without_a_certificate_is_an_error(pair: KeyPair) -> None:
    said = problem(next_hop_client_key=pair.key)

    assert "is of no use without next_hop_client_certificate" in said


def test_a_key_of_another_certificate_is_an_error(pair: KeyPair, tmp_path: Path) -> None:
    another = Authority(tmp_path).issue("another")

    said = problem(next_hop_client_certificate=pair.certificate, next_hop_client_key=another.key)

    assert said.startswith("next_hop_client_key: ")
    assert "must be the private key of the certificate" in said


def test_a_wrong_certificate_is_not_blamed_on_its_key(pair: KeyPair) -> None:
    said = problem(next_hop_client_certificate=pair.key, next_hop_client_key=pair.key)

    assert said.startswith("next_hop_client_certificate: ")
    assert "must be a PEM file with certificates" in said


def test_a_certificate_must_be_one(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("a poem")

    assert "must be a PEM file with certificates" in problem(
        next_hop_certificate=tmp_path / "ca.pem"
    )


@pytest.mark.parametrize("field", ["next_hop_certificate", "next_hop_client_certificate"])
def test_to_begin_like_a_certificate_is_not_enough(field: str, tmp_path: Path) -> None:
    (tmp_path / "half.pem").write_text("-----BEGIN CERTIFICATE-----\nMIIB")

    said = problem(**{field: tmp_path / "half.pem"})

    assert said == f"{field}: must be a PEM file with certificates"


def test_by_default_we_ping_no_more_often_than_a_next_hop_allows_by_default() -> None:
    """Every five minutes, by gRPC's specification; who pings more often is hung up on."""
    assert NextHopSettings().next_hop_keepalive > 300


async def test_the_settings_reach_the_channel_and_the_limit_is_told(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    server, ours = authority.issue("server"), authority.issue("ours", "sidecar")
    credentials = grpc.ssl_server_credentials(
        [(server.key.read_bytes(), server.certificate.read_bytes())],
        root_certificates=authority.file.read_bytes(),
        require_client_auth=True,
    )
    limit = (("grpc.max_receive_message_length", 100_000),)
    metrics = Metrics()
    spans = [span("any", {"filler": "x" * 10_000})] * 40
    async with FakeNextHop(credentials=credentials, options=limit) as next_hop:
        settings = await asyncio.to_thread(
            NextHopSettings,
            next_hop=next_hop.url,
            next_hop_certificate=authority.file,
            next_hop_client_certificate=ours.certificate,
            next_hop_client_key=ours.key,
        )
        async with exporting(settings, metrics) as exporter:
            before = metrics.value("exporter_send_limit_bytes")
            wire = parse_request(request(*spans).SerializeToString())
            await exporter.export(wire, deadline=math.inf, metadata=())
            after = metrics.value("exporter_send_limit_bytes")

    assert next_hop.spans() == spans
    assert (before, after) == (settings.max_send_bytes, 100_000)
    assert metrics.value("exporter_sent_spans_total") == 40
    assert metrics.value("exporter_retried_spans_total") == 0


async def test_certificates_that_turn_bad_before_the_start_are_wrong_settings(
    tmp_path: Path,
) -> None:
    authority = Authority(tmp_path)
    settings = await asyncio.to_thread(
        NextHopSettings, next_hop="https://localhost:1", next_hop_certificate=authority.file
    )
    authority.file.write_text("half a certificate")

    with pytest.raises(SettingsError, match=r"next_hop_certificate, .*must be a PEM file"):
        async with exporting(settings, Metrics()):
            pass


@pytest.mark.parametrize(
    ("url", "lines"),
    [
        ("https://backend.example:4317", ["HTTPS_PROXY is set, and not used"]),
        ("https://inside.example:4317", []),
        ("http://backend.example:4317", []),
        ("https://localhost:4317", []),
    ],
)
async def test_a_proxy_for_the_web_that_is_not_used_is_told(
    url: str, lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", "inside.example")
    with capture_logs() as logs:
        async with exporting(NextHopSettings(next_hop=url), Metrics()):
            pass

    told = [line["hint"].partition(":")[0] for line in logs if line["event"] == PROXY_UNUSED]
    assert told == lines


@pytest.mark.parametrize("name", ["grpc_proxy", "ALL_PROXY"])
async def test_a_proxy_for_all_is_told_too(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "http://proxy.example:3128")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with capture_logs() as logs:
        async with exporting(NextHopSettings(next_hop="http://backend.example:4317"), Metrics()):
            pass

    assert PROXY_UNUSED in [line["event"] for line in logs]


def exporting(
    settings: NextHopSettings, metrics: Metrics
) -> AbstractAsyncContextManager[OtlpExporter]:
    return otlp_exporter(settings, metrics, max_sending_bytes=MAX_SENDING_BYTES, turns=Turns())
