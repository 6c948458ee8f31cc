"""A minute's answer to "what is this for?": a shop's traces, searched by meaning.

Everything is real: the shop's spans come from the OpenTelemetry SDK through its
own exporter, the sidecar embeds them, a sink over gRPC keeps what comes out,
and questions in plain words are embedded by the same model.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

import grpc
import grpc.aio
import numpy as np
import structlog
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from otel_embedder.cli.tables import cell
from otel_embedder.embedder.engines import load_model
from otel_embedder.parts import model_choice
from otel_embedder.receiver import TRACE_SERVICE
from otel_embedder.service import running
from otel_embedder.settings import load_settings
from otel_embedder.shop import FAULTS, Shop
from otel_embedder.telemetry import Metrics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from opentelemetry.proto.common.v1.common_pb2 import AnyValue

    from otel_embedder.embedder import Model, Vector

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
        requests: what it was sent, in the order that it came.

    """

    port: int
    requests: list[ExportTraceServiceRequest]

    def spans(self) -> Iterator[dict[str, AnyValue]]:
        """Give the attributes of each span."""
        for request in self.requests:
            for resource in request.resource_spans:
                for scope in resource.scope_spans:
                    for span in scope.spans:
                        yield {pair.key: pair.value for pair in span.attributes}


@dataclass(frozen=True, slots=True)
class Found:
    """The distinct texts among the sink's spans.

    Attributes:
        texts: the texts.
        counts: how many spans have each.
        vectors: shape (texts, dimension), unit length.

    """

    texts: list[str]
    counts: list[int]
    vectors: Vector


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
                "attach_text": True,
            }
        )
        console.print("The sidecar starts, and with it the model ...")
        model = await asyncio.to_thread(lambda: load_model(model_choice(settings)))
        async with running(settings, metrics) as port:
            console.print("A small shop sells, and things go wrong ...\n")
            sent = await asyncio.to_thread(_sell, f"127.0.0.1:{port}")
    found = _distinct(sink)
    for question in QUESTIONS:
        console.print(_table(question, _nearest(question, found, model)))
    console.print(_summary(sent, sink, metrics, time.monotonic() - started))


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
    requests: list[ExportTraceServiceRequest] = []

    async def export(request: ExportTraceServiceRequest, _: object) -> ExportTraceServiceResponse:
        requests.append(request)
        return ExportTraceServiceResponse()

    handler = grpc.unary_unary_rpc_method_handler(
        export, ExportTraceServiceRequest.FromString, ExportTraceServiceResponse.SerializeToString
    )
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


def _distinct(sink: Sink) -> Found:
    vectors: dict[str, list[float]] = {}
    counts: Counter[str] = Counter()
    for attributes in sink.spans():
        if attributes["embedding.source"].string_value == "model":
            text = attributes["embedding.text"].string_value
            counts[text] += 1
            values = attributes["embedding.vector"].array_value.values
            vectors.setdefault(text, [value.double_value for value in values])
    matrix = np.array([*vectors.values()], np.float32)
    return Found([*vectors], [counts[text] for text in vectors], matrix)


def _nearest(question: str, found: Found, model: Model) -> list[tuple[float, int, str]]:
    """Give likeness, number of spans and text of what is nearest to the question."""
    [asked] = model.encode([question])
    # Both are of unit length, so this is the cosine.
    likeness = found.vectors @ asked.vector
    best = np.argsort(-likeness)[:NEAREST]
    return [(float(likeness[row]), found.counts[row], found.texts[row]) for row in best]


def _table(question: str, rows: Sequence[tuple[float, int, str]]) -> Table:
    table = Table("cosine", "spans", "text", title=question, title_justify="left", box=SIMPLE)
    for cosine, spans, text in rows:
        table.add_row(f"{cosine:.2f}", str(spans), cell(text))
    return table


def _summary(sent: int, sink: Sink, metrics: Metrics, seconds: float) -> str:
    spans = [*sink.spans()]
    with_vectors = sum(span["embedding.source"].string_value == "model" for span in spans)
    computed = metrics.value("embedded_texts_total", source="model")
    return (
        f"{sent} spans in, {len(spans)} out, {with_vectors} of them with the model's vector. "
        f"The model ran for {computed:.0f} texts only: a hit rate of {1 - computed / sent:.0%}. "
        f"{seconds:.1f} s in all."
    )
