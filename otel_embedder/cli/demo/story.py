"""A minute's answer to "what is this for?": a shop's traces, searched by meaning.

Everything is real: the shop's spans come from the OpenTelemetry SDK through its
own exporter, the sidecar embeds them, a sink over gRPC keeps what comes out,
and questions in plain words are embedded by the same model.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

import grpc
import grpc.aio
import structlog
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from otel_embedder.annotation.annotator import annotator
from otel_embedder.annotation.standing import Standing
from otel_embedder.cli.demo.shop import FAULTS, Shop
from otel_embedder.cli.tables import cell
from otel_embedder.embedder.models.engines import load_model, model_choice
from otel_embedder.otlp.names import TRACE_SERVICE
from otel_embedder.otlp.wire import parse_request
from otel_embedder.search.index import TextIndex, spans_of
from otel_embedder.settings import load_settings
from otel_embedder.sidecar.sidecar import running
from otel_embedder.telemetry.metrics import Metrics
from otel_embedder.text.options import render_options
from otel_embedder.text.rendering import new_renderer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from otel_embedder.embedder.embedding import Model
    from otel_embedder.search.index import Row
    from otel_embedder.settings import Settings

    Handler = grpc.RpcMethodHandler[bytes, bytes]

SEED = 7
PURCHASES = 80
FAULTY_ONE_IN = 4
NEAREST = 3
QUESTIONS = (
    "payment times out talking to the bank",
    "the disk is full",
    "a slow database query was given up",
)
UNLIMITED = (("grpc.max_receive_message_length", -1),)


@dataclass(frozen=True, slots=True)
class Sink:
    """A backend that keeps what it is sent.

    Attributes:
        port: where it listens on 127.0.0.1.
        requests: what it was sent, encoded, in the order that it came.

    """

    port: int
    requests: list[bytes]


async def demonstrate() -> None:
    """Run sidecar, sink and shop, ask the questions, and print the nearest spans."""
    # What the parts log would stand between the lines of the story.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("warning"))
    console = Console()
    started = time.monotonic()
    metrics = Metrics()
    async with sinking() as sink:
        settings = load_settings(
            {
                "listen": "127.0.0.1:0",
                "next_hop": f"http://127.0.0.1:{sink.port}",
                "metrics_listen": "",
            }
        )
        console.print("The sidecar starts, and with it the model ...")
        model = await asyncio.to_thread(lambda: load_model(model_choice(settings)))
        async with running(settings, metrics) as port:
            console.print("A small shop sells, and things go wrong ...\n")
            sent = await asyncio.to_thread(_sell, f"127.0.0.1:{port}")
    index, with_vectors = _read(sink, settings, model)
    for question in QUESTIONS:
        [asked] = model.encode([question])
        console.print(_table(question, index.nearest(question, asked.vector, NEAREST)))
    computed = metrics.value("embedded_texts_total", source="model")
    console.print(
        f"{sent} spans in, {index.spans} out, {with_vectors} of them with the model's vector. "
        f"The model ran for {computed:.0f} texts only: a hit rate of {1 - computed / sent:.0%}. "
        f"{time.monotonic() - started:.1f} s in all."
    )


def _read(sink: Sink, settings: Settings, model: Model) -> tuple[TextIndex, int]:
    """Give what the sink has, to be searched, and how many of the spans have the model's vector."""
    renderer = new_renderer(render_options(settings))
    attributes = annotator(settings, renderer.text_version)
    index = TextIndex(renderer, attributes, dimension=model.dimension, errors_only=False)
    with_vectors = 0
    for span, service in spans_of(map(parse_request, sink.requests), renderer):
        index.add(span, service)
        with_vectors += attributes.standing(span) is Standing.CURRENT
    return index, with_vectors


def _sell(endpoint: str) -> int:
    """Let the shop take its purchases; give the number of spans that it made."""
    random = Random(SEED)  # noqa: S311 - a shop, not a secret
    shop = Shop(endpoint, random)
    try:
        return sum(
            shop.purchase(random.choice(FAULTS) if number % FAULTY_ONE_IN == 0 else None)
            for number in range(PURCHASES)
        )
    finally:
        shop.close()


@asynccontextmanager
async def sinking() -> AsyncIterator[Sink]:
    """Run a sink."""
    requests: list[bytes] = []

    async def export(request: bytes, _: object) -> bytes:
        requests.append(request)
        return ExportTraceServiceResponse().SerializeToString()

    handler: Handler = grpc.unary_unary_rpc_method_handler(export)
    server = grpc.aio.server(options=UNLIMITED)
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(TRACE_SERVICE, {"Export": handler}),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield Sink(port, requests)
    finally:
        await server.stop(None)


def _table(question: str, rows: Sequence[Row]) -> Table:
    table = Table("cosine", "spans", "text", title=question, title_justify="left", box=SIMPLE)
    for row in rows:
        table.add_row(f"{row.cosine:.2f}", str(row.spans), cell(row.text))
    return table
