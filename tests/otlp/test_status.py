from __future__ import annotations

import math
from typing import TYPE_CHECKING

import grpc
import grpc.aio
import pytest
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2

from otel_embedder.errors import (
    BusyError,
    ExportError,
    ListenError,
    MalformedRequestError,
    PermanentExportError,
    RetryableExportError,
    SurplusRequestError,
    TooLargeExportError,
)
from otel_embedder.otlp.status import MAX_DETAILS, STATUS_DETAILS_KEY, export_error, refusal
from tests.support.cpu import cpu_seconds
from tests.support.otlp_samples import field

if TYPE_CHECKING:
    from otel_embedder.otlp.call import Metadata

Code = grpc.StatusCode

# What a Collector sends again. RESOURCE_EXHAUSTED it does only if told when.
# Source: the OTLP specification, "Failures".
RETRIED = {
    Code.CANCELLED,
    Code.DEADLINE_EXCEEDED,
    Code.ABORTED,
    Code.OUT_OF_RANGE,
    Code.UNAVAILABLE,
    Code.DATA_LOSS,
}
DROPPED = set(Code) - RETRIED - {Code.OK}


def answer(code: Code, *trailing: tuple[str, str | bytes]) -> grpc.aio.AioRpcError:
    metadata = grpc.aio.Metadata(*trailing)
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), metadata, "its reason")


def details(*messages: Any) -> tuple[str, bytes]:
    return STATUS_DETAILS_KEY, status_pb2.Status(details=messages).SerializeToString()


def retry_info(seconds: float) -> Any:
    delay = Duration()
    delay.FromNanoseconds(round(seconds * 1e9))
    return packed(error_details_pb2.RetryInfo(retry_delay=delay))


def packed(message: error_details_pb2.RetryInfo | error_details_pb2.ErrorInfo) -> Any:
    detail = Any()
    detail.Pack(message)
    return detail


def seconds_in(trailing_metadata: Metadata) -> float:
    [(key, value)] = trailing_metadata
    assert key == "grpc-status-details-bin"
    assert isinstance(value, bytes)
    status = status_pb2.Status.FromString(value)
    assert status.code == Code.UNAVAILABLE.value[0]
    retry = error_details_pb2.RetryInfo()
    [detail] = status.details
    assert detail.Unpack(retry)
    return float(retry.retry_delay.ToNanoseconds() / 1e9)


@pytest.mark.parametrize("code", sorted(RETRIED, key=str))
def test_what_a_collector_sends_again_may_be_sent_again(code: Code) -> None:
    error = export_error(answer(code))

    assert isinstance(error, RetryableExportError)
    assert error.retry_after is None
    assert str(error) == f"the next hop answered {code.name}: its reason"


@pytest.mark.parametrize("code", sorted(DROPPED, key=str))
def test_what_a_collector_drops_is_permanent_and_keeps_its_code(code: Code) -> None:
    error = export_error(answer(code))

    assert isinstance(error, PermanentExportError)
    assert error.code == code.value[0]
    assert refusal(error).code is code


@pytest.mark.parametrize("code", sorted(RETRIED, key=str))
def test_what_may_be_sent_again_is_answered_with_unavailable(code: Code) -> None:
    answered = refusal(export_error(answer(code)))

    assert answered.code is Code.UNAVAILABLE
    assert answered.details == f"the next hop answered {code.name}: its reason"
    assert answered.trailing_metadata == ()


@pytest.mark.parametrize("code", [Code.UNAVAILABLE, Code.RESOURCE_EXHAUSTED])
@pytest.mark.parametrize("seconds", [0.0, 0.001, 1.7, 3600.0])
def test_the_time_that_the_next_hop_asks_for_is_passed_on(code: Code, seconds: float) -> None:
    error = export_error(answer(code, ("other", "1"), details(retry_info(seconds))))
    answered = refusal(error)

    assert isinstance(error, RetryableExportError)
    assert error.retry_after == seconds
    assert answered.code is Code.UNAVAILABLE
    assert seconds_in(answered.trailing_metadata) == seconds


