from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from otel_embedder.annotation.recurring import Recurring
from otel_embedder.embedder.embedding import Embedding
from otel_embedder.search.counts import NOTHING
from otel_embedder.search.entries import Example
from otel_embedder.search.groups.failed import FailedTrace, Failure
from otel_embedder.search.recording.recorder import KEPT_INTERVALS, Bounds
from otel_embedder.search.stores.memory import MemoryStore
from tests.support.otlp_samples import resource
from tests.support.recorded import (
    MILLISECOND,
    MINUTE,
    NOW,
    ROOMY,
    SECOND,
    made,
    recorder,
    summed,
    take,
    told,
)
from tests.support.wire import new_layouts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_embedder.embedder.embedding import Source
    from otel_embedder.search.recording.recorder import Recorder
    from otel_embedder.search.store import Batch

ERROR, OK = Status.STATUS_CODE_ERROR, Status.STATUS_CODE_OK
SHOP = resource("shop").SerializeToString()


def flushed(recorder: Recorder) -> Batch:
    batch = recorder.flush(NOW)
    assert batch is not None
    return batch


def example(number: int, start: float, took: float | None, trace: int = 1) -> Example:
    return Example(
        trace.to_bytes(16),
        number.to_bytes(8),
        MINUTE * SECOND + round(start * SECOND),
        None if took is None else round(took * MILLISECOND),
    )


def test_a_trace_is_counted() -> None:
    recording = recorder()
    take(
        recording,
        made("buy", 1, took=100, status=ERROR),
        made("price", 2, 1, start=0.01, took=10),
        made("pay", 3, 1, start=0.05, took=40, status=ERROR),
    )
    take(recording, made("charge", 4, 3, start=0.06, took=30, status=ERROR), service="bank")

    roots, tables = told(flushed(recording))

    assert roots == {0: 1}
    assert tables == {
        (0, "rows"): {
            ("shop buy",): [1, 0],
            ("shop price",): [1, 0],
            ("shop pay",): [1, 0],
            ("bank charge",): [1, 1],
        },
        (0, "times"): {
            ("shop buy", 8): [1],  # 50 ms, 8.5: to the even one
            ("shop price", 5): [1],
            ("shop pay", 5): [1],
            ("bank charge", 7): [1],
        },
        (0, "nexts"): {
            ("shop buy", "shop pay"): [1],
            ("shop price", NOTHING): [1],
            ("shop pay", "bank charge"): [1],
            ("bank charge", NOTHING): [1],
        },
        (0, "calls"): {("shop pay", "bank"): [1]},
        (0, "texts"): {
            ("buy",): [1, 1, 2_000],
            ("price",): [1, 1, 1_000],
            ("pay",): [1, 1, 1_602],
            ("charge",): [1, 1, 1_477],
        },
    }


def test_spans_are_counted_by_the_minute_of_their_start() -> None:
    recording = recorder()
    take(recording, made("a", 1, start=59.9, took=500), made("a", 2, start=60), made("a", 3))

    roots, tables = told(flushed(recording))

    assert roots == {0: 2, 60: 1}
    assert tables[0, "rows"] == {("shop a",): [2, 0]}
    assert tables[60, "rows"] == {("shop a",): [1, 0]}


def test_a_span_waits_an_interval_for_children_that_come_late() -> None:
    recording = recorder()
    take(recording, made("parent", 1, took=100))

    assert recording.batch(NOW) is None

    take(recording, made("child", 2, 1, took=90))
    batch = recording.batch(NOW)

    assert batch is not None
    assert told(batch).tables[0, "times"] == {("shop parent", 5): [1]}
    assert told(batch).tables[0, "nexts"] == {("shop parent", "shop child"): [1]}


def test_children_are_at_hand_until_their_parent_has_come() -> None:
    recording = recorder()
    take(recording, made("child", 2, 1, took=90))
    batches = [recording.batch(NOW) for _ in range(KEPT_INTERVALS)]
    take(recording, made("parent", 1, took=100))
    batches += [recording.batch(NOW), recording.batch(NOW)]

    counted = summed(batches)

    assert counted[0, "times", "shop parent", 5] == [1]
    assert counted[0, "rows", "shop child"] == [1, 0]


def test_children_are_not_kept_for_ever() -> None:
    recording = recorder()
    take(recording, made("child", 2, 1, took=90))
    held = recording.size
    for _ in range(KEPT_INTERVALS + 3):
        recording.batch(NOW)

    assert recording.size < held


