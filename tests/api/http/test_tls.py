from __future__ import annotations

import ssl
import time
from typing import TYPE_CHECKING

import httpx2
import pytest
from structlog.testing import capture_logs

from otel_embedder.api.http.tls import PAGE_TLS_NOT_RENEWED, PAGE_TLS_RENEWED, tls_context
from otel_embedder.api.opening import showing
from otel_embedder.api.settings import PageSettings
from otel_embedder.api.telling import Telling
from otel_embedder.credentials.tls_files import TlsFiles
from otel_embedder.errors import SettingsError
from otel_embedder.search.stores.memory import MemoryStore
from otel_embedder.telemetry.metrics import Metrics
from tests.support.certificates import Authority
from tests.support.made_up import Seen
from tests.support.sites import a_catalogue, served

if TYPE_CHECKING:
    from pathlib import Path

PATIENCE = 60


def test_other_hosts_look_over_tls_with_a_token_and_a_cookie_that_is_for_tls_alone(
    tmp_path: Path,
) -> None:
    authority = Authority(tmp_path)
    pair = authority.issue("page")
    settings = PageSettings.model_validate(
        {
            "http_listen": "127.0.0.1:0",
            "http_certificate": pair.certificate,
            "http_key": pair.key,
            "http_token": "secret",
        }
    )
    catalogue = a_catalogue(MemoryStore())
    telling = Telling(lambda: catalogue, "memory", None)
    trust = ssl.create_default_context(cafile=authority.file)
    with (
        showing(settings, lambda: catalogue, telling, Metrics()) as address,
        httpx2.Client(base_url=address, verify=trust, timeout=PATIENCE) as client,
    ):
        assert address.startswith("https://127.0.0.1:")
        assert client.get("/api/v1/status").status_code == 401
        begun = client.post("/api/v1/session", json={"token": "secret"})
        assert "; secure" in begun.headers["set-cookie"].lower()
        assert client.get("/api/v1/status").status_code == 200


def test_a_renewed_certificate_is_shown_and_a_half_written_one_is_not(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    pair = authority.issue("page")
    trust = ssl.create_default_context(cafile=authority.file)
    with (
        capture_logs() as lines,
        tls_context(TlsFiles(None, pair.certificate, pair.key), look_seconds=0.01) as context,
        served(Seen("bank"), context=context) as site,
    ):

        def shown() -> str:
            return ssl.get_server_certificate(("127.0.0.1", site.port))

        def until(event: str) -> None:
            end = time.monotonic() + PATIENCE
            while event not in [line["event"] for line in lines]:
                assert time.monotonic() < end, f"no {event} was told"
                time.sleep(0.01)

        before = shown()
        pair.key.write_text("half")
        until(PAGE_TLS_NOT_RENEWED)
        assert shown() == before
        authority.issue("page")
        until(PAGE_TLS_RENEWED)
        assert shown() != before
        with httpx2.Client(verify=trust, timeout=PATIENCE) as client:
            assert client.get(f"https://127.0.0.1:{site.port}/healthz").status_code == 200


def test_a_certificate_that_is_gone_is_an_error_that_names_the_setting(tmp_path: Path) -> None:
    files = TlsFiles(None, tmp_path / "gone.pem", tmp_path / "gone.key")
    with pytest.raises(SettingsError, match="http_certificate"), tls_context(files):
        pass
