from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from otel_embedder.errors import SettingsError
from otel_embedder.settings import load_settings
from otel_embedder.sidecar.checks import check_next_hop
from otel_embedder.sidecar.service import running
from otel_embedder.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("listen", "next_hop"),
    [
        ("127.0.0.1:4327", "http://127.0.0.1:4327"),
        ("127.0.0.1:4327", "http://localhost:4327"),
        ("127.0.0.1:4327", "https://localhost:4327"),
        ("localhost:4327", "http://[::1]:4327"),
        ("0.0.0.0:4327", "http://127.0.0.1:4327"),
        ("[::]:4327", "http://localhost:4327"),
        ("[::]:4327", "http://127.0.0.9:4327"),
        ("127.0.0.1:4327", "http://0.0.0.0:4327"),
        ("10.0.0.5:4327", "http://10.0.0.5:4327"),
        ("sidecar:4327", "http://sidecar:4327"),
        ("unix:/run/embedder.sock,127.0.0.1:4327", "http://localhost:4327"),
        ("127.0.0.1:4327, [::1]:4328", "http://[::1]:4328"),
    ],
)
def test_a_next_hop_that_is_the_sidecar_itself_is_found_in_the_settings(
    listen: str, next_hop: str
) -> None:
    with pytest.raises(SettingsError, match="is where this sidecar itself listens"):
        check_next_hop(listen, next_hop)


@pytest.mark.parametrize(
    ("listen", "next_hop"),
    [
        ("127.0.0.1:4327", "http://127.0.0.1:4337"),
        ("127.0.0.1:4327", "http://127.0.0.2:4327"),
        ("127.0.0.1:4327", "http://[::1]:4327"),
        ("0.0.0.0:4327", "http://collector:4327"),
        ("0.0.0.0:4327", "http://10.0.0.5:4327"),
        ("127.0.0.1:4327", "http://collector:4327"),
        ("unix:/run/embedder.sock", "http://localhost:4327"),
    ],
)
def test_another_next_hop_is_none_of_our_business(listen: str, next_hop: str) -> None:
    check_next_hop(listen, next_hop)


async def test_a_variable_for_a_whole_pod_ends_the_start_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4327")
    settings = load_settings({"model": str(tmp_path), "listen": "127.0.0.1:4327"})

    with pytest.raises(SettingsError, match="OTEL_EMBEDDER_NEXT_HOP goes before it"):
        async with running(settings, Metrics()):
            pass
