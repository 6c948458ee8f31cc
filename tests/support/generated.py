"""Spans made up for tests and measurements: of every shape, or of as many texts as are wanted."""

from __future__ import annotations

from random import Random, randbytes
from typing import TYPE_CHECKING

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans, Span, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SERVICES = ("cart", "checkout", "payment", "shipping", "Ünïcödé 商店", "")
OPERATIONS = ("GET /cart/{id}", "INSERT orders", "charge", "POST https://bank.example/pay", "")
MESSAGES = ("", "connection refused", "deadline exceeded after 30s", "disk full: /var/lib")
WORDS = (
    *("timeout", "payment", "database", "retry", "cache", "index", "customer", "warehouse"),
    *("replica", "broker", "invoice", "region", "session", "gateway", "voucher", "parcel"),
)
SPANS_A_REQUEST = 200
ATTRIBUTES_OF_A_SHAPE = 10
STARTED_UNIX_NANO = 1_700_000_000_000_000_000
MILLISECOND = 1_000_000


def requests_of_every_shape(count: int, *, seed: int = 1) -> list[bytes]:
    """Make encoded requests with `count` spans in all, of every kind of field and value."""
    random = Random(seed)
    sizes = [SPANS_A_REQUEST] * (count // SPANS_A_REQUEST) + [count % SPANS_A_REQUEST]
    return [_request(random, size).SerializeToString() for size in sizes if size]


def _request(random: Random, count: int) -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    for service in random.sample(SERVICES, 2):
        resource = request.resource_spans.add(schema_url=random.choice(("", "https://schema/1")))
        resource.resource.attributes.append(key_value("service.name", service))
        resource.resource.attributes.extend(_attributes(random))
        resource.resource.dropped_attributes_count = random.randrange(2)
        for name in ("http", "sql"):
            scope = resource.scope_spans.add(schema_url=random.choice(("", "https://schema/2")))
            scope.scope.name = name
            scope.scope.version = random.choice(("", "1.2.3"))
            scope.scope.attributes.extend(_attributes(random))
    scopes = [scope for resource in request.resource_spans for scope in resource.scope_spans]
    for _ in range(count):
        _add_span(random, random.choice(scopes))
    return request


def _add_span(random: Random, scope: ScopeSpans) -> None:
    started = STARTED_UNIX_NANO + random.randrange(10**12)
    span = scope.spans.add(
        trace_id=random.randbytes(16),
        span_id=random.randbytes(8),
        parent_span_id=random.choice((b"", random.randbytes(8))),
        trace_state=random.choice(("", "vendor=value")),
        flags=random.choice((0, 1, 0x301)),
        name=random.choice(OPERATIONS),
        kind=random.choice(Span.SpanKind.values()),
        start_time_unix_nano=random.choice((0, started)),
        end_time_unix_nano=random.choice((0, started + random.randrange(10**10))),
        dropped_attributes_count=random.randrange(2),
        dropped_events_count=random.randrange(2),
        dropped_links_count=random.randrange(2),
    )
    span.attributes.extend(_attributes(random))
    if random.randrange(2):
        span.status.code = random.choice(Status.StatusCode.values())
        span.status.message = random.choice(MESSAGES)
    for _ in range(random.randrange(3)):
        _add_event(random, span)
        _add_link(random, span)


def _add_event(random: Random, span: Span) -> None:
    name = random.choice(("exception", "retry", ""))
    event = span.events.add(time_unix_nano=span.start_time_unix_nano, name=name)
    event.dropped_attributes_count = random.randrange(2)
    event.attributes.append(key_value("exception.message", random.choice(MESSAGES)))
    event.attributes.extend(_attributes(random))


def _add_link(random: Random, span: Span) -> None:
    link = span.links.add(trace_id=random.randbytes(16), span_id=random.randbytes(8))
    link.flags = random.choice((0, 1))
    link.trace_state = random.choice(("", "a=b"))
    link.attributes.extend(_attributes(random))


def _attributes(random: Random) -> Iterator[KeyValue]:
    for make in random.sample(KINDS_OF_VALUE, random.randrange(len(KINDS_OF_VALUE))):
        value = make(random)
        yield KeyValue(key=f"{value.WhichOneof('value')}.{random.randrange(5)}", value=value)


KINDS_OF_VALUE: list[Callable[[Random], AnyValue]] = [
    lambda random: AnyValue(string_value=random.choice((*WORDS, "", "x" * 3_000, "línea\n二"))),
    lambda random: AnyValue(bool_value=random.choice((True, False))),
    lambda random: AnyValue(int_value=random.choice((0, 1, -1, 200, 2**63 - 1, -(2**63)))),
    lambda random: AnyValue(double_value=random.choice((0.0, -0.5, 1e300, random.random()))),
    lambda random: AnyValue(bytes_value=random.randbytes(random.randrange(20))),
]


def _array(random: Random) -> AnyValue:
    array = AnyValue()
    array.array_value.SetInParent()
    for _ in range(random.randrange(3)):
        array.array_value.values.append(random.choice(KINDS_OF_VALUE)(random))
    return array


def _key_values(random: Random) -> AnyValue:
    key_values = AnyValue()
    key_values.kvlist_value.SetInParent()
    for _ in range(random.randrange(3)):
        value = random.choice(KINDS_OF_VALUE)(random)
        key_values.kvlist_value.values.append(KeyValue(key=random.choice(WORDS), value=value))
    return key_values


KINDS_OF_VALUE += [_array, _key_values]


def requests_of_texts(count: int, *, texts: int, spans_a_request: int = 500) -> list[bytes]:
    """Make encoded requests with `count` spans that read as `texts` different texts.

    Equal ones follow one another, so that the model is asked for each text once. A span has ten
    attributes, some 430 bytes, and a text of some 90 word pieces.
    """
    random = Random(texts)
    shapes = [_shape(random, number) for number in range(texts)]
    numbers = range(count)
    return [
        _request_of(
            [shapes[number * texts // count] for number in numbers[first:][:spans_a_request]]
        )
        for first in numbers[::spans_a_request]
    ]


def _shape(random: Random, number: int) -> Span:
    span = Span(name=f"{random.choice(OPERATIONS)} {number}", kind=Span.SPAN_KIND_SERVER)
    span.start_time_unix_nano = STARTED_UNIX_NANO
    span.end_time_unix_nano = STARTED_UNIX_NANO + random.randrange(1, 1_000) * MILLISECOND
    for key in random.sample(WORDS, ATTRIBUTES_OF_A_SHAPE):
        value = f"{random.choice(WORDS)} {random.choice(WORDS)} {random.randrange(100)}"
        span.attributes.append(key_value(f"shop.{key}", value))
    return span


def _request_of(shapes: list[Span]) -> bytes:
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    resource.resource.attributes.append(key_value("service.name", "shop"))
    spans = resource.scope_spans.add().spans
    for shape in shapes:
        span = spans.add(trace_id=randbytes(16), span_id=randbytes(8), parent_span_id=randbytes(8))
        span.MergeFrom(shape)
    return request.SerializeToString()


def key_value(key: str, text: str) -> KeyValue:
    return KeyValue(key=key, value=AnyValue(string_value=text))
