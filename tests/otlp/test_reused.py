from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from google.protobuf.message import DecodeError

from otel_embedder.otlp.reused import TIMES, Reused
from otel_embedder.proto import otlp_wire_pb2 as pb

FULL = pb.Span(name=b"pay", kind=2, attributes=[b"a", b"b"], status=b"c")
EMPTY = pb.Span()


def test_nothing_is_left_of_what_was_read_before() -> None:
    spans = Reused(pb.Span)
    encoded = [FULL.SerializeToString(), EMPTY.SerializeToString()] * TIMES

    assert [bool(spans.read(each).attributes) for each in encoded] == [True, False] * TIMES
    assert spans.read(b"") == EMPTY
    assert spans.read(FULL.SerializeToString()) == FULL


def test_what_was_taken_out_of_a_message_stays() -> None:
    spans = Reused(pb.Span)
    span = spans.read(FULL.SerializeToString())
    name, attributes = span.name, span.attributes[:]
    spans.read(pb.Span(name=b"ship", attributes=[b"d"]).SerializeToString())

    assert (name, attributes) == (b"pay", [b"a", b"b"])


def test_after_what_is_malformed_the_next_is_read() -> None:
    spans = Reused(pb.Span)
    with pytest.raises(DecodeError):
        spans.read(FULL.SerializeToString() + b"\xff")

    assert spans.read(b"") == EMPTY


def test_each_thread_has_its_own() -> None:
    spans = Reused(pb.Span)
    here = spans.read(FULL.SerializeToString())
    with ThreadPoolExecutor(1) as threads:
        there = threads.submit(spans.read, b"").result()

    assert (here, there) == (FULL, EMPTY)
