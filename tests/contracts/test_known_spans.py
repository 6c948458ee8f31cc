"""A text that is looked up is the one that would be made, whatever was seen before, in any form."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest
from google.protobuf.message import DecodeError
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from otel_embedder.annotation.annotator import Annotator
from otel_embedder.annotation.known_spans import MAX_SPAN_BYTES
from otel_embedder.annotation.recurring import Sightings
from otel_embedder.annotation.standing import Origin
from otel_embedder.annotation.work import SpanReader
from otel_embedder.otlp.wire import ResourceSpans, ScopeSpans, TraceRequest, parse_request
from otel_embedder.otlp.wire import Span as WireSpan
from otel_embedder.text.options import RenderOptions
from otel_embedder.text.purse import SPAN_BYTES
from otel_embedder.text.rendering import new_renderer
from tests.fuzz.encoded import BYTES, FIXED_32, FIXED_64, VARINT, Field, encode, fields, varint
from tests.fuzz.mutation import Mutator
from tests.support.fakes import FakeMetrics
from tests.support.generated import requests_of_every_shape
from tests.support.otlp_samples import resource
from tests.support.wire import encoded_spans

if TYPE_CHECKING:
    from collections.abc import Sequence

PROFILES = {
    "words": RenderOptions(),
    "template": RenderOptions(profile="template"),
    "exact durations": RenderOptions(profile="template", exact_durations=True),
}
KINDS, SPANS = 16, 500
RESOURCE = resource("cart").SerializeToString()

# What differs from span to span of a kind, by field number.
IDS = {1: 16, 2: 8, 3: 12, 4: 8}
STARTED, ENDED, EVENTS, ATTRIBUTES = 7, 8, 11, 9
TIMES = (0, 1, 1_700_000_000_000_000_000, 2**64 - 1)
TOOK = (0, 1, 999_999, 999_999_999, 1_000_000_000, 10_000_000_000)

# No text has these; and what the last one's values look like they are not.
VOLATILE = ("thread.id", "network.peer.port", "thread.name")
LOOKALIKES = ("\n\tthread.id\x12\x02\x18\x05", "J\x0f\x12\x02\x18\x05\n\tthread.id", "J\x0f")
THREADS = (*(f"worker-{number}" for number in range(100)), *LOOKALIKES)

# A sender may write any number in more digits than it takes.
MORE = 0x80


def padded(number: int) -> bytes:
    """Give a number with a digit 0 before the first."""
    digits = varint(number)
    return bytes((*digits[:-1], digits[-1] | MORE, 0))


def encode_padded(field: Field) -> bytes:
    number, kind, value = field
    tag = padded(number << 3 | kind)
    if isinstance(value, bytes):
        return tag + padded(len(value)) + value
    if isinstance(value, int):
        sizes = {FIXED_32: 4, FIXED_64: 8}
        return tag + (padded(value) if kind == VARINT else value.to_bytes(sizes[kind], "little"))
    return encode(field)


class Forms:
    """Gives spans of the same kinds again and again, as any sender might write them."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self._mutator = Mutator(self._random, lambda value: value[::-1])
        made = [
            span
            for request in requests_of_every_shape(KINDS // 2, seed=seed)
            for span in encoded_spans(parse_request(request))
        ]
        self._kinds = [*made, *map(self._mutated, made)]

    def _mutated(self, encoded: bytes) -> bytes:
        return self._mutator.mutated(encoded, Span.DESCRIPTOR)

    def next(self) -> bytes:
        """Give the next span: of a kind that there was, or of a new one."""
        random = self._random
        place = random.randrange(len(self._kinds))
        if random.random() < 0.1:
            self._kinds[place] = self._mutated(self._kinds[place])
        encoded = self._kinds[place]
        try:
            found = fields(encoded)
        except DecodeError:
            return encoded
        if place % 3:  # or hardly any would come again, for each event has a time of its own
            found = [field for field in found if field.number != EVENTS]
        found += [*map(self._attribute, VOLATILE[: place % 4])]
        ordered = self._ordered([self._with_own(field) for field in found], place)
        write = random.choice((encode, encode, encode_padded))
        return b"".join(map(write, self._with_times(ordered)))

    def _with_own(self, field: Field) -> Field:
        if field.number in IDS and field.kind == BYTES:
            return field._replace(value=self._random.randbytes(IDS[field.number]))
        return field

    def _attribute(self, key: str) -> Field:
        """Give an attribute that no text has, in either order."""
        value = AnyValue(int_value=self._random.choice((self._random.randrange(1, 300), -1)))
        if key == "thread.name":
            value = AnyValue(string_value=self._random.choice(THREADS))
        pair = fields(KeyValue(key=key, value=value).SerializeToString())
        return Field(
            ATTRIBUTES, BYTES, b"".join(map(encode, self._random.choice((pair, pair[::-1]))))
        )

    def _ordered(self, found: list[Field], place: int) -> list[Field]:
        """Give fields as they come, from the last one to the first, or in some other order."""
        order = self._random.choice(("as they come", "reverse", "other"))
        if order == "other":
            Random(place).shuffle(found)
        return found[::-1] if order == "reverse" else found

    def _with_times(self, found: Sequence[Field]) -> list[Field]:
        """Give a span at other times: each of its two told once, twice, or not at all."""
        started = self._random.choice(TIMES)
        took = self._random.choice(TOOK)
        others = [field for field in found if field.number not in (STARTED, ENDED)]
        for number, time in ((STARTED, started), (ENDED, (started + took) % 2**64)):
            told = self._random.choice((1, 1, 1, 1, 0, 2))
            for earlier in reversed(range(told)):
                at = self._random.randrange(len(others) + 1)
                others.insert(at, Field(number, FIXED_64, (time + earlier) % 2**64))
        return others


def read(
    reader: SpanReader, *spans: bytes, sightings: Sightings | None = None
) -> list[object] | None:
    """Give what a reader finds out of spans; None if one of them is none."""
    scope = ScopeSpans(b"", [*map(WireSpan, spans)])
    request = TraceRequest.of([ResourceSpans(RESOURCE, [slice(None)], [scope])])
    metrics = FakeMetrics()
    steps = reader.read(request, metrics, sightings=sightings)
    try:
        works = [work for step, _ in steps for work in step]
    except DecodeError:
        return None
    found: list[object] = [(work.bare, work.standing, work.content, work.urgent) for work in works]
    return [*found, dict(metrics.counts)]


def new_reader(options: RenderOptions) -> SpanReader:
    annotator = Annotator(
        Origin("a-model", options.version()),
        encoding="bytes",
        prefix="embedding.",
        attach_text=False,
        max_remembered=1,
    )
    return SpanReader(new_renderer(options), annotator)


@pytest.mark.parametrize("profile", PROFILES)
def test_what_was_read_before_makes_no_difference(profile: str) -> None:
    forms, reader = Forms(seed=7), new_reader(PROFILES[profile])

    for _ in range(SPANS):
        span = forms.next()
        assert read(reader, span) == read(new_reader(PROFILES[profile]), span), span.hex()
    if profile != "exact durations":
        assert reader.hits() > SPANS // 20


def test_spans_of_one_request_are_read_as_each_alone() -> None:
    forms, reader = Forms(seed=8), new_reader(RenderOptions())
    spans = [span for span in (forms.next() for _ in range(400)) if read(reader, span) is not None]
    alone = [read(new_reader(RenderOptions()), span) for span in spans]

    together = read(reader, *spans)

    assert together is not None
    assert together[:-1] == [work for found in alone if found for work in found[:-1]]


@pytest.mark.parametrize("profile", PROFILES)
def test_of_spans_that_recur_each_is_told_with_its_own(profile: str) -> None:
    forms, reader = Forms(seed=9), new_reader(PROFILES[profile])
    spans = [span for span in (forms.next() for _ in range(400)) if read(reader, span) is not None]
    alone = [read(new_reader(PROFILES[profile]), span) for span in spans]
    seen = 0
    for _ in range(4):
        Random(seen).shuffle(spans)
        sightings = Sightings()

        together = read(reader, *spans, sightings=sightings)

        assert together is not None
        assert sorted(map(str, together[:-1])) == sorted(
            str(work) for found in alone if found for work in found[:-1]
        )
        own = [row for piece in sightings.own for row in piece]
        for work, recurring, row in zip(sightings.works, sightings.recurring, own, strict=True):
            span = Span.FromString(work.bare)
            assert recurring.content == work.content
            assert recurring.status == span.status.code != Status.STATUS_CODE_ERROR
            assert row[:3].tobytes() == span.trace_id.ljust(16, b"\0") + span.span_id.ljust(
                8, b"\0"
            )
            assert row[3].tobytes() == span.parent_span_id.ljust(8, b"\0")
            assert row[4:].tolist() == [span.start_time_unix_nano, span.end_time_unix_nano]
        seen += len(own)
    assert (seen > SPANS // 10) is (profile == "words")


def test_a_span_that_may_be_cut_is_never_known() -> None:
    assert MAX_SPAN_BYTES <= SPAN_BYTES
