"""Keeps account of the spans of one row: what was sent, what came, what was refused for good.

A span is known by all its fields, and those of its scope and resource, with our attributes taken
off; so one that is changed is one that nobody sent. OTLP's own messages refuse to read what some
rows send: strings that are not UTF-8, values nested 1,000 deep. For these only their descriptors
are used, to tell what is a message.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections import Counter
from contextlib import suppress
from functools import lru_cache
from operator import itemgetter
from threading import Condition
from typing import TYPE_CHECKING, NamedTuple

from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.unknown_fields import UnknownFieldSet
from opentelemetry.proto.trace.v1 import trace_pb2

from tests.support import otlp_samples
from tests.support.comparison import delivery
from tests.support.processes import ProcessError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from google.protobuf.descriptor import Descriptor, FieldDescriptor

Known = bytes

MESSAGES = trace_pb2.DESCRIPTOR.message_types_by_name
RESOURCE, SCOPE, SPAN = (MESSAGES[name] for name in ("ResourceSpans", "ScopeSpans", "Span"))

MAX_DEPTH = 50
PATIENCE_SECONDS = 60.0

# Numbers of fields.
RESOURCE_SPANS, SCOPE_SPANS, SPANS, ATTRIBUTES = 1, 2, 2, 9
KEY = 1

OURS = b"embedding."
MALFORMED = "malformed"
# Sidecars have the settings of the environment as well.
IS_ONCE_A_TEXT = os.environ.get("OTEL_EMBEDDER_ATTACH") == "new"


class Field(NamedTuple):
    """A field of any message, as it is encoded."""

    number: int
    wire_type: int
    data: object


class Span(NamedTuple):
    """What is known of a span.

    Attributes:
        known: what it is known by.
        source: what its vector comes from: model, fallback, a reference to another span's, nothing;
            or MALFORMED, if its attributes of ours are not what they should be.

    """

    known: Known
    source: str


def spans_of(request: bytes) -> Iterator[Span]:
    """Give the spans of an encoded request; of bytes that are no message, none."""
    with suppress(DecodeError):
        for resource in _in(fields(request), RESOURCE_SPANS):
            of_resource = fields(resource)
            resource_known = _hash(RESOURCE, _but(of_resource, SCOPE_SPANS))
            for scope in _in(of_resource, SCOPE_SPANS):
                of_scope = fields(scope)
                above = resource_known + _hash(SCOPE, _but(of_scope, SPANS))
                yield from (_span(fields(span), above) for span in _in(of_scope, SPANS))


def _span(of_span: list[Field], above: Known) -> Span:
    ours = tuple(field.data for field in of_span if _is_ours(field))
    theirs = [field for field in of_span if not _is_ours(field)] if ours else of_span
    return Span(above + _hash(SPAN, theirs), _source(ours))


# A text's vector comes again and again.
@lru_cache(maxsize=10_000)
def _source(attributes: tuple[bytes, ...]) -> str:
    if not attributes:
        return "nothing"
    encoded = b"".join(otlp_samples.field(ATTRIBUTES, attribute) for attribute in attributes)
    for number in (SPANS, SCOPE_SPANS, RESOURCE_SPANS):
        encoded = otlp_samples.field(number, encoded)
    with suppress(AssertionError, KeyError):
        [source] = delivery([encoded], once_a_text=IS_ONCE_A_TEXT).sources
        return source
    return MALFORMED


def fields(message: object) -> list[Field]:
    """Give the fields of a message, whatever it is; nothing in it is looked into.

    Raises:
        google.protobuf.message.DecodeError: it is no message.

    """
    assert isinstance(message, bytes)
    # To Empty every field is an unknown one.
    return _fields(UnknownFieldSet(Empty.FromString(message)))


def _fields(found: UnknownFieldSet) -> list[Field]:
    each = map(found.__getitem__, range(len(found)))
    return [Field(field.field_number, field.wire_type, _plain(field.data)) for field in each]


def _plain(data: object) -> object:
    return _fields(data) if isinstance(data, UnknownFieldSet) else data


def _in(of_message: Iterable[Field], number: int) -> list[object]:
    return [field.data for field in of_message if field.number == number]


def _but(of_message: Iterable[Field], number: int) -> list[Field]:
    return [field for field in of_message if field.number != number]


def _hash(kind: Descriptor, of_message: Iterable[Field], depth: int = MAX_DEPTH) -> Known:
    """Give what says the same of two messages in which a receiver would read the same.

    A Collector writes fields in an order of its own, and some that have no value. Below `depth`
    messages count byte by byte.
    """
    declared = kind.fields_by_number
    kept = (_plainly(field, declared.get(field.number), depth) for field in of_message)
    # The order of fields of one number counts, and the sort keeps it.
    in_order = sorted(filter(None, kept), key=itemgetter(0))
    return hashlib.blake2b(repr(in_order).encode(), digest_size=16).digest()


def _plainly(field: Field, declared: FieldDescriptor | None, depth: int) -> Field | None:
    """Write what is in a field in one way only; give None if it says no more than its absence."""
    if declared is None:
        return field
    if declared.message_type and isinstance(field.data, bytes) and depth:
        field = field._replace(data=_canonical(declared.message_type, field.data, depth - 1))
    is_single = not declared.is_repeated and declared.containing_oneof is None
    return None if is_single and field.data in NO_VALUES else field


def _canonical(kind: Descriptor, encoded: bytes, depth: int) -> Known:
    """Write a message in one way only, whichever way it came."""
    try:
        # Ten times as fast, where it can be read.
        return GetMessageClass(kind).FromString(encoded).SerializeToString(deterministic=True)
    except DecodeError:
        return _hash(kind, fields(encoded), depth)


NO_VALUES = (0, b"")


def _is_ours(field: Field) -> bool:
    # Nearly no attribute has our mark, and then no look into it is needed.
    if field.number != ATTRIBUTES or not isinstance(field.data, bytes) or OURS not in field.data:
        return False
    [key, *_] = _in(fields(field.data), KEY)
    return isinstance(key, bytes) and key.startswith(OURS)


class Account(NamedTuple):
    """What became of the spans.

    Attributes:
        sent: those that were sent.
        came: those of them that came, each counted once.
        rejected: those that the next hop or a rule refused for good, and did not take.
        duplicates: how many came that had come before.
        lost: those that neither came nor were rejected.
        changed: how many came that nobody had sent.
        worst_delay: the longest time from sending to the first arrival, in seconds.
        sources: how many came with a vector of what.

    """

    sent: int
    came: int
    rejected: int
    duplicates: int
    lost: int
    changed: int
    worst_delay: float
    sources: Counter[str]


class Ledger:
    """Told by both ends; safe to call from several threads."""

    def __init__(self) -> None:
        self._sent: Counter[Known] = Counter()
        self._came: Counter[Known] = Counter()
        self._rejected: Counter[Known] = Counter()
        self._sent_at: dict[Known, float] = {}
        self._delays: dict[Known, float] = {}
        self._sources: Counter[str] = Counter()
        self._changed = Condition()

    def sent(self, request: bytes) -> None:
        spans = [*spans_of(request)]
        with self._changed:
            now = time.monotonic()
            for span in spans:
                self._sent[span.known] += 1
                self._sent_at.setdefault(span.known, now)

    def came(self, request: bytes, *, first: int = 0) -> None:
        """Note the spans of a request, from the one of a number on."""
        now = time.monotonic()
        spans = [*spans_of(request)][first:]
        with self._changed:
            for span in spans:
                self._came[span.known] += 1
                self._sources[span.source] += 1
                self._delays.setdefault(span.known, now - self._sent_at.get(span.known, now))
            self._changed.notify_all()

    def rejected(self, request: bytes, *, last: int | None = None) -> None:
        """Note the spans of a request that was refused for good, up to the one of a number."""
        spans = [*spans_of(request)][:last]
        with self._changed:
            self._rejected.update(span.known for span in spans)
            self._changed.notify_all()

    def wait_for_more(self, *, than: int = 0) -> None:
        """Wait until more spans have come than so many."""
        self._wait(lambda: self._came.total() > than)

    def wait_for_all(self, *, timeout: float = PATIENCE_SECONDS) -> None:
        """Wait until each span that was sent has come, or was rejected."""
        self._wait(lambda: self._account().lost == 0, timeout)

    def _wait(self, is_met: Callable[[], bool], timeout: float = PATIENCE_SECONDS) -> None:
        with self._changed:
            if not self._changed.wait_for(is_met, timeout):
                raise ProcessError(f"{self._account().lost} spans did not come in {timeout} s")

    def most_copies(self) -> int:
        """Give how often the span has come that came most often."""
        with self._changed:
            return max(self._came.values(), default=0)

    def account(self) -> Account:
        with self._changed:
            return self._account()

    def _account(self) -> Account:
        came = self._came & self._sent
        rejected = (self._rejected & self._sent) - came
        never_sent = sum(times for span, times in self._came.items() if span not in self._sent)
        missing = (self._sent - came - rejected).total()
        return Account(
            sent=self._sent.total(),
            came=came.total(),
            rejected=rejected.total(),
            duplicates=(self._came - self._sent).total() - never_sent,
            lost=max(0, missing - never_sent),
            changed=never_sent,
            worst_delay=max(self._delays.values(), default=0.0),
            sources=self._sources.copy(),
        )
