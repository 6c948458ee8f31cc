"""Errors as gRPC statuses and back: the one place that decides what is sent again.

A Collector retries CANCELLED, DEADLINE_EXCEEDED, ABORTED, OUT_OF_RANGE,
UNAVAILABLE and DATA_LOSS, and RESOURCE_EXHAUSTED only with RetryInfo in the
status details; everything else, UNKNOWN and INTERNAL included, drops the batch.
Source: the OTLP specification, "Failures", and the Collector's
exporter/otlpexporter/otlp.go, shouldRetry.
"""

from __future__ import annotations

from dataclasses import dataclass

import grpc
import grpc.aio
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError
from google.rpc import code_pb2, error_details_pb2, status_pb2

from otel_embedder.errors import (
    ExportError,
    MalformedRequestError,
    PermanentExportError,
    RetryableExportError,
)

Metadata = tuple[tuple[str, str | bytes], ...]

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
CODES = {code.value[0]: code for code in grpc.StatusCode}


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


def refusal(error: Exception) -> Refusal:
    """Choose the status that tells a Collector what to do about an error."""
    match error:
        case MalformedRequestError():
            return Refusal(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        case PermanentExportError():
            return Refusal(CODES[error.code], str(error))
        case RetryableExportError(retry_after=float() | int() as seconds):
            return _throttle(str(error), seconds)
        case ExportError():
            return Refusal(grpc.StatusCode.UNAVAILABLE, str(error))
        case _:
            # A fault of ours. UNKNOWN, which grpcio would make of it, or
            # INTERNAL would lose the spans; later or elsewhere they may pass.
            return Refusal(grpc.StatusCode.UNAVAILABLE, f"unexpected {type(error).__name__}")


def _throttle(details: str, seconds: float) -> Refusal:
    """Say UNAVAILABLE with RetryInfo: a Collector then waits so long and sends again."""
    status = status_pb2.Status(code=code_pb2.UNAVAILABLE, message=details)
    delay = Duration()
    delay.FromNanoseconds(round(seconds * 1e9))
    status.details.add().Pack(error_details_pb2.RetryInfo(retry_delay=delay))
    metadata = ((STATUS_DETAILS_KEY, status.SerializeToString()),)
    return Refusal(grpc.StatusCode.UNAVAILABLE, details, metadata)


def export_error(error: grpc.aio.AioRpcError) -> ExportError:
    """Tell from the next hop's status whether the same spans may be sent again."""
    message = f"the next hop answered {error.code().name}: {error.details()}"
    retry_after = _retry_after(error)
    throttled = error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED and retry_after is not None
    if throttled or error.code() in RETRYABLE_CODES:
        return RetryableExportError(message, retry_after=retry_after)
    return PermanentExportError(message, code=error.code().value[0])


def _retry_after(error: grpc.aio.AioRpcError) -> float | None:
    """Give the seconds of the RetryInfo in a status's details, if there is one."""
    details = dict(error.trailing_metadata() or ()).get(STATUS_DETAILS_KEY)
    if not isinstance(details, bytes):
        return None
    try:
        return _delay(status_pb2.Status.FromString(details))
    except DecodeError:
        # Its code counts, even if its details are broken.
        return None


def _delay(status: status_pb2.Status) -> float | None:
    retry_info = error_details_pb2.RetryInfo()
    for detail in status.details:
        if detail.Unpack(retry_info):
            return float(retry_info.retry_delay.ToNanoseconds() / 1e9)
    return None
