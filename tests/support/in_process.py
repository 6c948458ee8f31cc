"""A sidecar in the test's own process, and a client of it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple

from otel_embedder.settings import load_settings
from otel_embedder.sidecar.sidecar import running
from otel_embedder.telemetry.metrics import Metrics
from tests.support.fakes import PATIENCE
from tests.support.peers import Client

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


class InProcess(NamedTuple):
    """A sidecar in this process, and a client of it."""

    url: str
    client: Client
    metrics: Metrics


@asynccontextmanager
async def sidecar_in_process(next_hop: str, **flags: object) -> AsyncIterator[InProcess]:
    """Run a sidecar on a free port; `flags` are more of its settings, or other ones."""
    settings = load_settings(
        {
            "listen": "127.0.0.1:0",
            "next_hop": next_hop,
            "metrics_listen": "",
            "model_threads": 1,
            "embed_timeout": PATIENCE,
            **flags,
        }
    )
    metrics = Metrics()
    async with running(settings, metrics) as port, Client(port) as client:
        yield InProcess(f"http://127.0.0.1:{port}", client, metrics)


def tiny_model(tiny_bert: Path) -> dict[str, object]:
    """Give the settings for a model of no sense, and for a cache beside it."""
    return {"model": str(tiny_bert), "model_cache": tiny_bert.parent / "cache"}
