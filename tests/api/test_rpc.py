from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, get_args, get_type_hints

import grpc
import grpc.aio
import numpy as np
import pytest
from grpc_reflection.v1alpha import reflection_pb2

from otel_embedder.api.questions import QUESTIONS
from otel_embedder.api.rpc.catalogue import CATALOGUE_SERVICE, METHODS
from otel_embedder.api.rpc.embedding import EMBEDDING_SERVICE, MAX_SPANS
from otel_embedder.proto.v1 import catalogue_pb2, embedding_pb2
from otel_embedder.search.asking.answers import Answer
from otel_embedder.search.asking.browsing import MAX_TEXTS
from otel_embedder.search.changes.answers import Changes
from otel_embedder.search.groups.found import GroupsAnswer
from otel_embedder.sidecar.rpcs import MAX_MESSAGE_BYTES
from tests.support.in_process import sidecar_in_process, tiny_model
from tests.support.listener import Listener
from tests.support.otlp_samples import new_span, request
from tests.support.peers import FakeNextHop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from google.protobuf.message import Message

    from otel_embedder.otlp.call import Metadata
    from tests.support.in_process import InProcess

    Call = grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]
    Reflection = grpc.aio.StreamStreamMultiCallable[
        reflection_pb2.ServerReflectionRequest, reflection_pb2.ServerReflectionResponse
    ]

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
async def sidecar(tiny_bert: Path) -> AsyncIterator[InProcess]:
    async with (
        FakeNextHop() as next_hop,
        sidecar_in_process(next_hop.url, **tiny_model(tiny_bert), catalogue="memory") as running,
    ):
        yield running


async def called(
    sidecar: InProcess, method: str, asked: Message | bytes, metadata: Metadata = ()
) -> bytes:
    encoded = asked if isinstance(asked, bytes) else asked.SerializeToString()
    call: Call = sidecar.client.channel.unary_unary(method)
    return await call(encoded, metadata=metadata)


async def code_of(sidecar: InProcess, method: str, asked: Message | bytes) -> grpc.StatusCode:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await called(sidecar, method, asked)
    return raised.value.code()


def test_requests_have_the_fields_of_the_queries() -> None:
    queries = {question.name: question.query for question in QUESTIONS}
    for name, (_, asked, _) in METHODS.items():
        assert {field.name for field in asked.DESCRIPTOR.fields} == {*queries[name].model_fields}


def fields_of(kind: object) -> dict[str, object]:
    """Give the names of an answer's fields, and of those of what they hold."""
    [*inner] = (each for each in get_args(kind) if is_dataclass(each) or get_args(each))
    found = [*inner, kind] if is_dataclass(kind) else inner
    names: dict[str, object] = {}
    for each in found:
        if is_dataclass(each) and isinstance(each, type):
            names[each.__name__] = {field.name for field in fields(each)}
            for hint in get_type_hints(each).values():
                names |= fields_of(hint)
        elif each is not kind:
            names |= fields_of(each)
    return names


RENAMED = {
    "Answer": "AnswerResponse",
    "GroupsAnswer": "GroupsResponse",
    "Changes": "ChangesResponse",
    "FoundGroup": "Group",
    "FoundExample": "Example",
}


@pytest.mark.parametrize("answer", [Answer, GroupsAnswer, Changes])
def test_responses_have_the_fields_of_the_answers(answer: type) -> None:
    messages = catalogue_pb2.DESCRIPTOR.message_types_by_name
    for name, names in fields_of(answer).items():
        message = messages[RENAMED.get(name, name)]
        assert {field.name for field in message.fields} == names


@pytest.mark.integration
async def test_texts_are_embedded_as_those_of_spans_are(sidecar: InProcess) -> None:
    sent = request(new_span("pay a bill"), new_span("pay a bill"), new_span("ask"))
    said = await called(
        sidecar,
        f"/{EMBEDDING_SERVICE}/EmbedSpans",
        embedding_pb2.EmbedSpansRequest(otlp=sent.SerializeToString()),
    )
    spans = embedding_pb2.EmbedSpansResponse.FromString(said)
    assert [each.text for each in spans.spans] == [0, 0, 1]
    assert [each.span_id for each in spans.spans] == [
        each.span_id for each in sent.resource_spans[0].scope_spans[0].spans
    ]
    texts = [each.text for each in spans.texts]
    said = await called(
        sidecar, f"/{EMBEDDING_SERVICE}/Embed", embedding_pb2.EmbedRequest(texts=texts)
    )
    alone = embedding_pb2.EmbedResponse.FromString(said)
    for one, other in zip(spans.texts, alone.embeddings, strict=True):
        assert one.embedding == other
        assert np.linalg.norm(other.vector) == pytest.approx(1, abs=1e-5)


