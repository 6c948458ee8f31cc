"""The judge of the fault suite: what its ledger and its verdicts notice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.faults.collector_metrics import Counts
from tests.faults.fault import fault
from tests.faults.ledger import MALFORMED, Account, Ledger, spans_of
from tests.faults.rows import chosen
from tests.support.comparison import DIMENSION
from tests.support.generated import requests_of_every_shape
from tests.support.otlp_samples import UNKNOWN_FIELDS, field, request, span
from tests.support.processes import ProcessError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.fault import Row
    from tests.faults.stage import Stage
    from tests.support.otlp_samples import Value

AGREEING = Counts(
    accepted=1, sent=1, dropped=0, partially_rejected=0, not_enqueued=0, refused=0, waiting=0
)
SENT = request(span()).SerializeToString()
OTHER = request(span("another")).SerializeToString()


def account(*came: bytes, sent: bytes = SENT) -> Account:
    ledger = Ledger()
    ledger.sent(sent)
    for encoded in came:
        ledger.came(encoded)
    return ledger.account()


def with_vector(**changes: Value) -> bytes:
    """Give the span that is sent with the attributes of a vector of the model."""
    attributes: dict[str, Value] = {
        "vector": [1.0, *[0.0] * (DIMENSION - 1)],
        "model_name": "all-MiniLM-L6-v2",
        "source": "model",
        "text_version": "1",
        "text_id": "0123456789abcdef",
        **changes,
    }
    ours = {f"embedding.{name}": value for name, value in attributes.items()}
    return request(span(attributes=ours)).SerializeToString()


def test_a_span_with_a_vector_is_the_span_that_was_sent() -> None:
    result = account(with_vector())

    assert (result.came, result.changed, result.lost) == (1, 0, 0)
    assert result.sources == {"model": 1}


@pytest.mark.parametrize(
    "changes",
    [{"source": "fallback"}, {"vector": [1.0, 1.0]}, {"text_version": ""}, {"more": 1}],
    ids=str,
)
def test_a_vector_that_does_not_say_what_it_is_is_noticed(changes: dict[str, Value]) -> None:
    assert account(with_vector(**changes)).sources == {MALFORMED: 1}


def test_a_span_that_comes_again_is_a_duplicate() -> None:
    result = account(with_vector(), SENT)

    assert (result.came, result.duplicates, result.lost) == (1, 1, 0)


def test_a_span_that_does_not_come_is_lost() -> None:
    assert account().lost == 1


@pytest.mark.parametrize("word", [b"process_repository", b"1.0", b"mahavishnu"])
def test_a_change_of_a_span_its_scope_or_its_resource_is_noticed(word: bytes) -> None:
    result = account(SENT.replace(word, word[::-1]), sent=SENT)

    assert (result.came, result.changed, result.lost) == (0, 1, 0)


def test_a_lost_unknown_field_is_a_change() -> None:
    later = field(1, field(2, field(2, span().SerializeToString() + UNKNOWN_FIELDS[0])))
    plain = field(1, field(2, field(2, span().SerializeToString())))

    assert account(plain, sent=later).changed == 1


def test_fields_in_another_order_are_no_change() -> None:
    [sent] = requests_of_every_shape(50)
    came = ExportTraceServiceRequest.FromString(sent)
    for resource in came.resource_spans:
        resource.resource.SetInParent()
        for scope in resource.scope_spans:
            for each in scope.spans:
                each.status.SetInParent()

    result = account(came.SerializeToString(), sent=sent)

    assert (result.came, result.changed) == (50, 0)


def test_what_is_no_request_has_no_spans() -> None:
    assert [*spans_of(b"\xff")] == []


def test_a_rejected_span_is_not_lost_and_one_that_came_is_not_rejected() -> None:
    ledger = Ledger()
    ledger.sent(SENT)
    ledger.sent(OTHER)
    ledger.rejected(SENT)
    ledger.rejected(OTHER)
    ledger.came(OTHER)

    ledger.wait_for_all()
    result = ledger.account()
    assert (result.came, result.rejected, result.lost) == (1, 1, 0)


def test_to_wait_for_a_span_that_never_comes_has_an_end() -> None:
    ledger = Ledger()
    ledger.sent(SENT)

    with pytest.raises(ProcessError, match="1 spans did not come"):
        ledger.wait_for_all(timeout=0.01)


def run(directory: Path, *came: bytes, counts: Counts = AGREEING, reason: str = "") -> Row:
    """Run a row that sends one span and in which this comes."""

    @fault("a row", may_duplicate=reason)
    def row(stage: Stage) -> None:
        stage.counts = counts
        stage.ledger.sent(SENT)
        for encoded in came:
            stage.ledger.came(encoded)

    return row.run(directory, directory)


def test_a_row_is_well_when_each_span_came_once_and_the_collector_agrees(tmp_path: Path) -> None:
    assert run(tmp_path, SENT).problems == []


def test_a_lost_span_and_a_changed_one_are_problems(tmp_path: Path) -> None:
    assert run(tmp_path).problems == ["1 spans are lost"]
    assert run(tmp_path, OTHER).problems == ["1 spans are changed"]


def test_a_malformed_vector_is_a_problem(tmp_path: Path) -> None:
    problems = run(tmp_path, with_vector(source="fallback")).problems

    assert problems == ["1 spans do not say what their vector is"]


def test_duplicates_are_a_problem_only_where_there_is_no_reason_for_them(tmp_path: Path) -> None:
    assert run(tmp_path, SENT, SENT).problems == ["1 spans came more than once"]
    assert run(tmp_path, SENT, SENT, reason="its answer was lost").problems == []


@pytest.mark.parametrize(
    ("counts", "problem"),
    [
        (AGREEING._replace(dropped=1, sent=0), "gave up 1 spans"),
        (AGREEING._replace(partially_rejected=1), "gave up 1 spans"),
        (AGREEING._replace(sent=0), "neither that they were sent nor dropped"),
        (AGREEING._replace(not_enqueued=1), "no room for 1 spans"),
        (AGREEING._replace(refused=1), "refused 1 spans"),
        (AGREEING._replace(waiting=1), "1 bytes still wait"),
    ],
)
def test_what_only_the_collector_knows_of_is_a_problem(
    counts: Counts, problem: str, tmp_path: Path
) -> None:
    [told] = run(tmp_path, SENT, counts=counts).problems

    assert problem in told


def test_a_row_that_fails_is_a_problem_of_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    @fault("a row that fails")
    def row(_: Stage) -> None:
        raise ProcessError("it did not start\nand said more")

    assert row.run(tmp_path, tmp_path).problems == ["it did not start"]
    assert "and said more" in capsys.readouterr().err


def test_rows_are_chosen_by_what_their_names_contain() -> None:
    assert {each.name for each in chosen(["life: SIGTERM under"])} == {"life: SIGTERM under load"}
    assert len(chosen([])) == len({each.name for each in chosen([])}) >= 39


def test_no_row_is_called_what_is_not_there() -> None:
    assert chosen(["no such row"]) == []
