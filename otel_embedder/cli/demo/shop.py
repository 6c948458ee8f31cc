"""A small shop that goes wrong now and then, traced by the OpenTelemetry SDK.

Its spans leave through the SDK's own OTLP exporter, as a real program's would.
Only the clock is made up: no purchase takes longer than it takes to describe.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, set_span_in_context

if TYPE_CHECKING:
    from collections.abc import Mapping
    from random import Random

    from opentelemetry.context import Context

NANOSECONDS_PER_MILLISECOND = 1_000_000
SEND_MILLISECONDS = 1_000


@dataclass(frozen=True, slots=True)
class Operation:
    """Something that a service of the shop does.

    Attributes:
        service: who does it.
        name: the span's name.
        milliseconds: how long it usually takes.
        attributes: what the span says about it.

    """

    service: str
    name: str
    milliseconds: float
    attributes: Mapping[str, str | int]


@dataclass(frozen=True, slots=True)
class Fault:
    """What may go wrong in an operation, and how its span shows it.

    Attributes:
        operation: the name of the operation.
        exception: the type of the exception.
        message: what the exception says.
        milliseconds: how long the operation takes then.

    """

    operation: str
    exception: str
    message: str
    milliseconds: float

    @property
    def service(self) -> str:
        """Who does the operation."""
        return next(step.service for step in STEPS if step.name == self.operation)


CHECKOUT = Operation(
    "storefront",
    "POST /checkout",
    20,
    {"http.request.method": "POST", "http.route": "/checkout", "url.scheme": "https"},
)
STEPS = (
    Operation(
        "cart",
        "cart.Cart/GetItems",
        6,
        {"rpc.system": "grpc", "rpc.service": "cart.Cart", "rpc.method": "GetItems"},
    ),
    Operation(
        "catalog",
        "SELECT products",
        9,
        {"db.system.name": "postgresql", "db.query.text": "SELECT * FROM products WHERE sku = $1"},
    ),
    Operation(
        "payment",
        "charge card",
        60,
        {"payment.provider": "northbank", "server.address": "api.northbank.example"},
    ),
    Operation(
        "invoices",
        "write invoice",
        12,
        {"file.directory": "/var/lib/invoices", "file.extension": "pdf"},
    ),
    Operation(
        "mailer",
        "send confirmation",
        25,
        {"server.address": "smtp.shop.example", "server.port": 25},
    ),
)
FAULTS = (
    Fault("charge card", "TimeoutError", "northbank did not answer within 2500 ms", 2500),
    Fault("send confirmation", "ConnectionRefusedError", "[Errno 111] Connection refused", 1),
    Fault("SELECT products", "QueryCanceled", "canceling statement due to statement timeout", 4000),
    Fault("write invoice", "OSError", "[Errno 28] No space left on device", 2),
)


class Shop:
    """Takes purchases, each a trace through all services."""

    def __init__(self, endpoint: str, random: Random) -> None:
        """Open the shop; its spans go to `endpoint`, HOST:PORT without TLS."""
        self._random = random
        self._providers = {
            operation.service: _provider(operation.service, endpoint)
            for operation in (CHECKOUT, *STEPS)
        }

    def purchase(self, fault: Fault | None, *, at: int | None = None) -> int:
        """Take one purchase, in which `fault` happens; give the number of its spans.

        Args:
            fault: what goes wrong in it, if something does.
            at: when it begins, in nanoseconds since 1970; now if nothing is said.

        """
        clock = time.time_ns() if at is None else at
        checkout = self._start(CHECKOUT, clock, SpanKind.SERVER, None)
        within = set_span_in_context(checkout)
        clock += self._duration(CHECKOUT)
        for operation in STEPS:
            span = self._start(operation, clock, SpanKind.CLIENT, within)
            if fault is not None and fault.operation == operation.name:
                clock += round(fault.milliseconds * NANOSECONDS_PER_MILLISECOND)
                _fail(span, fault, clock)
            else:
                clock += self._duration(operation)
            span.end(clock)
        checkout.end(clock)
        return 1 + len(STEPS)

    def flush(self) -> None:
        """Send what is there; blocks until the endpoint has it."""
        for provider in self._providers.values():
            provider.force_flush()

    def close(self) -> None:
        """Send what is left; blocks until the endpoint has it."""
        for provider in self._providers.values():
            provider.shutdown()

    def _start(
        self, operation: Operation, clock: int, kind: SpanKind, within: Context | None
    ) -> Span:
        tracer = self._providers[operation.service].get_tracer("shop")
        return tracer.start_span(
            operation.name, within, kind, dict(operation.attributes), start_time=clock
        )

    def _duration(self, operation: Operation) -> int:
        """Give nanoseconds around the usual, as loaded machines have it."""
        milliseconds = operation.milliseconds * self._random.lognormvariate(0, 0.4)
        return round(milliseconds * NANOSECONDS_PER_MILLISECOND)


def _provider(service: str, endpoint: str) -> TracerProvider:
    resource = Resource({"service.name": service})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(
        BatchSpanProcessor(
            OTLPSpanExporter(endpoint=endpoint, insecure=True),
            schedule_delay_millis=SEND_MILLISECONDS,
        )
    )
    return provider


def _fail(span: Span, fault: Fault, clock: int) -> None:
    attributes = {"exception.type": fault.exception, "exception.message": fault.message}
    span.add_event("exception", attributes, clock)
    span.set_status(Status(StatusCode.ERROR, fault.message))
