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
from otel_embedder.embedder.bulk import BulkEmbedder
from otel_embedder.embedder.models.engines import load_model, model_choice
from otel_embedder.embedder.models.weights import model_name
from otel_embedder.otlp.names import TRACE_SERVICE
from otel_embedder.otlp.wire import parse_request
from otel_embedder.search.asking.queries import SearchQuery
from otel_embedder.search.catalogue import Catalogue
from otel_embedder.search.indexing import WINDOW_SPANS, Indexer
from otel_embedder.search.links import trace_link
from otel_embedder.search.spans import spans_of
from otel_embedder.search.stores.memory import MemoryStore
from otel_embedder.settings import load_settings
from otel_embedder.sidecar.sidecar import running
from otel_embedder.telemetry.metrics import Metrics
from otel_embedder.text.options import render_options
from otel_embedder.text.rendering import new_renderer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from otel_embedder.embedder.embedding import Model
    from otel_embedder.search.asking.answers import Answer, Hit
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
    answers, spans, with_vectors = await asyncio.to_thread(_ask, sink, settings, model)
    for answer in answers:
        console.print(_table(answer.asked, answer.hits))
    computed = metrics.value("embedded_texts_total", source="model")
    console.print(
        f"{sent} spans in, {spans} out, {with_vectors} of them with the model's vector. "
        f"The model ran for {computed:.0f} texts only: a hit rate of {1 - computed / sent:.0%}. "
        f"{time.monotonic() - started:.1f} s in all."
    )


def _ask(sink: Sink, settings: Settings, model: Model) -> tuple[list[Answer], int, int]:
    """Ask what the sink has; give the answers, its spans, and those with the model's vector."""
    renderer = new_renderer(render_options(settings))
    attributes = annotator(settings, renderer.text_version)
    requests = [*map(parse_request, sink.requests)]
    with_vectors = sum(
        attributes.standing(span) is Standing.CURRENT for span, _ in spans_of(requests, renderer)
    )
    store, name = MemoryStore(), model_name(settings.model)
    indexer = Indexer(
        store,
        renderer,
        attributes,
        model=name,
        dimension=model.dimension,
        window_spans=WINDOW_SPANS,
    )
    spans = sum(indexer.read("the sink", requests, now=time.time_ns()))
    with BulkEmbedder(model, threads=1, max_texts=1) as embedder:
        catalogue = Catalogue(
            store,
            embedder,
            model=name,
            text_version=renderer.text_version,
            link=trace_link(None),
        )
        queries = [SearchQuery(question=question, count=NEAREST) for question in QUESTIONS]
        return [catalogue.search(query) for query in queries], spans, with_vectors


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


def _table(question: str, hits: Sequence[Hit]) -> Table:
    table = Table("cosine", "spans", "text", title=question, title_justify="left", box=SIMPLE)
    for hit in hits:
        table.add_row(f"{hit.cosine:.2f}", str(hit.spans), cell(hit.text))
    return table