@pytest.mark.parametrize(("said", "seconds"), [(2**63 - 1, 3600), (3601, 3600), (-1, 0)])
def test_a_time_out_of_range_is_the_nearest_that_is_in_it(said: int, seconds: int) -> None:
    wait = packed(error_details_pb2.RetryInfo(retry_delay=Duration(seconds=said)))
    error = export_error(answer(Code.UNAVAILABLE, details(wait)))

    assert isinstance(error, RetryableExportError)
    assert error.retry_after == seconds
    assert seconds_in(refusal(error).trailing_metadata) == seconds


@pytest.mark.parametrize("digits", [19, 100, 5_000])
def test_a_limit_that_is_no_size_is_as_if_none_was_named(digits: int) -> None:
    said = f"received message larger than max (5242880 vs. {'9' * digits})"
    error = export_error(
        grpc.aio.AioRpcError(
            Code.RESOURCE_EXHAUSTED, grpc.aio.Metadata(), grpc.aio.Metadata(), said
        )
    )

    assert isinstance(error, TooLargeExportError)
    assert error.limit is None


class Unspeakable:
    """What can't be put into words."""

    def __str__(self) -> str:
        raise ValueError("no words")


@pytest.mark.parametrize(
    "error",
    [
        ExportError(Unspeakable()),
        PermanentExportError("of no known code", code=99),
        PermanentExportError("of success", code=0),
        RetryableExportError("odd", retry_after="soon"),  # type: ignore[arg-type]  # a fault of ours
        BusyError("odd", retry_after=math.nan),
        BusyError("\ud800", retry_after=1e300),
    ],
    ids=["no words", "no code", "success", "no number", "not a number", "a surrogate"],
)
def test_whatever_an_error_holds_it_may_be_sent_again(error: Exception) -> None:
    answered = refusal(error)

    assert answered.code is Code.UNAVAILABLE
    answered.details.encode()


def test_a_text_is_cut_before_headers_are_too_large_for_clients() -> None:
    answered = refusal(PermanentExportError("no " * 100_000, code=3))

    assert answered.code is Code.INVALID_ARGUMENT
    assert len(answered.details) == MAX_DETAILS


def test_a_second_request_in_a_call_is_what_other_servers_say() -> None:
    assert refusal(SurplusRequestError("two")).code is Code.INTERNAL


def test_resource_exhausted_without_a_time_is_permanent() -> None:
    other = packed(error_details_pb2.ErrorInfo(reason="quota"))

    assert isinstance(export_error(answer(Code.RESOURCE_EXHAUSTED)), PermanentExportError)
    assert isinstance(
        export_error(answer(Code.RESOURCE_EXHAUSTED, details(other))), PermanentExportError
    )


def test_a_time_does_not_make_a_permanent_error_retryable() -> None:
    error = export_error(answer(Code.INVALID_ARGUMENT, details(retry_info(1))))

    assert isinstance(error, PermanentExportError)


def test_the_time_is_found_among_other_details() -> None:
    other = packed(error_details_pb2.ErrorInfo(reason="busy"))

    error = export_error(answer(Code.UNAVAILABLE, details(other, retry_info(2))))

    assert isinstance(error, RetryableExportError)
    assert error.retry_after == 2


@pytest.mark.parametrize(
    "broken",
    [
        (STATUS_DETAILS_KEY, b"\xff\xff"),
        (STATUS_DETAILS_KEY, "text"),
        details(Any(type_url="type.googleapis.com/google.rpc.RetryInfo", value=b"\xff\xff")),
    ],
    ids=["no status", "text", "no RetryInfo"],
)
@pytest.mark.parametrize("code", [Code.UNAVAILABLE, Code.INVALID_ARGUMENT])
def test_details_that_cannot_be_read_leave_the_code_as_it_is(
    broken: tuple[str, str | bytes], code: Code
) -> None:
    error = export_error(answer(code, broken))

    assert isinstance(error, RetryableExportError) is (code is Code.UNAVAILABLE)


def delay_of(seconds: int, nanos: int = 0) -> tuple[str, bytes]:
    """Give details that ask for a wait, whatever number it is."""
    return details(
        packed(error_details_pb2.RetryInfo(retry_delay=Duration(seconds=seconds, nanos=nanos)))
    )


