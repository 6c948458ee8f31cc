from __future__ import annotations

import asyncio
import socket
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import httpx2
import pytest
from structlog.testing import capture_logs

from otel_embedder.errors import SettingsError
from otel_embedder.settings import load_settings
from otel_embedder.sidecar.checks import CHECKS
from otel_embedder.sidecar.page import PAGE_SHOWN
from tests.support.certificates import Authority
from tests.support.fakes import PATIENCE
from tests.support.in_process import sidecar_in_process, tiny_model
from tests.support.otlp_samples import new_span, request
from tests.support.peers import FakeNextHop

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
    from opentelemetry.proto.trace.v1.trace_pb2 import Span

pytestmark = [pytest.mark.timeout(120), pytest.mark.integration]

SEARCH = "/api/v1/search?question=pay"


def address_in(lines: Iterable[Mapping[str, str]]) -> str:
    return next(line["address"] for line in lines if line["event"] == PAGE_SHOWN)


async def found(client: httpx2.AsyncClient, *, patience: float = 20) -> list[dict[str, object]]:
    """Ask until there are hits."""
    until = time.monotonic() + patience
    hits: list[dict[str, object]] = []
    while not hits and time.monotonic() < until:
        answer = await client.get(SEARCH)
        assert answer.status_code in {200, 503}, answer.text
        hits = answer.json().get("hits", [])
        await asyncio.sleep(0.1)
    return hits


@pytest.mark.parametrize("kept", ["memory", "sqlite"])
async def test_what_passes_a_sidecar_is_found_on_its_page(
    tmp_path: Path, tiny_bert: Path, kept: str
) -> None:
    url = "memory" if kept == "memory" else f"sqlite:///{tmp_path}/catalogue.db"
    options = {"catalogue": url, "catalogue_interval": 0.2, "http_listen": "127.0.0.1:0"}
    with capture_logs() as lines:
        async with (
            FakeNextHop() as next_hop,
            sidecar_in_process(next_hop.url, **tiny_model(tiny_bert), **options) as sidecar,
            httpx2.AsyncClient(base_url=address_in(lines), timeout=PATIENCE) as client,
        ):
            await sidecar.client.export(request(new_span("pay a bill")))
            [hit] = await found(client)
            status = (await client.get("/api/v1/status")).json()
    assert "pay a bill" in str(hit["text"])
    assert status["sidecar"]["next_hop"] == next_hop.url
    assert status["catalogue"]["texts"] == 1


async def test_spans_mind_neither_slow_connections_nor_many_questions(tiny_bert: Path) -> None:
    options = {"catalogue": "memory", "catalogue_interval": 0.2, "http_listen": "127.0.0.1:0"}
    spans = 50
    with capture_logs() as lines:
        async with (
            FakeNextHop() as next_hop,
            sidecar_in_process(next_hop.url, **tiny_model(tiny_bert), **options) as sidecar,
            httpx2.AsyncClient(base_url=address_in(lines), timeout=30) as client,
        ):
            with ExitStack() as slow:
                port = httpx2.URL(address_in(lines)).port
                for _ in range(300):
                    each = slow.enter_context(socket.create_connection(("127.0.0.1", port)))
                    each.sendall(b"GET / HT")
                asking = [asyncio.create_task(client.get(SEARCH)) for _ in range(100)]
                for number in range(spans):
                    await sidecar.client.export(request(new_span(f"pay {number}")))
                answers = await asyncio.gather(*asking)
    assert (
        sum(
            len(each.scope_spans[0].spans)
            for sent in next_hop.requests
            for each in sent.resource_spans
        )
        == spans
    )
    # Those for whom there is no room are told when to come again.
    assert 200 in {each.status_code for each in answers} <= {200, 503}


async def test_fifty_searches_at_once_lose_no_span(tiny_bert: Path) -> None:
    options = {"catalogue": "memory", "catalogue_interval": 0.2, "http_listen": "127.0.0.1:0"}
    known = [new_span(f"pay bill {number}") for number in range(20)]
    requests = [request(*(new_span(f"pay {n} {place}") for place in range(5))) for n in range(30)]
    with capture_logs() as lines:
        async with (
            FakeNextHop() as next_hop,
            sidecar_in_process(next_hop.url, **tiny_model(tiny_bert), **options) as sidecar,
            httpx2.AsyncClient(base_url=address_in(lines), timeout=30) as client,
        ):
            await sidecar.client.export(request(*known))
            assert await found(client)
            asking = [asyncio.create_task(client.get(SEARCH)) for _ in range(50)]
            await asyncio.gather(*map(sidecar.client.export, requests))
            answers = await asyncio.gather(*asking)
    assert [each.status_code for each in answers] == [200] * 50
    assert all(each.json()["hits"] for each in answers)
    arrived = [span for sent in next_hop.requests for span in spans_in(sent)]
    sent = [*known, *(span for each in requests for span in spans_in(each))]
    assert sorted(span.span_id for span in arrived) == sorted(span.span_id for span in sent)
    assert all(any(each.key == "embedding.vector" for each in span.attributes) for span in arrived)


def spans_in(sent: ExportTraceServiceRequest) -> Iterable[Span]:
    return (span for each in sent.resource_spans for span in each.scope_spans[0].spans)


async def test_a_catalogue_that_is_not_there_is_told_and_no_span_minds(
    tmp_path: Path, tiny_bert: Path
) -> None:
    url = f"sqlite:///{tmp_path}/no/such/folder/catalogue.db"
    options = {"catalogue": url, "http_listen": "127.0.0.1:0"}
    with capture_logs() as lines:
        async with (
            FakeNextHop() as next_hop,
            sidecar_in_process(next_hop.url, **tiny_model(tiny_bert), **options) as sidecar,
            httpx2.AsyncClient(base_url=address_in(lines), timeout=PATIENCE) as client,
        ):
            await sidecar.client.export(request(new_span("pay a bill")))
            answer = await client.get(SEARCH)
            page = await client.get("/")
    assert answer.status_code == 503
    assert str(tmp_path) in answer.json()["detail"]
    assert page.status_code == 200
    assert len(next_hop.requests) == 1


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"http_listen": "0.0.0.0:4329"}, "TLS (http_certificate and http_key) and a token"),
        ({"http_listen": "0.0.0.0:4329", "http_token": "x"}, "give TLS (http_cert"),
        ({"http_listen": "page.example:4329", "http_insecure": True}, ""),
        ({"http_listen": "127.0.0.1:4329"}, ""),
        ({"http_listen": "[::1]:4329"}, ""),
    ],
)
def test_other_hosts_look_by_tls_and_with_a_token_or_on_purpose(
    given: dict[str, object], words: str
) -> None:
    flags = {"catalogue": "memory", **given}
    if not words:
        load_settings(flags, CHECKS)
        return
    with pytest.raises(SettingsError, match="http-listen") as raised:
        load_settings(flags, CHECKS)
    assert words in str(raised.value)


def test_a_page_without_a_catalogue_is_refused() -> None:
    with pytest.raises(SettingsError, match="set catalogue, too"):
        load_settings({"http_listen": "127.0.0.1:4329"}, CHECKS)


def test_other_hosts_may_look_with_both(tmp_path: Path) -> None:
    pair = Authority(tmp_path).issue("page")
    (tmp_path / "tokens").write_text("secret\n")
    load_settings(
        {
            "catalogue": "memory",
            "http_listen": "0.0.0.0:4329",
            "http_certificate": pair.certificate,
            "http_key": pair.key,
            "http_token_file": tmp_path / "tokens",
        },
        CHECKS,
    )
