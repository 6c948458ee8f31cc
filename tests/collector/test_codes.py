"""What a real Collector does on each status that the sidecar may end a call with.

One Collector with an exporter for each status, all to one server, which answers the first call of
each exporter with its status and takes what comes again.
"""

from __future__ import annotations

import json
from collections import Counter
from contextlib import contextmanager
from threading import Condition
from typing import TYPE_CHECKING, NamedTuple, Self

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2

from otel_embedder.errors import (
    BusyError,
    LoopError,
    MalformedRequestError,
    PermanentExportError,
    RequestTooLargeError,
    RetryableExportError,
    UnauthenticatedError,
)
from otel_embedder.otlp.status import RETRYABLE_CODES, STATUS_DETAILS_KEY, Refusal, refusal
from tests.faults.collector_metrics import CollectorMetrics
from tests.support.generated import requests_of_every_shape
from tests.support.processes import (
    START_SECONDS,
    free_address,
    running_collector,
    send,
    trace_server,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from types import TracebackType

    from tests.support.processes import Collector, Context

pytestmark = [pytest.mark.collector, pytest.mark.integration]

SPANS = 20
SOON = 0.2
EXPORTER = "exporter"  # the header in which an exporter says which it is
AGAIN, DROPPED = "Will retry the request", "Dropping data"


class Case(NamedTuple):
    """A status, and whether a Collector is to send again.

    Attributes:
        answer: the status.
        is_sent_again: what `status` says of it.
        waits_long: whether it asks for more time than a test has.

    """

    answer: Refusal
    is_sent_again: bool
    waits_long: bool = False


def plain(code: grpc.StatusCode) -> Case:
    return Case(Refusal(code, "no more than a code"), code in RETRYABLE_CODES)


def exhausted_for_now() -> Case:
    code = grpc.StatusCode.RESOURCE_EXHAUSTED
    delay = Duration(nanos=round(SOON * 1e9))
    details = status_pb2.Status(code=code.value[0], message="not now")
    details.details.add().Pack(error_details_pb2.RetryInfo(retry_delay=delay))
    metadata = ((STATUS_DETAILS_KEY, details.SerializeToString()),)
    return Case(Refusal(code, "not now", metadata), is_sent_again=True)


def cases() -> Mapping[str, Case]:
    """Give each case by the name of its exporter."""
    codes = {
        code.name.lower(): plain(code) for code in grpc.StatusCode if code is not grpc.StatusCode.OK
    }
    permanent = PermanentExportError("refused for good", code=grpc.StatusCode.INTERNAL.value[0])
    return codes | {
        "resource_exhausted-with-retry-info": exhausted_for_now(),
        "malformed": Case(refusal(MalformedRequestError("no request")), is_sent_again=False),
        "too-large": Case(refusal(RequestTooLargeError("too large")), is_sent_again=False),
        "permanent": Case(refusal(permanent), is_sent_again=False),
        "retryable": Case(refusal(RetryableExportError("not now")), is_sent_again=True),
        "throttled": Case(
            refusal(RetryableExportError("not now", retry_after=SOON)), is_sent_again=True
        ),
        "busy": Case(refusal(BusyError("busy", retry_after=SOON)), is_sent_again=True),
        "loop": Case(refusal(LoopError("a loop")), is_sent_again=True, waits_long=True),
        "unauthenticated-by-us": Case(
            refusal(UnauthenticatedError("who?")), is_sent_again=True, waits_long=True
        ),
        "unexpected": Case(refusal(ValueError("a fault of ours")), is_sent_again=True),
    }


CASES = cases()


class CodeServer:
    """Answers the first call of each exporter with the status of its case, then takes all."""

    def __init__(self) -> None:
        self._calls: Counter[str] = Counter()
        self._changed = Condition()

    def __enter__(self) -> Self:
        self._server, self.address = trace_server(self._export, threads=len(CASES))
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.stop(grace=None).wait()

    def _export(self, _: bytes, context: Context) -> bytes:
        name = str(dict(context.invocation_metadata())[EXPORTER])
        with self._changed:
            self._calls[name] += 1
            is_first = self._calls[name] == 1
            self._changed.notify_all()
        if is_first:
            answer = CASES[name].answer
            context.set_trailing_metadata(answer.trailing_metadata)
            context.abort(answer.code, answer.details)
        return b""

    def wait_for_calls(self, name: str, count: int) -> None:
        with self._changed:
            is_met = self._changed.wait_for(lambda: self._calls[name] >= count, START_SECONDS)
        assert is_met, f"{name} has called {self._calls[name]} times"


def configuration(address: str) -> dict[str, object]:
    """Give a Collector's configuration with an exporter for each case."""
    exporters = {
        f"otlp_grpc/{name}": {
            "endpoint": address,
            "tls": {"insecure": True},
            "headers": {EXPORTER: name},
            "retry_on_failure": {"initial_interval": f"{SOON}s", "max_elapsed_time": 0},
        }
        for name in CASES
    }
    receiver = {"protocols": {"grpc": {"endpoint": "${env:OTELCOL_APPS_ENDPOINT}"}}}
    return {
        "receivers": {"otlp": receiver},
        "exporters": exporters,
        "service": {"pipelines": {"traces": {"receivers": ["otlp"], "exporters": [*exporters]}}},
    }


@contextmanager
def asked_collector(directory: Path, server: CodeServer) -> Iterator[Collector]:
    """Run a Collector whose exporters have all sent the same spans."""
    file = directory / "codes.yaml"
    file.write_text(json.dumps(configuration(server.address)), encoding="utf-8")
    metrics = CollectorMetrics(free_address())
    with running_collector(file, {}, overrides=metrics.overrides()) as collector:
        send(collector.address, requests_of_every_shape(SPANS))
        yield collector
        dropped = [name for name, case in CASES.items() if not case.is_sent_again]
        assert metrics.dropped() == SPANS * len(dropped)


def test_a_collector_does_on_each_status_what_it_is_chosen_for(tmp_path: Path) -> None:
    with CodeServer() as server, asked_collector(tmp_path, server) as collector:
        for name, case in CASES.items():
            expected = AGAIN if case.is_sent_again else DROPPED
            collector.wait_for_line(f'"otlp_grpc/{name}"', expected)
            if case.is_sent_again and not case.waits_long:
                server.wait_for_calls(name, 2)
