"""What the measurements send: requests as a Collector writes them.

It writes a span's fields from the last one to the first, which Python's SDK does the other way
round. So what is made up here goes through one into a sink, once, and it is what came out that is
sent.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING
from uuid import UUID

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.support.generated import WORDS, key_value, requests_of_texts
from tests.support.processes import Sink, running_collector, send

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PASSTHROUGH_YAML = Path(__file__).with_name("passthrough.yaml")
LENGTH_BYTES = 4

SPANS = 512
TEXTS = 100  # all soon in the cache
# So many requests until the first comes again, where each is another.
DIFFERENT = 64
TIMES = 10**12
THREADS, PORTS = range(1, 200), range(30_000, 60_000)

BATCHES = (512, 1, 10, 64, 100, 8_192)
ATTRIBUTES = (5, 15, 40)
# Of spans with texts never seen a model makes some 200 a second: requests of fewer.
SPANS_UNSEEN = 64
ALL = 100
HITS = (ALL, 90, 50, 0)  # what all of them know the first has made known
WORDS_OF_A_NOTE = 5
SCATTER = 0x9E375
NOTES = 5

Vary = Callable[[Span, Random], None]


@dataclass(frozen=True, slots=True)
class Load:
    """Requests to send in turn.

    Attributes:
        name: what they are called in the table.
        spans: how many spans each has.
        requests: they themselves, encoded.
        is_fresh: whether each is sent but once, since what it says is not to be known; the others
            are sent again and again.

    """

    name: str
    spans: int
    requests: list[bytes]
    is_fresh: bool = False


def batches() -> Iterator[Load]:
    """Make requests of few and of many spans, the usual one first."""
    for spans in BATCHES:
        yield Load(_plural(spans, "span"), spans, collected(same(spans)))


def of_attributes() -> Iterator[Load]:
    """Make requests whose spans have few and many attributes."""
    for number in ATTRIBUTES:
        requests = [sized(each, number) for each in same(SPANS)]
        yield Load(f"{number} attributes", SPANS, collected(requests))


def varying(fresh: int) -> Iterator[Load]:
    """Make requests of the same texts, of which each span is another.

    Args:
        fresh: how many of those that are sent but once.

    """
    same_ = same(SPANS) * DIFFERENT
    yield Load("ids and times of its own", SPANS, collected(varied(_renew, same_)))
    yield Load("and a thread and a port", SPANS, collected(varied(_move, same_)))
    requests = varied(_tell_an_id, same(SPANS) * fresh)
    yield Load("and an id never seen", SPANS, collected(requests), is_fresh=True)


def of_hits(fresh: int) -> Iterator[Load]:
    """Make requests of texts of which some are known and the others never seen.

    Args:
        fresh: how many of each kind; where not all is known, they are sent but once.

    """
    # An even mix of all texts in each.
    known = same(SPANS_UNSEEN, count=SPANS_UNSEEN) * fresh
    number = count()
    for share in HITS:
        requests = varied(_unseen(share / ALL, number), known)
        name = f"{share} % of texts known"
        yield Load(name, SPANS_UNSEEN, collected(requests), is_fresh=share < ALL)


def same(spans: int, *, count: int = SPANS) -> list[bytes]:
    """Make as many requests of so many spans as hold `count`, or one of more, of TEXTS texts."""
    return requests_of_texts(max(count, spans), texts=min(TEXTS, count), spans_a_request=spans)


def varied(vary: Vary, requests: Iterable[bytes]) -> list[bytes]:
    """Make requests that differ from these in each span."""
    random = Random(SPANS)
    made = []
    for request in map(ExportTraceServiceRequest.FromString, requests):
        for resource in request.resource_spans:
            for scope in resource.scope_spans:
                for span in scope.spans:
                    vary(span, random)
        made.append(request.SerializeToString())
    return made


def sized(request: bytes, attributes: int) -> bytes:
    """Give a request whose spans have so many attributes each; equal spans stay equal."""
    [made] = varied(lambda span, _: _resize(span, attributes), [request])
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


def _tell_an_id(span: Span, random: Random) -> None:
    _move(span, random)
    span.attributes.append(key_value("order.reference", str(UUID(bytes=random.randbytes(16)))))


def _resize(span: Span, attributes: int) -> None:
    del span.attributes[attributes:]
    for number in range(len(span.attributes), attributes):
        words = f"{WORDS[number % len(WORDS)]} {span.name}"
        span.attributes.append(key_value(f"shop.more.{number}", words))


def _unseen(known: float, number: Iterator[int]) -> Vary:
    """Give what makes texts that were never seen of all but a share of spans."""

    def vary(span: Span, random: Random) -> None:
        _renew(span, random)
        if random.random() >= known:
            span.attributes.append(key_value("note", unseen_words(next(number))))

    return vary


def unseen_words(number: int) -> str:
    """Give the words of a number, other ones than any other's, each a token of the model's."""
    base = len(WORDS)
    # Odd, and so one of a kind still; and not alike because the numbers are near.
    number = number * SCATTER % base**WORDS_OF_A_NOTE
    return " ".join(WORDS[number // base**place % base] for place in range(WORDS_OF_A_NOTE))


def unseen_of_40_tokens(count: int) -> list[bytes]:
    """Make requests of one span each, whose text nobody has seen and has some 40 tokens."""
    requests = []
    for number in range(count):
        request = ExportTraceServiceRequest()
        spans = request.resource_spans.add().scope_spans.add().spans
        span = spans.add(name="charge card", kind=Span.SPAN_KIND_SERVER)
        span.trace_id, span.span_id = number.to_bytes(16), (number + 1).to_bytes(8)
        for place in range(NOTES):
            key = f"note.{WORDS[place]}"
            span.attributes.append(key_value(key, unseen_words(number * NOTES + place)))
        requests.append(request.SerializeToString())
    return requests


def _plural(count: int, name: str) -> str:
    return f"{count:,} {name}{'' if count == 1 else 's'}"


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