some_spans = st.lists(
    st.builds(
        made,
        name=st.sampled_from("abc"),
        number=st.integers(1, 9),
        parent=st.integers(0, 9),
        trace=st.integers(1, 3),
        start=st.integers(0, 100),
        took=st.integers(-10, 1_000),
        status=st.sampled_from([0, ERROR, OK]),
    ),
    max_size=12,
)


@given(st.lists(some_spans, max_size=4))
def test_every_span_is_counted_once_whatever_the_intervals(intervals: Sequence[list[Span]]) -> None:
    at_once, in_turn = recorder(), recorder()
    batches: list[Batch | None] = []
    for spans in intervals:
        take(at_once, *spans)
        take(in_turn, *spans)
        batches.append(in_turn.batch(NOW))
    batches.append(in_turn.flush(NOW))
    certain = {"roots", "texts"}  # and spans of rows; the rest is as the trees are at hand

    expected, found = summed([at_once.flush(NOW)]), summed(batches)

    assert {key: value for key, value in found.items() if key[1] in certain} == {
        key: value for key, value in expected.items() if key[1] in certain
    }
    rows = {key: value[0] for key, value in found.items() if key[1] == "rows"}
    assert rows == {key: value[0] for key, value in expected.items() if key[1] == "rows"}
    assert [each.number for each in batches if each] == [
        *range(1, 1 + sum(each is not None for each in batches))
    ]


def test_what_a_batch_says_goes_into_a_store() -> None:
    recording, store = recorder(), MemoryStore()
    take(recording, made("a", 1), made("b", 2, 1))

    store.write(flushed(recording))

    [bucket] = store.buckets(since=MINUTE, until=MINUTE + 60)
    assert bucket.counts.table("rows").values.sum(axis=0).tolist() == [2, 0]


def test_numbers_go_on_from_the_last() -> None:
    recording = recorder(number=7)
    take(recording, made("a", 1))

    assert flushed(recording).number == 8


def test_nothing_makes_no_batch() -> None:
    recording = recorder()

    assert recording.batch(NOW) is None
    assert recording.flush(NOW) is None


@pytest.mark.parametrize("time", [0, 1, 946_684_799 * SECOND, NOW + 86_401 * SECOND, 2**64 - 1])
def test_a_span_of_an_impossible_time_is_counted_now(time: int) -> None:
    recording = recorder()
    span = made("a", 1)
    span.start_time_unix_nano, span.end_time_unix_nano = time, min(time + 5, 2**64 - 1)
    take(recording, span)

    roots, tables = told(flushed(recording))

    assert roots == {120: 1}
    assert (120, "times") not in tables
    assert tables[120, "texts"] == {("a",): [1, 0, 0]}


def test_in_a_file_a_span_without_a_time_is_counted_with_the_one_before_it() -> None:
    recording = recorder(is_file=True)
    timeless = Span(name="b", span_id=b"22222222")
    take(recording, timeless, made("a", 1), timeless, made("a", 3, start=60), timeless)

    assert told(flushed(recording)).roots == {0: 2, 60: 2, 120: 1}


def test_a_span_that_ends_before_it_starts_has_no_duration() -> None:
    recording = recorder()
    take(recording, made("a", 1, took=-5))

    [text] = flushed(recording).texts

    assert text.examples.first.duration is None


def test_what_was_not_rendered_is_rendered_here() -> None:
    recording = recorder()
    spans = [made("a", 1), made("a", 2), made("b", 3)]
    encoded = [span.SerializeToString() for span in spans]
    recording.take(SHOP, encoded, [None, "a", None], [None] * 3, now=NOW)

    assert told(flushed(recording)).tables[0, "texts"] == {("a",): [2, 2, 0], ("b",): [1, 1, 0]}


def test_one_text_of_two_services_is_a_text_of_two_rows() -> None:
    recording = recorder()
    take(recording, made("a", 1))
    take(recording, made("a", 2), service="bank")

    _, tables = told(flushed(recording))

    assert tables[0, "texts"] == {("a",): [2, 2, 0]}
    assert tables[0, "rows"] == {("shop a",): [1, 0], ("bank a",): [1, 0]}


