from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2
from structlog.testing import capture_logs

from otel_embedder.credentials.tokens import TOKENS_NOT_RENEWED, TOKENS_RENEWED, TokenFile
from otel_embedder.errors import SettingsError
from otel_embedder.otlp.names import TRACE_SERVICE
from otel_embedder.receiver.closing import Closing
from otel_embedder.receiver.other_signals import PassThrough
from otel_embedder.receiver.server import access, listening
from otel_embedder.receiver.tokens import CALL_REFUSED
from otel_embedder.receiver.traces import TraceReceiver
from otel_embedder.settings import load_settings
from tests.support.door import new_calls, new_messages
from tests.support.fakes import FakeConsumer, FakeMetrics
from tests.support.otlp_samples import request, span
from tests.support.peers import Client, retry_after
from tests.support.seen_file import SeenFile

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from otel_embedder.otlp.call import Metadata

    Call = grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]
    Stream = grpc.aio.StreamUnaryMultiCallable[bytes, bytes]
    Reflection = grpc.aio.StreamStreamMultiCallable[
        reflection_pb2.ServerReflectionRequest, reflection_pb2.ServerReflectionResponse
    ]

pytestmark = pytest.mark.timeout(120)

SECRET = "s3cret"  # noqa: S105 - for tests
LOGS = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"
SERVING = health_pb2.HealthCheckResponse.SERVING


class FakeForwarder:
    """Keeps the headers that it was to send along."""

    def __init__(self) -> None:
        self.metadata: list[Metadata] = []

    async def forward(
        self,
        method: str,  # noqa: ARG002 - the protocol's
        encoded: bytes,  # noqa: ARG002 - the protocol's
        *,
        deadline: float,  # noqa: ARG002 - the protocol's
        metadata: Metadata,
    ) -> bytes:
        self.metadata.append(metadata)
        return b""


def bearer(token: str) -> Metadata:
    return (("authorization", f"Bearer {token}"),)


@asynccontextmanager
async def receiving(
    consumer: FakeConsumer, forwarder: FakeForwarder | None = None, **flags: object
) -> AsyncIterator[Client]:
    """Run a receiver that may ask for a token, and give a client of it."""
    settings = load_settings({"listen": "127.0.0.1:0", **flags})
    metrics = FakeMetrics()
    calls = new_calls(metrics, withheld=access(settings).withheld())
    messages = new_messages(metrics, max_bytes=9_999)
    receiver = TraceReceiver(consumer, calls, messages, metrics=metrics)
    forwarder = forwarder or FakeForwarder()
    others = PassThrough(forwarder, calls, messages, metrics=metrics)
    handlers = (receiver.rpc_handler(), *others.rpc_handlers())
    async with listening(handlers, settings, Closing()) as port, Client(port) as client:
        yield client


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_who_brings_the_token_is_let_in(scheme: str) -> None:
    consumer = FakeConsumer()
    async with receiving(consumer, bearer_token=SECRET) as client:
        await client.export(request(span()), metadata=(("authorization", f"{scheme} {SECRET}"),))

    assert len(consumer.requests) == 1


@pytest.mark.parametrize(
    "metadata",
    [
        (),
        bearer("wrong"),
        bearer(""),
        bearer(f"{SECRET}x"),
        bearer(SECRET[:-1]),
        (("authorization", SECRET),),
        (("authorization", f"Basic {SECRET}"),),
        (("x-authorization", f"Bearer {SECRET}"),),
    ],
    ids=["none", "wrong", "empty", "longer", "shorter", "no scheme", "scheme", "header"],
)
async def test_whatever_is_wrong_the_answer_is_the_same_and_loses_no_span(
    metadata: Metadata,
) -> None:
    consumer = FakeConsumer()
    async with receiving(consumer, bearer_token=SECRET) as client:
        refusal = await client.refusal(request(span()), metadata=metadata)

    assert refusal.code() is grpc.StatusCode.UNAVAILABLE
    assert refusal.details() == "unauthenticated: no token that is good here came"
    assert retry_after(refusal) == 10
    assert consumer.requests == []


async def test_a_call_is_refused_before_its_message_has_come() -> None:
    async with receiving(FakeConsumer(), bearer_token=SECRET) as client:
        export: Stream = client.channel.stream_unary(f"/{TRACE_SERVICE}/Export")
        call = export(timeout=10)
        code = await call.code()  # without having written anything

    assert code is grpc.StatusCode.UNAVAILABLE


async def test_other_signals_need_the_token_too() -> None:
    async with receiving(FakeConsumer(), bearer_token=SECRET) as client:
        export: Call = client.channel.unary_unary(LOGS)
        await export(b"", metadata=bearer(SECRET))
        with pytest.raises(grpc.aio.AioRpcError, match="unauthenticated"):
            await export(b"")


async def test_who_probes_the_health_needs_no_token() -> None:
    async with receiving(FakeConsumer(), bearer_token=SECRET) as client:
        assert await client.health(TRACE_SERVICE) == SERVING
        assert await anext(client.healths("")) == SERVING


async def test_who_asks_for_the_services_needs_the_token() -> None:
    async with receiving(FakeConsumer(), bearer_token=SECRET) as client:
        ask: Reflection = client.channel.stream_stream(
            "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
            reflection_pb2.ServerReflectionRequest.SerializeToString,
            reflection_pb2.ServerReflectionResponse.FromString,
        )
        questions = [reflection_pb2.ServerReflectionRequest(list_services="")]
        # Without a question: to ask fails in another way if the refusal came before.
        refusal = await ask(timeout=10).details()
        answers = [answer async for answer in ask(iter(questions), metadata=bearer(SECRET))]

    assert refusal is not None
    assert refusal.startswith("unauthenticated")
    assert answers[0].list_services_response.service


