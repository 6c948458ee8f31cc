"""Small stand-ins for a stage's neighbours. Each keeps what it was given.

They go in through constructors, in the place of the real thing. The next hop
is a real gRPC server, for a network is not to be imitated.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
from collections import Counter
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Self

import grpc
import grpc.aio
import numpy as np
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from safetensors.numpy import save_file
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing

from otel_embedder.embedder import Embedding
from otel_embedder.exporter import EXPORT_METHOD, Export
from otel_embedder.receiver import TRACE_SERVICE

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

    from opentelemetry.proto.trace.v1.trace_pb2 import Span

    from otel_embedder.annotate import Standing
    from otel_embedder.embedder import Text
    from otel_embedder.processor import Call
    from otel_embedder.status import Metadata
    from otel_embedder.wire import TraceRequest

    Check = grpc.aio.UnaryUnaryMultiCallable[
        health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse
    ]
    Watch = grpc.aio.UnaryStreamMultiCallable[
        health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse
    ]
    Context = grpc.aio.ServicerContext[ExportTraceServiceRequest, ExportTraceServiceResponse]

DIMENSION = 384
FAKE_MODEL = "fake-model"
# Long enough for a busy machine, and short enough to say which wait it was that hung.
PATIENCE = 10.0
STATUS_DETAILS = "grpc-status-details-bin"


def embedding_of(content: str) -> Embedding:
    """Give the vector that the fakes have for a text: of unit length, unlike any other's."""
    seed = int.from_bytes(hashlib.sha256(content.encode()).digest()[:8])
    vector = np.random.default_rng(seed).standard_normal(DIMENSION)
    return Embedding((vector / np.linalg.norm(vector)).astype(np.float32), FAKE_MODEL, "model")


TINY_WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", *"abcdefgh")
TINY_DIMENSION = 16
NO_CHANGES: Mapping[str, object] = MappingProxyType({})


def write_tiny_bert(
    directory: Path, config: Mapping[str, object] = NO_CHANGES, *, positions: int = 512
) -> Path:
    """Write the official files of a BERT of one layer, twelve words and no sense."""
    directory.mkdir(parents=True)
    _write_tiny_tokenizer(directory / "tokenizer.json")
    (directory / "config.json").write_text(json.dumps({**TINY_CONFIG, **config}), encoding="utf-8")
    random = np.random.default_rng(0)
    shapes = {**TINY_SHAPES, "embeddings.position_embeddings.weight": (positions, TINY_DIMENSION)}
    tensors = {
        name: random.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()
    }
    save_file(tensors, directory / "model.safetensors")
    return directory


