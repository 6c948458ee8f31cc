"""The same question, asked in four ways: on the command line, over HTTP, by RPC and as a tool."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import httpx2
import pytest
from mcp import Client as McpClient
from mcp import StdioServerParameters
from opentelemetry.proto.trace.v1.trace_pb2 import Status
from structlog.testing import capture_logs

from otel_embedder.api.rpc.catalogue import CATALOGUE_SERVICE
from otel_embedder.cli import run
from otel_embedder.proto.v1 import catalogue_pb2 as pb
from otel_embedder.sidecar.page import PAGE_SHOWN
from tests.support.fakes import PATIENCE
from tests.support.in_process import sidecar_in_process, tiny_model
from tests.support.otlp_samples import new_span, request
from tests.support.peers import FakeNextHop
from tests.support.processes import OTEL_EMBEDDER, own_environment

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping
    from pathlib import Path

    import grpc.aio
    from google.protobuf.message import Message
    from opentelemetry.proto.trace.v1.trace_pb2 import Span

    from tests.support.in_process import InProcess

pytestmark = [pytest.mark.timeout(90), pytest.mark.integration]

NAMES = ("pay a bill", "ask for the time", "pay by card", "send a parcel", "bill of the bank")
Found = list[tuple[str, float]]
Answer = TypeVar("Answer", bound="Message")


@dataclass(frozen=True, slots=True)
class Asked:
    """A sidecar with a catalogue that can be asked.

    Attributes:
        sidecar: it.
        url: of its catalogue.
        page: its address.
        flags: of the model, for commands.

    """

    sidecar: InProcess
    url: str
    page: str
    flags: list[str]


@asynccontextmanager
async def asked(tmp_path: Path, tiny_bert: Path) -> AsyncIterator[Asked]:
    url = f"sqlite:///{tmp_path}/catalogue.db"
    model = tiny_model(tiny_bert)
    options = {"catalogue": url, "catalogue_interval": 0.2, "http_listen": "127.0.0.1:0"}
    with capture_logs() as lines:
        async with (
            FakeNextHop() as next_hop,
            sidecar_in_process(next_hop.url, **model, **options) as sidecar,
        ):
            page = next(line["address"] for line in lines if line["event"] == PAGE_SHOWN)
            await sidecar.client.export(request(*map(new_span, NAMES)))
            await _filled(page)
            flags = [f"--model={model['model']}", f"--model-cache={model['model_cache']}"]
            yield Asked(sidecar, url, page, flags)


async def _filled(page: str) -> None:
    async with httpx2.AsyncClient(base_url=page, timeout=PATIENCE) as client:
        while True:
            status = (await client.get("/api/v1/entries")).json()
            if len(status.get("hits", ())) == len(NAMES):
                return
            await asyncio.sleep(0.1)


def scores(hits: Iterable[Mapping[str, object]]) -> Found:
    return [(str(hit["text_id"]), float(str(hit["score"]))) for hit in hits]


async def called(sidecar: InProcess, method: str, asking: Message, answer: type[Answer]) -> Answer:
    call: grpc.aio.UnaryUnaryMultiCallable[Message, Answer] = sidecar.client.channel.unary_unary(
        f"/{CATALOGUE_SERVICE}/{method}",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=answer.FromString,
    )
    return await call(asking)


async def by_rpc(sidecar: InProcess, method: str, asking: Message) -> Found:
    answer = await called(sidecar, method, asking, pb.AnswerResponse)
    return [(hit.text_id, hit.score) for hit in answer.hits]


async def by_assistant(page: str, tool: str, values: dict[str, object]) -> dict[str, Any]:
    async with McpClient(f"{page}mcp") as client:
        answer = await client.call_tool(tool, values)
    assert not answer.is_error
    said: dict[str, Any] = json.loads(answer.content[0].text)  # type: ignore[union-attr]
    return said


async def by_tool(page: str, tool: str, values: dict[str, object]) -> Found:
    return scores((await by_assistant(page, tool, values))["hits"])


async def test_each_way_gives_the_same_hits(
    tmp_path: Path, tiny_bert: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with asked(tmp_path, tiny_bert) as here:
        arguments = ["search", "pay the bill", "--since=1h", "--count=3", "--output=json"]
        for where in (["--catalogue", here.url, *here.flags], ["--url", here.page]):
            assert await asyncio.to_thread(run, [*arguments, *where]) == 0
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        by_file, by_url = scores(lines[:3]), scores(lines[3:])
        values = {"question": "pay the bill", "since": "1h"}
        async with httpx2.AsyncClient(base_url=here.page, timeout=PATIENCE) as client:
            over_http = (await client.get("/api/v1/search", params={**values, "count": 3})).json()[
                "hits"
            ]
        asking = pb.SearchRequest(question=values["question"], since=values["since"], count=3)
        rpc = await by_rpc(here.sidecar, "Search", asking)
        tool = await by_tool(here.page, "search_spans", {**values, "count": 3})
        assert len(by_file) == 3
        assert by_file == by_url == scores(over_http) == rpc == tool
        like = by_file[0][0]
        liked = await by_rpc(here.sidecar, "Like", pb.LikeRequest(like=like, count=2))
        assert liked == await by_tool(here.page, "like_this_span", {"like": like, "count": 2})
        assert liked[0][0] == like
        metrics = here.sidecar.metrics
        assert metrics.value("questions_total", face="rpc", outcome="answered") == 2
        assert metrics.value("questions_total", face="mcp", outcome="answered") == 2
        assert metrics.value("question_duration_seconds_count", face="http") >= 2


async def test_an_assistant_can_start_it_and_ask(tmp_path: Path, tiny_bert: Path) -> None:
    async with asked(tmp_path, tiny_bert) as here:
        arguments = ["mcp", "--catalogue", here.url, *here.flags]
        program = StdioServerParameters(
            command=OTEL_EMBEDDER[0], args=[*OTEL_EMBEDDER[1:], *arguments], env=own_environment({})
        )
        async with McpClient(program) as client:
            listed = (await client.list_tools()).tools
            wrong = await client.call_tool("search_spans", {"question": "a", "since": "soon"})
            found = await client.call_tool("search_spans", {"question": "pay"})
    assert {tool.name for tool in listed} >= {"search_spans", "error_groups"}
    assert all(tool.annotations and tool.annotations.read_only_hint for tool in listed)
    assert wrong.is_error
    assert not found.is_error


HALF_AN_HOUR = 1_800 * 1_000_000_000


def a_charge(*, ago: int = 0) -> Span:
    charge = new_span("charge a card")
    charge.parent_span_id = b""
    charge.start_time_unix_nano -= ago
    charge.end_time_unix_nano -= ago
    return charge


def a_failure(words: str) -> Span:
    failed = a_charge()
    failed.status.code, failed.status.message = Status.STATUS_CODE_ERROR, words
    return failed


async def test_groups_and_changes_are_the_same_by_each_way_and_can_be_decided_about(
    tmp_path: Path, tiny_bert: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with (
        asked(tmp_path, tiny_bert) as here,
        httpx2.AsyncClient(base_url=here.page, timeout=30) as client,
    ):
        good = [a_charge(ago=HALF_AN_HOUR) for _ in range(30)]
        failed = [a_failure("the bank is away") for _ in range(30)]
        await here.sidecar.client.export(request(*good, *failed))
        groups: dict[str, Any] = {"groups": []}
        while not groups["groups"]:
            await asyncio.sleep(0.1)
            groups = (await client.get("/api/v1/groups")).json()
        [group] = groups["groups"]
        rpc = await called(here.sidecar, "Groups", pb.GroupsRequest(), pb.GroupsResponse)
        tool = await by_assistant(here.page, "error_groups", {})
        assert rpc.groups[0].id == tool["groups"][0]["id"] == group["id"]
        assert rpc.groups[0].title == group["title"]
        assert (rpc.groups[0].since, rpc.groups[0].step) == (group["since"], group["step"])
        changes = (await client.get("/api/v1/changes")).json()
        rpc_changes = await called(here.sidecar, "Changes", pb.ChangesRequest(), pb.ChangesResponse)
        assert rpc_changes.window.spans == changes["window"]["spans"]
        [failing] = changes["certain"]
        assert failing["operation"]["operation"] == "charge a card"
        assert failing["group"] == rpc_changes.certain[0].group == group["id"]
        for command in ("groups", "changes"):
            arguments = [command, "--url", here.page, "--output=json"]
            assert await asyncio.to_thread(run, arguments) == 0
        by_url = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert by_url[0]["id"] == group["id"]
        assert by_url[1]["certain"][0]["group"] == group["id"]
        await by_assistant(here.page, "what_changed", {})
        path = f"/api/v1/groups/{group['id']}"
        for word, body, status, state in (
            ("mute", {"until": "2h"}, 200, "muted"),
            ("reopen", {}, 200, "new"),
            ("resolve", {}, 200, "resolved"),
            ("note", {"text": "see INC-7"}, 200, "resolved"),
            ("mute", {"until": "2020-01-01T00:00:00Z"}, 422, "resolved"),
            ("merge", {}, 422, "resolved"),
            ("merge", {"into": "f" * 12}, 404, "resolved"),
            ("split", {"place": 9}, 409, "resolved"),
        ):
            decided = await client.post(f"{path}/{word}", json=body)
            assert decided.status_code == status, decided.text
            assert (await client.get(path)).json()["state"] == state
        assert (await client.get(path)).json()["note"] == "see INC-7"
        foreign = {"Origin": "https://evil.example"}
        assert (await client.post(f"{path}/reopen", json={}, headers=foreign)).status_code == 403
        assert (await client.get("/api/v1/groups/ffffffff")).status_code == 404
