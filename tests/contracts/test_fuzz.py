"""The checks of tests.fuzz with what hypothesis thinks of.

`--hypothesis-profile=fuzz` (tests/conftest.py) has it think of 20,000 inputs; `make fuzz` does so.
"""

from __future__ import annotations

import json
from functools import partial
from random import Random

from hypothesis import example, given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.fuzz.check_json import check_json
from tests.fuzz.check_reader import check_reader
from tests.fuzz.check_receiver import check_receiver
from tests.fuzz.check_render import check_render
from tests.fuzz.check_wire import check_wire
from tests.fuzz.mutators import mutated
from tests.support.otlp_json import otlp_json
from tests.support.otlp_samples import messages

Inputs = st.SearchStrategy[bytes]

MAX_CHANGES = 4

REQUESTS = messages(ExportTraceServiceRequest, depth=7, unknown=True)
ENCODED_REQUESTS = REQUESTS.map(ExportTraceServiceRequest.SerializeToString)
ENCODED_SPANS = st.one_of(
    messages(Span, depth=4, unknown=True).map(Span.SerializeToString),
    messages(Resource, depth=4, unknown=True).map(Resource.SerializeToString),
    messages(AnyValue, depth=6, unknown=True).map(AnyValue.SerializeToString),
)
JSON_REQUESTS = messages(ExportTraceServiceRequest, depth=6).map(
    lambda request: json.dumps(otlp_json(request)).encode()
)
SEPARATORS = st.sampled_from([b"", b"\n", b"\r\n\n", b" ", b"\0\0\0", b",\n", b"\xef\xbb\xbf"])
FILES = st.one_of(
    st.lists(JSON_REQUESTS, max_size=3).flatmap(
        lambda requests: SEPARATORS.map(lambda separator: separator.join(requests))
    ),
    st.lists(JSON_REQUESTS, max_size=3).map(lambda requests: b"[%b]" % b",".join(requests)),
    st.lists(ENCODED_REQUESTS, max_size=3).map(
        lambda requests: b"".join(len(each).to_bytes(4) + each for each in requests)
    ),
    ENCODED_REQUESTS,
)


def any_of(check: str, valid: Inputs) -> Inputs:
    """Give what is valid, the same with something changed, and anything else."""
    seeds, changes = st.integers(0, 2**32), st.integers(1, MAX_CHANGES)
    return st.one_of(
        valid, st.builds(partial(changed, check), valid, seeds, changes), st.binary(max_size=100)
    )


def changed(check: str, data: bytes, seed: int, changes: int) -> bytes:
    random = Random(seed)
    for _ in range(changes):
        data = mutated(check, data, random, partial(scrambled, random))
    return data


def scrambled(random: Random, data: bytes) -> bytes:
    """Put other bytes in the place of some."""
    start = random.randrange(len(data) + 1)
    end = start + random.randrange(4)
    return data[:start] + random.randbytes(random.randrange(4)) + data[end:]


@given(any_of("wire", ENCODED_REQUESTS))
def test_no_request_is_lost_or_changed(encoded: bytes) -> None:
    check_wire(encoded)


@example(b"J\x00J\x07\n\x01\x7f\x12\x02\n\x00")  # two keys that are shown alike
@given(any_of("render", ENCODED_SPANS))
def test_every_span_has_one_short_text(encoded: bytes) -> None:
    check_render(encoded)


@given(any_of("receiver", ENCODED_REQUESTS))
def test_whatever_comes_in_goes_on_or_is_refused(message: bytes) -> None:
    check_receiver(message)


@given(any_of("json", JSON_REQUESTS))
def test_every_line_of_json_is_refused_or_left_as_it_came(content: bytes) -> None:
    check_json(content)


@given(any_of("reader", FILES))
def test_every_file_is_read_whole_or_refused_in_our_words(content: bytes) -> None:
    check_reader(content)