def _write_tiny_tokenizer(file: Path) -> None:
    tokenizer = Tokenizer(WordLevel(dict(zip(TINY_WORDS, range(12), strict=True)), "[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    # As the official files have it, and as no text should be treated.
    tokenizer.enable_truncation(128)
    tokenizer.enable_padding(length=128)
    tokenizer.save(str(file))


TINY_CONFIG = {
    "model_type": "bert",
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "hidden_size": TINY_DIMENSION,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-12,
    "position_embedding_type": "absolute",
}


def _tiny_shapes() -> dict[str, tuple[int, ...]]:
    size, inner = TINY_DIMENSION, 4 * TINY_DIMENSION
    layer = "encoder.layer.0"
    linears = {
        **{f"{layer}.attention.self.{part}": (size, size) for part in ("query", "key", "value")},
        f"{layer}.attention.output.dense": (size, size),
        f"{layer}.intermediate.dense": (inner, size),
        f"{layer}.output.dense": (size, inner),
    }
    norms = (
        *("embeddings.LayerNorm", f"{layer}.attention.output.LayerNorm"),
        f"{layer}.output.LayerNorm",
    )
    return {
        "embeddings.word_embeddings.weight": (len(TINY_WORDS), size),
        "embeddings.token_type_embeddings.weight": (2, size),
        **{f"{name}.weight": shape for name, shape in linears.items()},
        **{f"{name}.bias": shape[:1] for name, shape in linears.items()},
        **{f"{name}.{part}": (size,) for name in norms for part in ("weight", "bias")},
    }


TINY_SHAPES = _tiny_shapes()


class FakeModel:
    """Remembers each batch; can be held up, and raises on the texts it is told to."""

    def __init__(self, raises: dict[str, BaseException] | None = None) -> None:
        self.batches: list[list[str]] = []
        self._raises = raises or {}
        self._begun = threading.Semaphore(0)
        self._free = threading.Event()
        self._free.set()

    def hold(self) -> None:
        """Let every batch wait from now on."""
        self._free.clear()

    def release(self) -> None:
        self._free.set()

    async def begun(self, batches: int = 1) -> None:
        """Wait until so many more batches have reached the model."""
        for _ in range(batches):
            assert await asyncio.to_thread(self._begun.acquire, timeout=PATIENCE)

    def encode(self, texts: Sequence[str]) -> list[Embedding]:
        self.batches.append(list(texts))
        self._begun.release()
        if not self._free.wait(PATIENCE):
            raise TimeoutError("nobody released the model")
        for text in texts:
            if text in self._raises:
                raise self._raises[text]
        return [embedding_of(text) for text in texts]


class FakeEmbedder:
    """Answers when it is told to, or at once; remembers the texts of each call."""

    def __init__(self, *, at_once: bool = False) -> None:
        self.calls: list[list[Text]] = []
        self.futures: dict[str, list[asyncio.Future[Embedding]]] = {}
        self._at_once = at_once

    def embed(self, texts: Sequence[Text]) -> list[asyncio.Future[Embedding]]:
        self.calls.append(list(texts))
        return [self._future(text.content) for text in texts]

    def contents(self) -> list[list[str]]:
        return [[text.content for text in texts] for texts in self.calls]

    def resolve(self, *contents: str) -> None:
        for content in contents:
            for future in self._open(content):
                future.set_result(embedding_of(content))

    def fail(self, content: str, error: Exception) -> None:
        for future in self._open(content):
            future.set_exception(error)

    def _future(self, content: str) -> asyncio.Future[Embedding]:
        future: asyncio.Future[Embedding] = asyncio.get_running_loop().create_future()
        self.futures.setdefault(content, []).append(future)
        if self._at_once:
            future.set_result(embedding_of(content))
        return future

    def _open(self, content: str) -> list[asyncio.Future[Embedding]]:
        return [future for future in self.futures[content] if not future.done()]


class BrokenEmbedder:
    """Refuses every text with the same error."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def embed(self, texts: Sequence[Text]) -> list[asyncio.Future[Embedding]]:
        futures = [asyncio.get_running_loop().create_future() for _ in texts]
        for future in futures:
            future.set_exception(self._error)
        return futures


class FakeSpanEmbedder:
    """Embeds every text but those it is told to omit; remembers texts and time limits."""

    def __init__(self, omit: Sequence[str] = ()) -> None:
        self.texts: list[Text] = []
        self.timeouts: list[float] = []
        self._omit = omit

    async def embed(self, texts: Sequence[Text], *, timeout: float) -> list[Embedding | None]:  # noqa: ASYNC109 - the protocol's
        self.texts += texts
        self.timeouts.append(timeout)
        return [
            None if text.content in self._omit else embedding_of(text.content) for text in texts
        ]


class FakeExporter:
    """Keeps what it was to send, and answers what it was given to answer."""

    def __init__(self, response: ExportTraceServiceResponse | Exception | None = None) -> None:
        self.requests: list[ExportTraceServiceRequest] = []
        self.encoded: list[bytes] = []
        self.deadlines: list[float] = []
        self.metadata: list[Metadata] = []
        self._response = response or ExportTraceServiceResponse()

    async def export(
        self, request: TraceRequest, *, deadline: float, metadata: Metadata
    ) -> ExportTraceServiceResponse:
        self.encoded.append(request.encode())
        self.requests.append(ExportTraceServiceRequest.FromString(request.encode()))
        self.deadlines.append(deadline)
        self.metadata.append(metadata)
        if isinstance(self._response, Exception):
            raise self._response
        return self._response


class FakeConsumer:
    """Takes requests as the receiver's next stage; answers or raises what it was given."""

    def __init__(self, response: ExportTraceServiceResponse | Exception | None = None) -> None:
        self.requests: list[ExportTraceServiceRequest] = []
        self.calls: list[Call] = []
        self._response = response or ExportTraceServiceResponse()

    async def consume(self, request: TraceRequest, call: Call) -> ExportTraceServiceResponse:
        self.requests.append(ExportTraceServiceRequest.FromString(request.encode()))
        self.calls.append(call)
        if isinstance(self._response, Exception):
            raise self._response
        return self._response


class FakeMetrics:
    """Counts what any stage tells, by the name of what was told."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.batches: list[int] = []
        self.seconds: list[float] = []

    def accepted(self, *, spans: int) -> None:
        self.counts["accepted"] += spans

    def refused(self, *, spans: int) -> None:
        self.counts["refused"] += spans

    def sent(self, *, spans: int) -> None:
        self.counts["sent"] += spans

    def send_failed(self, *, spans: int) -> None:
        self.counts["send_failed"] += spans

    def fell_back(self, *, spans: int) -> None:
        self.counts["fell_back"] += spans

    def passed_as_is(self, standing: Standing) -> None:
        self.counts[standing.value] += 1

    def looked_up(self, *, hits: int, misses: int) -> None:
        self.counts["hits"] += hits
        self.counts["misses"] += misses

    def batch_embedded(self, *, texts: int, seconds: float) -> None:
        self.batches.append(texts)
        self.seconds.append(seconds)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the next hop is to say.

    Attributes:
        code: the status; details and retry_after go with one that is not OK.
        rejected: spans it says it did not take, though the status is OK.
        message: what it says about those.
        status_details: what to send in the place of retry_after, whatever it is.

    """

    code: grpc.StatusCode = grpc.StatusCode.OK
    details: str = ""
    retry_after: float | None = None
    rejected: int = 0
    message: str = ""
    status_details: bytes = b""

    def trailing_metadata(self) -> Metadata:
        if self.status_details:
            return ((STATUS_DETAILS, self.status_details),)
        if self.retry_after is None:
            return ()
        status = status_pb2.Status(code=self.code.value[0], message=self.details)
        delay = Duration()
        delay.FromNanoseconds(round(self.retry_after * 1e9))
        status.details.add().Pack(error_details_pb2.RetryInfo(retry_delay=delay))
        return ((STATUS_DETAILS, status.SerializeToString()),)

    def response(self) -> ExportTraceServiceResponse:
        response = ExportTraceServiceResponse()
        if self.rejected or self.message:
            response.partial_success.rejected_spans = self.rejected
            response.partial_success.error_message = self.message
        return response


class Client:
    """What a Collector's exporter is to a sidecar."""

    def __init__(self, port: int, *, compression: grpc.Compression | None = None) -> None:
        self._channel = grpc.aio.insecure_channel(
            f"127.0.0.1:{port}", CLIENT_OPTIONS, compression=compression
        )
        self._export: Export = self._channel.unary_unary(
            EXPORT_METHOD, response_deserializer=ExportTraceServiceResponse.FromString
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._channel.close()

    @property
    def channel(self) -> grpc.aio.Channel:
        return self._channel

    async def export(
        self,
        request: ExportTraceServiceRequest | bytes,
        *,
        timeout: float | None = PATIENCE,  # noqa: ASYNC109 - the call's own deadline
        metadata: Metadata = (),
    ) -> ExportTraceServiceResponse:
        encoded = request if isinstance(request, bytes) else request.SerializeToString()
        return await self._export(encoded, timeout=timeout, metadata=metadata)

    async def refusal(
        self, request: ExportTraceServiceRequest | bytes, *, metadata: Metadata = ()
    ) -> grpc.aio.AioRpcError:
        """Give the status that ends a call which is not to succeed."""
        try:
            await self.export(request, metadata=metadata)
        except grpc.aio.AioRpcError as error:
            return error
        raise AssertionError("the request was taken")

    async def health(self, service: str) -> int:
        """Ask how a service is."""
        check: Check = self._channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            health_pb2.HealthCheckRequest.SerializeToString,
            health_pb2.HealthCheckResponse.FromString,
        )
        answer = await check(health_pb2.HealthCheckRequest(service=service), timeout=PATIENCE)
        return answer.status

    async def healths(self, service: str) -> AsyncGenerator[int, None]:
        """Be told how a service is, and whenever that changes."""
        watch: Watch = self._channel.unary_stream(
            "/grpc.health.v1.Health/Watch",
            health_pb2.HealthCheckRequest.SerializeToString,
            health_pb2.HealthCheckResponse.FromString,
        )
        call = watch(health_pb2.HealthCheckRequest(service=service))
        try:
            async for answer in call:
                yield answer.status
        finally:
            call.cancel()


# Each of its own connection: grpcio shares one among equal channels of a process.
CLIENT_OPTIONS = (
    ("grpc.max_send_message_length", -1),
    ("grpc.use_local_subchannel_pool", 1),
)


def retry_after(error: grpc.aio.AioRpcError) -> float | None:
    """Give the seconds of the RetryInfo that came with a status."""
    for key, value in error.trailing_metadata() or ():
        if key == STATUS_DETAILS and isinstance(value, bytes):
            info = error_details_pb2.RetryInfo()
            assert status_pb2.Status.FromString(value).details[0].Unpack(info)
            return float(info.retry_delay.ToNanoseconds() / 1e9)
    return None


class FakeNextHop:
    """A real server on a free port, which keeps what it is sent and answers what it is told to."""

    def __init__(
        self,
        *,
        credentials: grpc.ServerCredentials | None = None,
        options: Sequence[tuple[str, int]] = (),
        port: int = 0,
    ) -> None:
        self.requests: list[ExportTraceServiceRequest] = []
        self.metadata: list[Metadata] = []
        self.time_remaining: list[float] = []
        self.answers: list[Answer] = []
        self.was_left = asyncio.Event()
        self._credentials = credentials
        self._options = options
        self._wanted_port = port
        self._arrived = asyncio.Semaphore(0)
        self._free = asyncio.Event()
        self._free.set()

    async def __aenter__(self) -> Self:
        handler = grpc.unary_unary_rpc_method_handler(
            self._export,
            ExportTraceServiceRequest.FromString,
            ExportTraceServiceResponse.SerializeToString,
        )
        self._server = grpc.aio.server(options=self._options)
        self._server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(TRACE_SERVICE, {"Export": handler}),)
        )
        self.port = self._bind()
        await self._server.start()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()

    async def stop(self) -> None:
        await self._server.stop(None)

    @property
    def url(self) -> str:
        scheme = "https" if self._credentials else "http"
        return f"{scheme}://localhost:{self.port}"

    def spans(self) -> list[Span]:
        """Give the spans of every request, in the order that they came."""
        return [span for request in self.requests for span in spans_in(request)]

    def hold(self) -> None:
        """Let every request wait for its answer from now on."""
        self._free.clear()

    def release(self) -> None:
        self._free.set()

    async def arrived(self, requests: int = 1) -> None:
        """Wait until so many more requests have come."""
        async with asyncio.timeout(PATIENCE):
            for _ in range(requests):
                await self._arrived.acquire()

    def _bind(self) -> int:
        address = f"localhost:{self._wanted_port}"
        if self._credentials:
            return self._server.add_secure_port(address, self._credentials)
        return self._server.add_insecure_port(address)

    async def _export(
        self, request: ExportTraceServiceRequest, context: Context
    ) -> ExportTraceServiceResponse:
        self.requests.append(request)
        self.metadata.append(tuple(context.invocation_metadata() or ()))
        self.time_remaining.append(context.time_remaining())
        self._arrived.release()
        try:
            await self._free.wait()
        except asyncio.CancelledError:
            self.was_left.set()
            raise
        answer = self.answers.pop(0) if self.answers else Answer()
        if answer.code is not grpc.StatusCode.OK:
            await context.abort(answer.code, answer.details, answer.trailing_metadata())
        return answer.response()


def spans_in(request: ExportTraceServiceRequest) -> list[Span]:
    return [
        span
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def errors_of(futures: Sequence[asyncio.Future[Embedding]]) -> list[type[BaseException] | None]:
    """Give the kind of error that each finished future has; None where it has a vector."""
    return [type(error) if (error := future.exception()) else None for future in futures]