def test_a_text_has_its_first_last_and_slowest_spans_as_examples() -> None:
    recording = recorder()
    times = {3: 1, 5: 2, 1: 1, 2: 700, 9: 1, 6: 1}
    take(
        recording, *(made("a", 10 + start, start=start, took=took) for start, took in times.items())
    )

    [text] = flushed(recording).texts

    assert text.examples.first == example(11, 1, 1)
    assert text.examples.last == (example(19, 9, 1), example(16, 6, 1), example(15, 5, 2))
    assert text.examples.slowest == example(12, 2, 700)


@pytest.mark.parametrize(
    ("statuses", "status"),
    [([0], "UNSET"), ([0, OK], "OK"), ([ERROR, OK], "ERROR"), ([7], "UNSET")],
)
def test_a_text_has_the_worst_status_of_its_spans(
    statuses: Sequence[Status.StatusCode.ValueType], status: str
) -> None:
    recording = recorder()
    take(recording, *(made("a", number, status=each) for number, each in enumerate(statuses, 1)))

    assert [text.status for text in flushed(recording).texts] == [status]


def embedding(number: int, source: Source = "model") -> Embedding:
    return Embedding(np.eye(4, dtype=np.float32)[number], "tiny", source)


def test_a_text_brings_the_vector_of_one_of_its_spans() -> None:
    recording = recorder()
    spans = [made("a", 1), made("a", 2), made("b", 3)]
    take(recording, *spans, embeddings=[None, embedding(2), None])

    found = {text.words: text.embedded for text in flushed(recording).texts}

    assert found["b"] is None
    assert found["a"] is not None
    assert found["a"].model == "tiny"
    assert found["a"].vector.tolist() == [0, 0, 1, 0]


def test_a_vector_that_comes_a_little_later_is_taken() -> None:
    recording = recorder()
    take(recording, made("a", 1))
    recording.batch(NOW)
    take(recording, made("a", 2), embeddings=[embedding(1)])

    batches = [recording.batch(NOW), recording.batch(NOW), recording.batch(NOW)]

    found = [text.embedded for batch in batches if batch for text in batch.texts]
    assert [each and each.model for each in found] == ["tiny", "tiny"]


def test_a_stand_in_is_no_vector() -> None:
    recording = recorder()
    take(recording, made("a", 1), embeddings=[embedding(0, "fallback")])

    assert [text.embedded for text in flushed(recording).texts] == [None]


def test_spans_beyond_the_bound_are_counted_without_their_trees() -> None:
    recording = recorder(ROOMY._replace(spans=4))
    take(recording, *(made("a", number, status=ERROR) for number in range(1, 6)))

    batch = recording.batch(NOW)
    assert batch is not None
    assert told(batch).tables == {
        (0, "rows"): {("shop a",): [3, 0]},
        (0, "texts"): {("a",): [3, 3, 0]},
    }

    assert told(flushed(recording)).tables[0, "times"] == {("shop a", 0): [2]}


def test_what_there_is_no_room_for_is_dropped_and_told() -> None:
    recording = recorder(ROOMY._replace(bytes=5_000))
    spans = [made("a", number) for number in range(1, 21)]

    dropped = [take(recording, *spans), take(recording, *spans)]

    assert dropped == [0, 20]
    assert told(flushed(recording)).roots == {0: 20}
    assert take(recording, *spans) == 0


def test_texts_that_are_not_said_any_more_are_forgotten() -> None:
    recording = recorder(ROOMY._replace(sayings=3))
    batches: list[Batch | None] = []
    for interval in range(9):
        take(recording, *(made(f"{interval} {name}", 1, 2) for name in "abcd"), made("e", 3))
        batches.append(recording.batch(NOW))
    batches.append(recording.flush(NOW))
    held = recording.size

    counted = summed(batches)

    assert {key[2] for key in counted if key[1] == "texts"} == {
        "e",
        *(f"{interval} {name}" for interval in range(9) for name in "abcd"),
    }
    assert counted[0, "texts", "e"] == [9, 9, 0]
    for _ in range(KEPT_INTERVALS + 1):
        recording.batch(NOW)
    assert recording.size < held / 3


def take_recurring(recorder: Recorder, *spans: Span, known: Recurring) -> int:
    encoded = [span.SerializeToString() for span in spans]
    own = new_layouts().cut(encoded).own
    return recorder.take_recurring([known] * len(spans), own, [None] * len(spans), now=NOW)