@pytest.mark.parametrize("code", [Code.UNAVAILABLE, Code.RESOURCE_EXHAUSTED])
@pytest.mark.parametrize(
    ("asked", "waited"),
    [
        (delay_of(2**63 - 1), 3600.0),
        (delay_of(-(2**63)), 0.0),
        (delay_of(0, -(2**31)), 0.0),
        (delay_of(1, 2**31 - 1), 3.147483647),
        (delay_of(3601), 3600.0),
    ],
    ids=["for ever", "before the beginning", "just before", "nanoseconds", "over an hour"],
)
def test_a_time_out_of_range_is_brought_into_it(
    asked: tuple[str, bytes], waited: float, code: Code
) -> None:
    error = export_error(answer(code, asked))

    assert isinstance(error, RetryableExportError)
    assert error.retry_after == pytest.approx(waited)
    assert seconds_in(refusal(error).trailing_metadata) == pytest.approx(waited)


@pytest.mark.parametrize(
    "trailing",
    [
        [(STATUS_DETAILS_KEY, field(2, b"gro\xdf") + details(retry_info(2))[1])],
        [(STATUS_DETAILS_KEY, field(3, b"\xff\xff") + details(retry_info(2))[1])],
        [(STATUS_DETAILS_KEY, b"\xff"), details(retry_info(2))],
        [details(retry_info(2)), (STATUS_DETAILS_KEY, b"\xff")],
    ],
    ids=["a message not in UTF-8", "beside a broken detail", "behind another", "before another"],
)
def test_the_time_is_found_whatever_else_is_broken(trailing: list[tuple[str, bytes]]) -> None:
    """Else RESOURCE_EXHAUSTED would be for good, and the spans lost."""
    error = export_error(answer(Code.RESOURCE_EXHAUSTED, *trailing))

    assert isinstance(error, RetryableExportError)
    assert error.retry_after == 2


@pytest.mark.parametrize("digits", [1, 18, 19, 4_301, 100_000])
def test_a_limit_of_many_digits_is_none(digits: int) -> None:
    told = f"message larger than max (9 vs. {'9' * digits})"
    error = export_error(saying(Code.RESOURCE_EXHAUSTED, told))

    assert isinstance(error, TooLargeExportError)
    assert error.limit == (int("9" * digits) if digits <= 18 else None)


def test_words_however_many_are_read_in_little_time() -> None:
    error = saying(Code.RESOURCE_EXHAUSTED, "message larger than max " * 100_000)

    assert cpu_seconds(lambda: [export_error(error) for _ in range(10)]) < 5


def test_its_words_are_passed_on_as_one_short_line() -> None:
    error = export_error(saying(Code.UNAVAILABLE, "no\r\n\x1b[31m\N{ELEPHANT}" * 10_000))

    assert str(error).isprintable()
    assert str(error).startswith("the next hop answered UNAVAILABLE: no ?[31m")
    assert len(str(error).encode()) < 1100


def saying(code: Code, words: str) -> grpc.aio.AioRpcError:
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), words)


def test_an_answer_may_come_without_any_metadata() -> None:
    none = grpc.aio.AioRpcError(Code.UNAVAILABLE, grpc.aio.Metadata(), grpc.aio.Metadata())

    assert isinstance(export_error(none), RetryableExportError)


def test_a_malformed_request_is_never_sent_again() -> None:
    answered = refusal(MalformedRequestError("not protobuf"))

    assert (answered.code, answered.details) == (Code.INVALID_ARGUMENT, "not protobuf")


@pytest.mark.parametrize("seconds", [1, 1.5], ids=["int", "float"])
def test_a_time_may_be_given_as_any_number(seconds: float) -> None:
    answered = refusal(RetryableExportError("full", retry_after=seconds))

    assert seconds_in(answered.trailing_metadata) == seconds


def test_an_export_error_of_no_known_kind_may_be_sent_again() -> None:
    assert refusal(ExportError("odd")).code is Code.UNAVAILABLE


@pytest.mark.parametrize("error", [ValueError("secret"), ListenError("secret"), KeyError("secret")])
def test_a_fault_of_ours_loses_no_span_and_tells_no_secret(error: Exception) -> None:
    answered = refusal(error)

    assert answered.code is Code.UNAVAILABLE
    assert answered.details == f"unexpected {type(error).__name__}"
