"""Errors as gRPC statuses and back: the one place that decides what is sent again.

A Collector retries CANCELLED, DEADLINE_EXCEEDED, ABORTED, OUT_OF_RANGE,
UNAVAILABLE and DATA_LOSS, and RESOURCE_EXHAUSTED only with RetryInfo in the
status details; everything else, UNKNOWN and INTERNAL included, drops the batch.
Source: the OTLP specification, "Failures", and the Collector's
exporter/otlpexporter/otlp.go, shouldRetry.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

import grpc
import grpc.aio
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

from otel_embedder.errors import (
    BusyError,
    ExportError,
    IncompleteRequestError,
    LoopError,
    MalformedRequestError,
    PermanentExportError,
    RequestTooLargeError,
    RetryableExportError,
    SurplusRequestError,
    TooLargeExportError,
    UnauthenticatedError,
)
from otel_embedder.otlp.words import fit
from otel_embedder.proto import otlp_wire_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from otel_embedder.otlp.call import Metadata

# Where gRPC puts a google.rpc.Status that says more than code and message.
STATUS_DETAILS_KEY = "grpc-status-details-bin"

RETRYABLE_CODES = {
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.OUT_OF_RANGE,
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DATA_LOSS,
}
# What grpc-go and grpcio say when a request is larger than they take, the last number being how
# much that is: "grpc: received message larger than max (5242880 vs. 4194304)". A number of more
# digits than any message has bytes is none.
TOO_LARGE = re.compile(
    r"message (?:after decompression )?larger than max\b"
    r"(?:[^(]*\([0-9]+ vs\. |\s+)?(?P<limit>[0-9]{1,18}(?![0-9]))?",
    re.IGNORECASE,
)
# Of what the next hop says, so many characters are searched for that.
SEARCHED_CHARACTERS = 4096
CODES = {code.value[0]: code for code in grpc.StatusCode}

RETRY_INFO = b"google.rpc.RetryInfo"
NANOSECONDS_PER_SECOND = 1_000_000_000
# Whoever asks for a longer wait hardly means it, and a negative one is none.
MAX_RETRY_SECONDS = 3600.0
# gRPC's clients refuse a call, spans and all, for headers over 8 KiB. These come twice, as text
# with each odd character as three, and within the status details.
MAX_DETAILS = 1024

# Nobody mends a configuration faster.
LOOP_RETRY_SECONDS = 30.0
# A token that was renewed on one side has soon come to the other.
TOKEN_RETRY_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Refusal:
    """A gRPC status to end a call with.

    Attributes:
        code: the status code.
        details: a sentence for the sender's log.
        trailing_metadata: the status details, where there are any.

    """

    code: grpc.StatusCode
    details: str
    trailing_metadata: Metadata = ()


# What can't be told any better.
NO_WORDS = Refusal(grpc.StatusCode.UNAVAILABLE, "")


def refusal(error: Exception) -> Refusal:
    """Choose the status that tells a Collector what to do about an error; never raises."""
    try:
        return _refusal(error)
    except Exception:  # noqa: BLE001 - it would take the place of the refusal, and lose the spans
        return NO_WORDS


def _refusal(error: Exception) -> Refusal:
    code, details = _code(error), _details(error)
    seconds = _wait(error)
    return Refusal(code, details, () if seconds is None else _retry_info(code, details, seconds))


def _code(error: Exception) -> grpc.StatusCode:
    match error:
        case MalformedRequestError():
            return grpc.StatusCode.INVALID_ARGUMENT
        case RequestTooLargeError():
            # As gRPC itself says it. Without RetryInfo nobody sends the same again.
            return grpc.StatusCode.RESOURCE_EXHAUSTED
        case SurplusRequestError():
            # As other servers answer it. Only a broken sender meets it.
            return grpc.StatusCode.INTERNAL
        case PermanentExportError() if error.code:
            return CODES[error.code]
        case _:
            # Also for a fault of ours. UNKNOWN, which grpcio would make of it, or
            # INTERNAL would lose the spans; later or elsewhere they may pass.
            return grpc.StatusCode.UNAVAILABLE


# What is written for the sender to read. Another error's text may hold what is not for it.
TOLD = (
    MalformedRequestError,
    IncompleteRequestError,
    SurplusRequestError,
    RequestTooLargeError,
    BusyError,
    LoopError,
    UnauthenticatedError,
    ExportError,
)


def _details(error: Exception) -> str:
    details = str(error) if isinstance(error, TOLD) else f"unexpected {type(error).__name__}"
    # Half of a surrogate pair can't be sent.
    return details[:MAX_DETAILS].encode(errors="replace").decode()


def _wait(error: Exception) -> float | None:
    """Give the seconds after which to send again, where they are known."""
    match error:
        case BusyError() | RetryableExportError():
            return error.retry_after
        case LoopError():
            return LOOP_RETRY_SECONDS
        case UnauthenticatedError():
            return TOKEN_RETRY_SECONDS
        case _:
            return None


def _retry_info(code: grpc.StatusCode, details: str, seconds: float) -> Metadata:
    """Say how long to wait: beside UNAVAILABLE, a Collector then does and sends again."""
    status = status_pb2.Status(code=code.value[0], message=details)
    delay = Duration()
    delay.FromNanoseconds(round(_sensible(seconds) * 1e9))
    status.details.add().Pack(error_details_pb2.RetryInfo(retry_delay=delay))
    return ((STATUS_DETAILS_KEY, status.SerializeToString()),)


def _sensible(seconds: float) -> float:
    return min(MAX_RETRY_SECONDS, max(0.0, seconds))


def export_error(error: grpc.aio.AioRpcError) -> ExportError:
    """Tell from the next hop's status whether the same spans may be sent again."""
    said = error.details() or ""
    message = f"the next hop answered {error.code().name}: {fit(said)}"
    retry_after = _retry_after(error)
    throttled = error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED and retry_after is not None
    code = error.code().value[0]
    if throttled or error.code() in RETRYABLE_CODES:
        return RetryableExportError(message, retry_after=retry_after, code=code)
    if error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED and (found := _too_large(said)):
        limit = found["limit"]
        return TooLargeExportError(message, code=code, limit=int(limit) if limit else None)
    return PermanentExportError(message, code=code)


def _too_large(said: str) -> re.Match[str] | None:
    return TOO_LARGE.search(said[:SEARCHED_CHARACTERS])


def _retry_after(error: grpc.aio.AioRpcError) -> float | None:
    """Give the seconds of the RetryInfo in a status's details, if there is one."""
    pairs = error.trailing_metadata() or ()
    encoded = (value for key, value in pairs if key == STATUS_DETAILS_KEY)
    return next(chain.from_iterable(_delays(each) for each in encoded), None)


def _delays(encoded: str | bytes) -> Iterator[float]:
    """Give the seconds of each RetryInfo that can be read. What is broken beside it is let be."""
    for encoded_detail in _details_in(encoded):
        with suppress(DecodeError):
            detail = pb.Detail.FromString(encoded_detail)
            if detail.type_url.rpartition(b"/")[2] == RETRY_INFO:
                yield _seconds(pb.RetryInfo.FromString(detail.value).retry_delay)


def _details_in(encoded: str | bytes) -> Sequence[bytes]:
    if isinstance(encoded, bytes):
        with suppress(DecodeError):
            return pb.StatusDetails.FromString(encoded).details
    return ()


def _seconds(delay: pb.Duration) -> float:
    seconds = delay.seconds + delay.nanos / NANOSECONDS_PER_SECOND
    return min(max(0.0, seconds), MAX_RETRY_SECONDS)