@pytest.mark.integration
async def test_what_is_wrong_has_a_status_that_says_so(sidecar: InProcess) -> None:
    invalid = grpc.StatusCode.INVALID_ARGUMENT
    embed, spans = f"/{EMBEDDING_SERVICE}/Embed", f"/{EMBEDDING_SERVICE}/EmbedSpans"
    search, like = f"/{CATALOGUE_SERVICE}/Search", f"/{CATALOGUE_SERVICE}/Like"
    pb = embedding_pb2
    many = request(*(new_span("a") for each in range(MAX_SPANS + 1)))
    assert await code_of(sidecar, embed, pb.EmbedRequest()) == invalid
    assert await code_of(sidecar, embed, pb.EmbedRequest(texts=[" "])) == invalid
    assert await code_of(sidecar, embed, pb.EmbedRequest(texts=["a"] * (MAX_TEXTS + 1))) == invalid
    assert await code_of(sidecar, embed, b"\xff") == invalid
    assert await code_of(sidecar, spans, pb.EmbedSpansRequest(otlp=b"\xff")) == invalid
    assert (
        await code_of(sidecar, spans, pb.EmbedSpansRequest(otlp=many.SerializeToString()))
        == invalid
    )
    assert await code_of(sidecar, search, catalogue_pb2.SearchRequest()) == invalid
    soon = catalogue_pb2.SearchRequest(question="a", since="soon")
    assert await code_of(sidecar, search, soon) == invalid
    unknown = catalogue_pb2.LikeRequest(like="f" * 32)
    assert await code_of(sidecar, like, unknown) == grpc.StatusCode.NOT_FOUND
    large = pb.EmbedRequest(texts=["a" * MAX_MESSAGE_BYTES])
    assert await code_of(sidecar, embed, large) == grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.integration
async def test_reflection_knows_the_services_and_their_messages(sidecar: InProcess) -> None:
    call: Reflection = sidecar.client.channel.stream_stream(
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )
    asked = reflection_pb2.ServerReflectionRequest
    stream = call(
        iter(
            [
                asked(list_services=""),
                asked(file_containing_symbol=CATALOGUE_SERVICE),
                asked(file_containing_symbol=EMBEDDING_SERVICE),
            ]
        )
    )
    listed, *files = [answer async for answer in stream]
    names = {each.name for each in listed.list_services_response.service}
    assert names >= {CATALOGUE_SERVICE, EMBEDDING_SERVICE}
    assert all(each.file_descriptor_response.file_descriptor_proto for each in files)


async def test_calls_are_told_of_as_spans_of_their_callers_traces(
    next_hop: FakeNextHop, tiny_bert: Path
) -> None:
    trace, parent = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    metadata = (("traceparent", f"00-{trace}-{parent}-01"),)
    embed, search = f"/{EMBEDDING_SERVICE}/Embed", f"/{CATALOGUE_SERVICE}/Search"
    async with Listener() as listener:
        flags = {"catalogue": "memory", "traces_otlp_endpoint": listener.url}
        async with sidecar_in_process(next_hop.url, **tiny_model(tiny_bert), **flags) as sidecar:
            await called(sidecar, embed, embedding_pb2.EmbedRequest(texts=["a"]), metadata)
            asked = catalogue_pb2.SearchRequest()
            refused = await code_of(sidecar, search, asked)

    answer, embedded, question, searched = listener.spans()
    assert [answer.name, question.name] == ["answer", "answer"]
    assert (embedded.name, searched.name) == (embed.removeprefix("/"), search.removeprefix("/"))
    assert (embedded.trace_id.hex(), embedded.parent_span_id.hex()) == (trace, parent)
    assert (answer.parent_span_id, question.parent_span_id) == (embedded.span_id, searched.span_id)
    codes = {each.key: each.value.int_value for each in searched.attributes}
    assert codes["rpc.grpc.status_code"] == refused.value[0]
