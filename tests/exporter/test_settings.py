from __future__ import annotations

import math
from typing import TYPE_CHECKING

import grpc
import pytest

from otel_embedder.errors import SettingsError
from otel_embedder.otlp.wire import parse_request
from otel_embedder.settings import load_settings
from otel_embedder.sidecar.service import otlp_exporter
from otel_embedder.telemetry.metrics import Metrics
from tests.support.certificates import Authority, KeyPair
from tests.support.otlp_samples import request, span
from tests.support.peers import FakeNextHop

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def pair(tmp_path: Path) -> KeyPair:
    return Authority(tmp_path).issue("ours")


def problem(**flags: object) -> str:
    with pytest.raises(SettingsError) as caught:
        load_settings(flags)
    [only] = caught.value.problems
    return only


def test_a_client_certificate_comes_with_its_key(pair: KeyPair) -> None:
    settings = load_settings(
        {"next_hop_client_certificate": pair.certificate, "next_hop_client_key": pair.key}
    )

    assert settings.next_hop_client_certificate == pair.certificate
    assert settings.next_hop_client_key == pair.key


def test_a_client_certificate_without_its_key_is_an_error(pair: KeyPair) -> None:
    said = problem(next_hop_client_certificate=pair.certificate)

    assert said.startswith("next_hop_client_key (")
    assert "must be given, as next_hop_client_certificate is" in said


def test_a_client_key_without_a_certificate_is_an_error(pair: KeyPair) -> None:
    said = problem(next_hop_client_key=pair.key)

    assert "is of no use without next_hop_client_certificate" in said


def test_a_key_of_another_certificate_is_an_error(pair: KeyPair, tmp_path: Path) -> None:
    another = Authority(tmp_path).issue("another")

    said = problem(next_hop_client_certificate=pair.certificate, next_hop_client_key=another.key)

    assert said.startswith("next_hop_client_key (")
    assert "must be the private key of the certificate" in said


def test_a_wrong_certificate_is_not_blamed_on_its_key(pair: KeyPair) -> None:
    said = problem(next_hop_client_certificate=pair.key, next_hop_client_key=pair.key)

    assert said.startswith("next_hop_client_certificate (")
    assert "must be a PEM file with certificates" in said


@pytest.mark.parametrize("signal", ["", "TRACES_"])
def test_the_exporters_own_variables_name_the_client_certificate(
    pair: KeyPair, signal: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"OTEL_EXPORTER_OTLP_{signal}CLIENT_CERTIFICATE", str(pair.certificate))
    monkeypatch.setenv(f"OTEL_EXPORTER_OTLP_{signal}CLIENT_KEY", str(pair.key))

    settings = load_settings({})

    assert settings.next_hop_client_certificate == pair.certificate
    assert settings.next_hop_client_key == pair.key


@pytest.mark.parametrize(
    ("variables", "next_hop"),
    [
        ({"ENDPOINT": "backend:4317"}, "https://backend:4317"),
        ({"ENDPOINT": "backend:4317", "INSECURE": "false"}, "https://backend:4317"),
        ({"ENDPOINT": "backend:4317", "INSECURE": "1"}, "https://backend:4317"),
        ({"ENDPOINT": "backend:4317", "INSECURE": "True"}, "http://backend:4317"),
        ({"TRACES_ENDPOINT": "backend:4317", "INSECURE": "true"}, "http://backend:4317"),
        (
            {"ENDPOINT": "backend:4317", "INSECURE": "true", "TRACES_INSECURE": "false"},
            "https://backend:4317",
        ),
        ({"ENDPOINT": "http://backend:4317", "INSECURE": "false"}, "http://backend:4317"),
        ({"ENDPOINT": "https://backend:4317", "INSECURE": "true"}, "https://backend:4317"),
        ({"INSECURE": "true"}, "http://127.0.0.1:4337"),
    ],
)
def test_insecure_speaks_only_where_the_endpoint_has_no_scheme(
    variables: dict[str, str], next_hop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the OpenTelemetry specification says; only "true" is true."""
    for name, value in variables.items():
        monkeypatch.setenv(f"OTEL_EXPORTER_OTLP_{name}", value)

    assert load_settings({}).next_hop == next_hop


async def test_the_settings_reach_the_channel_and_the_limit_is_told(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    server, ours = authority.issue("server"), authority.issue("ours", "sidecar")
    credentials = grpc.ssl_server_credentials(
        [(server.key.read_bytes(), server.certificate.read_bytes())],
        root_certificates=authority.file.read_bytes(),
        require_client_auth=True,
    )
    limit = (("grpc.max_receive_message_length", 3_000),)
    metrics = Metrics()
    spans = [span("any", {"filler": "x" * 200})] * 40
    async with FakeNextHop(credentials=credentials, options=limit) as next_hop:
        settings = load_settings(
            {
                "next_hop": next_hop.url,
                "next_hop_certificate": authority.file,
                "next_hop_client_certificate": ours.certificate,
                "next_hop_client_key": ours.key,
            }
        )
        async with otlp_exporter(settings, metrics) as exporter:
            before = metrics.value("exporter_send_limit_bytes")
            wire = parse_request(request(*spans).SerializeToString())
            await exporter.export(wire, deadline=math.inf, metadata=())
            after = metrics.value("exporter_send_limit_bytes")

    assert next_hop.spans() == spans
    assert (before, after) == (settings.max_send_bytes, 3_000)
    assert metrics.value("exporter_sent_spans_total") == 40
    assert metrics.value("exporter_retried_spans_total") == 0