async def test_our_token_stays_here_and_other_headers_go_on() -> None:
    consumer, forwarder = FakeConsumer(), FakeForwarder()
    headers = (*bearer(SECRET), ("tenant", "shop"))
    async with receiving(consumer, forwarder, bearer_token=SECRET) as client:
        await client.export(request(span()), metadata=headers)
        export: Call = client.channel.unary_unary(LOGS)
        await export(b"", metadata=headers)

    assert [call.metadata[:-1] for call in consumer.calls] == [(("tenant", "shop"),)]
    assert [headers[:-1] for headers in forwarder.metadata] == [(("tenant", "shop"),)]


async def test_a_token_that_is_not_asked_for_here_goes_on_to_the_next_hop() -> None:
    consumer, forwarder = FakeConsumer(), FakeForwarder()
    async with receiving(consumer, forwarder) as client:
        await client.export(request(span()), metadata=bearer(SECRET))
        export: Call = client.channel.unary_unary(LOGS)
        await export(b"", metadata=bearer(SECRET))

    assert [call.metadata[:-1] for call in consumer.calls] == [bearer(SECRET)]
    assert [headers[:-1] for headers in forwarder.metadata] == [bearer(SECRET)]


async def test_any_token_of_a_file_is_good(tmp_path: Path) -> None:
    file = written(tmp_path, "old", "new")
    consumer = FakeConsumer()
    async with receiving(consumer, bearer_token_file=file) as client:
        for token in ("old", "new"):
            await client.export(request(span()), metadata=bearer(token))
        refusal = await client.refusal(request(span()), metadata=bearer("wrong"))

    assert len(consumer.requests) == 2
    assert refusal.code() is grpc.StatusCode.UNAVAILABLE


async def test_a_renewed_token_is_good_at_once(tmp_path: Path) -> None:
    file = written(tmp_path, "old")
    with capture_logs() as logs:
        async with receiving(FakeConsumer(), bearer_token_file=file) as client:
            await client.export(request(span()), metadata=bearer("old"))
            written(tmp_path, "renewed")
            await client.export(request(span()), metadata=bearer("renewed"))
            refusal = await client.refusal(request(span()), metadata=bearer("old"))

    assert refusal.code() is grpc.StatusCode.UNAVAILABLE
    assert logs[0] == {
        "event": TOKENS_RENEWED,
        "file": str(file),
        "tokens": 1,
        "log_level": "info",
    }


async def test_a_token_that_was_withdrawn_is_soon_good_no_longer(tmp_path: Path) -> None:
    file = written(tmp_path, "old")
    tokens = await asyncio.to_thread(partial(TokenFile, file, look_seconds=0))
    assert await tokens.include(b"old")
    written(tmp_path, "renewed")  # and nobody has brought it

    assert not await tokens.include(b"old")


@pytest.mark.parametrize("content", [None, "", "two words"], ids=["gone", "empty", "malformed"])
async def test_tokens_that_cannot_be_read_again_stay_as_they_were_and_one_line_says_so(
    content: str | None, tmp_path: Path
) -> None:
    file = written(tmp_path, "old")
    with capture_logs() as logs:
        async with receiving(FakeConsumer(), bearer_token_file=file) as client:
            file.unlink() if content is None else file.write_text(content)
            for _ in range(3):
                await client.refusal(request(span()), metadata=bearer("wrong"))
                await client.export(request(span()), metadata=bearer("old"))
            written(tmp_path, "renewed")
            await client.export(request(span()), metadata=bearer("renewed"))

    events = [line["event"] for line in logs]
    assert events == [TOKENS_NOT_RENEWED, CALL_REFUSED, TOKENS_RENEWED]


async def test_many_refusals_are_one_line_that_names_the_sender_and_no_token() -> None:
    with capture_logs() as logs:
        async with receiving(FakeConsumer(), bearer_token=SECRET) as client:
            for _ in range(5):
                await client.refusal(request(span()), metadata=bearer("their-token"))

    assert [line["event"] for line in logs] == [CALL_REFUSED]
    assert logs[0]["peer"].startswith("ipv4:127.0.0.1:")
    assert "their-token" not in str(logs)
    assert SECRET not in str(logs)


async def test_many_that_ask_at_once_look_at_the_file_together(tmp_path: Path) -> None:
    file = SeenFile(written(tmp_path, "good"))
    tokens = await asyncio.to_thread(TokenFile, file)
    before = file.looks
    answers = await asyncio.gather(*(tokens.include(b"wrong") for _ in range(1_000)))

    assert not any(answers)
    # The first looks since it is the first, the second for all whose token was not found.
    assert file.looks - before == 2


async def test_tokens_that_are_gone_before_the_start_are_an_error(tmp_path: Path) -> None:
    file = written(tmp_path, "good")
    settings = load_settings({"listen": "127.0.0.1:0", "bearer_token_file": file})
    file.unlink()

    with pytest.raises(SettingsError, match="bearer_token_file: can't be read"):
        async with listening([], settings, Closing()):
            pass


def written(directory: Path, *tokens: str) -> Path:
    """Write tokens as Kubernetes does: a new file in the place of the old one."""
    (directory / "new").write_text("\n".join(tokens))
    return (directory / "new").rename(directory / "tokens")