def test_spans_that_recur_are_counted_as_others_are() -> None:
    recurring, others = recorder(), recorder()
    first, second, third = made("a", 1), made("a", 2, 1, start=0.01), made("b", 3, 1, took=5)
    known = Recurring("a", 0, "shop", first.SerializeToString())

    take_recurring(recurring, first, second, known=known)
    take_recurring(recurring, third, known=Recurring("b", 0, "shop", third.SerializeToString()))
    take(others, first, second, third)

    assert told(flushed(recurring)) == told(flushed(others))


def test_what_recurs_is_counted_whatever_was_forgotten() -> None:
    recording = recorder(Bounds(sayings=2))
    known = [
        Recurring(name, 1, "shop", made(name, 1).SerializeToString()) for name in ("a", "b", "c")
    ]
    batches = []
    for number in range(1, 10):
        for each in known:
            take_recurring(recording, made(each.content, number), known=each)
        batches.append(recording.batch(NOW))
    batches.append(recording.flush(NOW))

    counted = summed(batches)

    assert [counted[0, "texts", name][0] for name in ("a", "b", "c")] == [9, 9, 9]
    assert {text.status for batch in batches if batch for text in batch.texts} == {"OK"}


def test_of_what_recurs_no_more_is_taken_than_there_is_memory_for() -> None:
    recording = recorder(Bounds(bytes=1_000))
    known = Recurring("a", 0, "shop", made("a", 1).SerializeToString())
    taken = take_recurring(recording, made("a", 1), known=known)

    assert (taken, take_recurring(recording, made("a", 2), known=known)) == (0, 1)


def test_of_spans_of_which_one_is_malformed_none_is_recorded() -> None:
    recording = recorder()
    spans = [made("a", 1).SerializeToString(), b"\xff"]

    with pytest.raises(DecodeError):
        recording.take(SHOP, spans, ["a", "b"], [None] * 2, now=NOW)

    assert recording.flush(NOW) is None


def test_odd_ids_are_counted() -> None:
    recording = recorder()
    span = made("a", 1)
    span.trace_id, span.span_id = b"x" * 32, b""
    take(recording, span)

    [text] = flushed(recording).texts

    assert text.examples.first[:2] == (b"x" * 16, b"")


def failures_in(batch: Batch | None) -> list[FailedTrace]:
    return [] if batch is None else [*batch.failures]


def test_it_is_told_where_a_trace_failed_and_whom_that_reached() -> None:
    recording = recorder()
    take(recording, made("buy", 1, took=100, status=ERROR, message="no"), service="front")
    take(recording, made("check", 2, 1, took=90), made("look", 9, trace=2))
    pay = made("pay", 3, 2, took=50, status=ERROR, message="bank is gone")
    take(recording, pay, service="bank")

    ended = MINUTE * SECOND + 50 * MILLISECOND
    failure = Failure("bank", "pay", "", "bank is gone")
    assert failures_in(recording.flush(NOW)) == [
        FailedTrace((1).to_bytes(16), (3).to_bytes(8), ended, failure, ("bank", "front"))
    ]


def test_a_failure_that_says_nothing_has_the_words_of_the_nearest_error_above_it() -> None:
    recording = recorder()
    top = made("buy", 1, status=ERROR, message="could not buy")
    silent = made("check", 3, 2, status=ERROR)
    take(recording, top, made("ask", 2, 1), silent)

    [failed] = failures_in(recording.flush(NOW))
    assert failed.failure == Failure("shop", "check", "", "could not buy")


def test_a_failure_is_told_once_when_its_span_is_counted() -> None:
    recording = recorder()
    take(recording, made("buy", 1, status=ERROR))
    told = [len(failures_in(recording.batch(NOW))) for _ in range(4)]

    assert told == [0, 1, 0, 0]
    assert recording.size < 1_000


def test_a_failure_for_which_there_is_no_room_is_not_told_with_others_words() -> None:
    recording = recorder(ROOMY._replace(errors=500))
    take(recording, *(made("buy", number, trace=number, status=ERROR) for number in (1, 2)))

    assert [each.trace_id for each in failures_in(recording.flush(NOW))] == [(1).to_bytes(16)]


def test_a_failure_without_a_trace_id_is_of_no_trace() -> None:
    recording = recorder()
    take(recording, made("buy", 1, trace=0, status=ERROR))

    assert failures_in(recording.flush(NOW)) == []
