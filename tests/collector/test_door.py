"""What a real Collector makes of the door's locks: TLS, certificates, tokens, sockets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.certificates import Authority
from tests.support.comparison import delivery, differences, spans_in
from tests.support.generated import requests_of_every_shape
from tests.support.processes import (
    CONFIGURATIONS,
    Sink,
    free_address,
    running_collector,
    running_sidecar,
    send,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tests.support.processes import Collector

pytestmark = [pytest.mark.collector, pytest.mark.integration]

EXPORTER = "exporters::otlp_grpc/sidecar"


@pytest.fixture(autouse=True)
def _model_cache(model_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EMBEDDER_MODEL_CACHE", str(model_cache))


def collector(sidecar: str, directory: Path, *keys: str) -> AbstractContextManager[Collector]:
    """Run a Collector that sends to an address, with more keys of its exporter."""
    environment = {
        "OTELCOL_SIDECAR_ENDPOINT": sidecar,
        "OTELCOL_STORAGE_DIRECTORY": str(directory / "spans"),
    }
    overrides = [f"{EXPORTER}::{key}" for key in keys]
    return running_collector(CONFIGURATIONS / "direct.yaml", environment, overrides=overrides)


def assert_all_came(sent: Sequence[bytes], sink: Sink) -> None:
    assert differences(spans_in(sent), delivery(sink.requests).spans) == []


def test_spans_come_with_tls_both_certificates_and_a_token(tmp_path: Path) -> None:
    authority, sent = Authority(tmp_path), requests_of_every_shape(20)
    server, client = authority.issue("server"), authority.issue("collector")
    (tmp_path / "tokens").write_text("older\ns3cret\n")
    settings = [
        *("--tls-certificate", str(server.certificate), "--tls-key", str(server.key)),
        *("--tls-client-authority", str(authority.file)),
        *("--bearer-token-file", str(tmp_path / "tokens")),
    ]
    keys = [
        "tls::insecure: false",
        f"tls::ca_file: {authority.file}",
        f"tls::cert_file: {client.certificate}",
        f"tls::key_file: {client.key}",
        "headers::authorization: Bearer s3cret",
    ]
    with (
        Sink() as sink,
        running_sidecar(sink.address, settings=settings) as sidecar,
        collector(sidecar.address, tmp_path, *keys) as sender,
    ):
        send(sender.address, sent)
        sink.wait_for_all(sent)

    assert_all_came(sent, sink)


def test_spans_wait_in_the_collector_until_its_token_is_known_here(tmp_path: Path) -> None:
    tokens, sent = tmp_path / "tokens", requests_of_every_shape(20)
    tokens.write_text("old")
    settings = ["--bearer-token-file", str(tokens)]
    with (
        Sink() as sink,
        running_sidecar(sink.address, settings=settings) as sidecar,
        collector(sidecar.address, tmp_path, "headers::authorization: Bearer new") as sender,
    ):
        send(sender.address, sent)
        sender.wait_for_line("Will retry the request", "unauthenticated")
        tokens.write_text("new")
        sink.wait_for_all(sent)

    assert_all_came(sent, sink)


def test_spans_wait_in_the_collector_until_its_certificate_is_trusted_here(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    authority, other = Authority(tmp_path), Authority(tmp_path / "other")
    server, client = authority.issue("server"), other.issue("collector")
    sent = requests_of_every_shape(20)
    settings = [
        *("--tls-certificate", str(server.certificate), "--tls-key", str(server.key)),
        *("--tls-client-authority", str(authority.file)),
    ]
    keys = [
        "tls::insecure: false",
        f"tls::ca_file: {tmp_path / 'trusted.pem'}",
        f"tls::cert_file: {client.certificate}",
        f"tls::key_file: {client.key}",
    ]
    (tmp_path / "trusted.pem").write_bytes(authority.file.read_bytes())
    with (
        Sink() as sink,
        running_sidecar(sink.address, settings=settings) as sidecar,
        collector(sidecar.address, tmp_path, *keys) as sender,
    ):
        send(sender.address, sent)
        sender.wait_for_line("Will retry the request", "Unavailable")
        authority.file.write_bytes(other.file.read_bytes())
        sink.wait_for_all(sent)

    assert_all_came(sent, sink)


def test_spans_come_through_a_unix_socket(tmp_path: Path) -> None:
    address, sent = f"unix://{tmp_path / 'sidecar.sock'}", requests_of_every_shape(20)
    with (
        Sink() as sink,
        running_sidecar(sink.address, listen=f"{address},{free_address()}"),
        collector(address, tmp_path) as sender,
    ):
        send(sender.address, sent)
        sink.wait_for_all(sent)

    assert_all_came(sent, sink)
