from __future__ import annotations

import grpc
import grpc.aio
import pytest

from otel_embedder.errors import PermanentExportError, RetryableExportError, TooLargeExportError
from otel_embedder.otlp.status import export_error
from tests.support.peers import Answer


def export_error_of(answer: Answer) -> Exception:
    trailing = grpc.aio.Metadata(*answer.trailing_metadata())
    status = grpc.aio.AioRpcError(answer.code, grpc.aio.Metadata(), trailing, answer.details)
    return export_error(status)


def exhausted(details: str, retry_after: float | None = None) -> Answer:
    return Answer(grpc.StatusCode.RESOURCE_EXHAUSTED, details, retry_after)


@pytest.mark.parametrize(
    ("details", "limit"),
    [
        # grpcio
        ("SERVER: Received message larger than max (5242880 vs. 4194304)", 4_194_304),
        ("CLIENT: Received message larger than max (5242880 vs. 4194304)", 4_194_304),
        ("Received message larger than max (5242880 vs. 4194304)", 4_194_304),
        # grpc-go, rpc_util.go
        ("grpc: received message larger than max (5242880 vs. 4194304)", 4_194_304),
        ("grpc: message after decompression larger than max (5242880 vs. 4194304)", 4_194_304),
        ("grpc: received message after decompression larger than max 4194304", 4_194_304),
        ("grpc: trying to send message larger than max (5242880 vs. 4194304)", 4_194_304),
        (
            "grpc: received message larger than max length allowed on current machine (9 vs. 8)",
            8,
        ),
        # grpc-go until 1.67
        ("grpc: received message after decompression larger than max (5 vs. 4)", 4),
        ("message larger than max", None),
        ("message larger than max (a lot)", None),
        ("message larger than max, sorry", None),
    ],
)
def test_a_next_hop_says_how_much_it_takes(details: str, limit: int | None) -> None:
    error = export_error_of(exhausted(details))

    assert isinstance(error, TooLargeExportError)
    assert error.limit == limit
    assert error.code == grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]


@pytest.mark.parametrize("details", ["", "quota exceeded", "out of memory: larger than life"])
def test_a_next_hop_may_be_exhausted_otherwise(details: str) -> None:
    error = export_error_of(exhausted(details))

    assert type(error) is PermanentExportError


def test_who_says_when_to_come_back_takes_it_then() -> None:
    error = export_error_of(exhausted("message larger than max (5 vs. 4)", retry_after=1.5))

    assert isinstance(error, RetryableExportError)
    assert error.code == grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]


def test_the_words_count_only_with_their_code() -> None:
    details = "message larger than max (5 vs. 4)"
    error = export_error_of(Answer(grpc.StatusCode.INVALID_ARGUMENT, details))

    assert type(error) is PermanentExportError
