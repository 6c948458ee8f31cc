"""What the measurements send: requests as a Collector writes them.

It writes a span's fields from the last one to the first, which Python's SDK does the other way
round. So what is made up here goes through one into a sink, once, and it is what came out that is
sent.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from tests.support.generated import requests_of_texts
from tests.support.processes import Sink, running_collector, send

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from opentelemetry.proto.trace.v1.trace_pb2 import Span

PASSTHROUGH_YAML = Path(__file__).with_name("passthrough.yaml")
LENGTH_BYTES = 4

SPANS = 512
TEXTS = 100  # all soon in the cache
# So many requests until the first comes again, where each is another.
DIFFERENT = 64
TIMES = 10**12
THREADS, PORTS = range(1, 200), range(30_000, 60_000)


@dataclass(frozen=True, slots=True)
class Load:
    """Requests to send again and again, in turn.

    Attributes:
        name: what they are called in the table.
        spans: how many spans each has.
        requests: they themselves, encoded.

    """

    name: str
    spans: int
    requests: list[bytes]


def loads() -> Iterator[Load]:
    """Make all that is sent, the usual one first."""
    yield Load(f"{SPANS} spans", SPANS, collected(same(SPANS)))
    yield Load("each with ids and times of its own", SPANS, collected(varied(_renew)))
    yield Load("and with a thread and a port", SPANS, collected(varied(_move)))
    yield Load("64 spans", 64, collected(same(64)))
    yield Load("10 spans", 10, collected(same(10)))
    yield Load("1 span", 1, collected(same(1)))


def same(spans: int) -> list[bytes]:
    """Make as many requests of so many spans as hold SPANS of TEXTS texts."""
    return requests_of_texts(SPANS, texts=TEXTS, spans_a_request=spans)


def varied(vary: Callable[[Span, Random], None]) -> list[bytes]:
    """Make requests of the same texts, of which each span is another."""
    random = Random(SPANS)
    [request] = map(ExportTraceServiceRequest.FromString, same(SPANS))
    made = []
    for _ in range(DIFFERENT):
        different = ExportTraceServiceRequest.FromString(request.SerializeToString())
        for resource in different.resource_spans:
            for scope in resource.scope_spans:
                for span in scope.spans:
                    vary(span, random)
        made.append(different.SerializeToString())
    return made


def _renew(span: Span, random: Random) -> None:
    later = random.randrange(TIMES)
    span.trace_id, span.span_id = random.randbytes(16), random.randbytes(8)
    span.parent_span_id = random.randbytes(8)
    span.start_time_unix_nano += later
    span.end_time_unix_nano += later


def _move(span: Span, random: Random) -> None:
    _renew(span, random)
    for key, values in (("thread.id", THREADS), ("network.peer.port", PORTS)):
        value = AnyValue(int_value=random.choice(values))
        span.attributes.append(KeyValue(key=key, value=value))


def collected(requests: list[bytes]) -> list[bytes]:
    """Give requests as a Collector sends them on."""
    with Sink() as sink:
        backend = {"OTELCOL_BACKEND_ENDPOINT": sink.address}
        with running_collector(PASSTHROUGH_YAML, backend) as collector:
            send(collector.address, requests)
        return [*sink.requests]


def write(requests: list[bytes], file: Path) -> None:
    """Keep requests in a file, for `read`."""
    file.write_bytes(b"".join(len(each).to_bytes(LENGTH_BYTES) + each for each in requests))


def read(file: Path) -> Iterator[bytes]:
    """Give the requests in a file."""
    with file.open("rb") as opened:
        while head := opened.read(LENGTH_BYTES):
            yield opened.read(int.from_bytes(head))
