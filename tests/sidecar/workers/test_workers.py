"""Real processes: a supervisor, its workers, and a next hop."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from contextlib import closing, contextmanager
from select import select
from threading import Event
from typing import TYPE_CHECKING, NamedTuple
from urllib.request import urlopen

import grpc
import pytest
from grpc_health.v1 import health_pb2
from prometheus_client.parser import text_string_to_metric_families

from otel_embedder.otlp.names import TRACE_SERVICE
from otel_embedder.receiver.probe import CHECK_METHOD
from otel_embedder.search.stores.opening import open_store
from tests.support.generated import requests_of_texts
from tests.support.processes import (
    OTEL_EMBEDDER,
    Sidecar,
    Sink,
    free_address,
    own_environment,
    running_sidecar,
    send,
    trace_server,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    Request = health_pb2.HealthCheckRequest
    Response = health_pb2.HealthCheckResponse
    Check = grpc.UnaryUnaryMultiCallable[Request, Response]
    Watch = grpc.UnaryStreamMultiCallable[Request, Response]
    Export = grpc.UnaryUnaryMultiCallable[bytes, bytes]

pytestmark = pytest.mark.timeout(180)

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
WORKERS = 2
SPANS = 64
# A busy machine may take so long to start processes.
PATIENCE = 60.0


class Site(NamedTuple):
    """A supervisor that runs.

    Attributes:
        supervisor: its process.
        metrics: where its metrics are.

    """

    supervisor: Sidecar
    metrics: str

    def value(self, name: str) -> float:
        """Give a metric without labels, as a scrape has it."""
        with urlopen(f"http://{self.metrics}/metrics", timeout=PATIENCE) as answer:
            families = text_string_to_metric_families(answer.read().decode())
        samples = (sample for family in families for sample in family.samples)
        return next(each.value for each in samples if each.name == f"otel_embedder_{name}")

    def wait_for(self, name: str, value: float) -> None:
        until = time.monotonic() + PATIENCE
        while (is_ := self.value(name)) != value:
            assert time.monotonic() < until, f"{name} is {is_}, not {value}"
            time.sleep(0.05)

    def workers(self, *, starts: int = WORKERS) -> dict[int, int]:
        """Give the process ids of the workers, by number, once so many have been started."""
        until = time.monotonic() + PATIENCE
        while len(told := self.supervisor.events("worker.started")) < starts:
            assert time.monotonic() < until, f"told of: {told}"
            time.sleep(0.05)
        return {facts["worker"]: facts["pid"] for facts in told}


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """Give a directory for a model that has none: spans then go on as they came."""
    empty = tmp_path / "model"
    empty.mkdir()
    return empty


@pytest.fixture
def sockets(tmp_path: Path) -> list[str]:
    return [f"unix:{tmp_path}/{number}.sock" for number in range(WORKERS)]


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink() as sink:
        yield sink


@contextmanager
def site(next_hop: str, empty: Path, *settings: str) -> Iterator[Site]:
    metrics = free_address()
    own = ["--workers", f"{WORKERS}", "--model", str(empty), "--no-preload", "--on-failure", "omit"]
    own += ["--metrics-listen", metrics]
    with running_sidecar(next_hop, settings=[*own, *settings]) as supervisor:
        yield Site(supervisor, metrics)


def sent_by_each(address: str, senders: int) -> list[bytes]:
    """Send some spans by as many connections as that, one after the other; give them."""
    requests = requests_of_texts(SPANS * senders, texts=SPANS, spans_a_request=SPANS)
    for request in requests:
        send(address, [request])
    return [*requests]


def health(address: str, service: str) -> int:
    with grpc.insecure_channel(address) as channel:
        check: Check = channel.unary_unary(
            CHECK_METHOD,
            health_pb2.HealthCheckRequest.SerializeToString,
            health_pb2.HealthCheckResponse.FromString,
        )
        request = health_pb2.HealthCheckRequest(service=service)
        return check(request, timeout=PATIENCE, wait_for_ready=True).status


@contextmanager
def watched(pids: Sequence[int]) -> Iterator[list[int]]:
    """Give what is readable once a process has ended, by each of these."""
    descriptors = [os.pidfd_open(pid) for pid in pids]
    try:
        yield descriptors
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def have_ended(descriptors: Sequence[int]) -> bool:
    return all(select([each], (), (), PATIENCE)[0] for each in descriptors)


def test_all_workers_serve_at_one_address_and_are_one_to_who_looks(sink: Sink, empty: Path) -> None:
    with site(sink.address, empty) as it:
        requests = sent_by_each(it.supervisor.address, senders=12)

        sink.wait_for_all(requests)
        it.wait_for("receiver_accepted_spans_total", 12 * SPANS)
        assert it.value("workers") == WORKERS
        assert it.value("exporter_sent_spans_total") == 12 * SPANS
        assert health(it.supervisor.address, "") == SERVING
        workers = it.workers()
        assert sorted(workers) == [*range(WORKERS)]
        with watched([*workers.values()]) as descriptors:
            assert it.supervisor.stop() == 0
            assert have_ended(descriptors)
    assert it.supervisor.events("service.stopped")


def test_a_worker_that_is_killed_is_started_again_and_its_counts_stay(
    sink: Sink, empty: Path
) -> None:
    with site(sink.address, empty) as it:
        sent_by_each(it.supervisor.address, senders=8)
        it.wait_for("receiver_accepted_spans_total", 8 * SPANS)
        before = it.workers()

        os.kill(before[1], signal.SIGKILL)
        it.wait_for("worker_restarts_total", 1)
        it.wait_for("workers", WORKERS)

        assert it.supervisor.wait_for_event("worker.ended")["end"] == "SIGKILL"
        after = it.workers(starts=WORKERS + 1)
        assert (after[0] == before[0], after[1] == before[1]) == (True, False)
        assert it.value("receiver_accepted_spans_total") == 8 * SPANS
        requests = sent_by_each(it.supervisor.address, senders=8)
        sink.wait_for_all(requests)
        it.wait_for("receiver_accepted_spans_total", 16 * SPANS)


def test_a_catalogue_has_what_all_workers_counted(
    sink: Sink, empty: Path, sockets: Sequence[str], tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path}/catalogue.db"
    with site(sink.address, empty, "--listen", ",".join(sockets), "--catalogue", url) as it:
        for address in sockets:
            sink.wait_for_all(sent_by_each(address, senders=1))
        assert it.supervisor.stop() == 0

    with closing(open_store(url, readonly=True)) as store:
        buckets = [*store.buckets(since=0, until=int(time.time()))]
        counted = sum(int(each.counts.table("rows").values[:, 0].sum()) for each in buckets)

        assert len(store.writers()) == WORKERS
        assert counted == WORKERS * SPANS


def test_a_worker_that_is_asked_to_end_finishes_and_is_replaced(sink: Sink, empty: Path) -> None:
    with site(sink.address, empty) as it:
        sent_by_each(it.supervisor.address, senders=8)
        os.kill(it.workers()[0], signal.SIGTERM)
        it.wait_for("worker_restarts_total", 1)

        assert it.supervisor.wait_for_event("worker.ended")["end"] == "exit code 0"
        # What it counted last, too, was told.
        it.wait_for("receiver_accepted_spans_total", 8 * SPANS)


def test_a_worker_that_finishes_what_is_in_flight_is_not_counted_among_those_that_take_spans(
    empty: Path, sockets: Sequence[str]
) -> None:
    released = Event()
    server, next_hop = trace_server(lambda *_: bytes(released.wait(PATIENCE) * 0))
    with (
        site(next_hop, empty, "--listen", ",".join(sockets), "--shutdown-timeout", "3600") as it,
        grpc.insecure_channel(sockets[1]) as channel,
    ):
        export: Export = channel.unary_unary(f"/{TRACE_SERVICE}/Export")
        [request] = requests_of_texts(SPANS, texts=SPANS, spans_a_request=SPANS)
        answer = export.future(request, timeout=PATIENCE)
        it.wait_for("receiver_inflight_requests", 1)

        os.kill(it.workers()[1], signal.SIGTERM)
        it.wait_for("workers", WORKERS - 1)

        assert not it.supervisor.events("worker.ended")
        released.set()
        assert answer.code() is grpc.StatusCode.OK
        it.wait_for("workers", WORKERS)
    server.stop(None)


def test_workers_end_with_a_supervisor_that_is_killed(sink: Sink, empty: Path) -> None:
    with site(sink.address, empty) as it, watched([*it.workers().values()]) as descriptors:
        it.supervisor.kill()

        assert have_ended(descriptors)


def test_who_asks_twice_does_not_wait_for_what_is_in_flight(empty: Path) -> None:
    released = Event()
    server, next_hop = trace_server(lambda *_: bytes(released.wait(PATIENCE) * 0))
    with (
        site(next_hop, empty, "--shutdown-timeout", "3600") as it,
        watched([*it.workers().values()]) as descriptors,
        grpc.insecure_channel(it.supervisor.address) as channel,
    ):
        export: Export = channel.unary_unary(f"/{TRACE_SERVICE}/Export")
        [request] = requests_of_texts(SPANS, texts=SPANS, spans_a_request=SPANS)
        answer = export.future(request, timeout=PATIENCE)
        it.wait_for("receiver_inflight_requests", 1)

        it.supervisor.send_signal(signal.SIGTERM)
        it.supervisor.wait_for_event("service.stopping")
        it.supervisor.send_signal(signal.SIGTERM)

        assert have_ended(descriptors)
        assert answer.code() is grpc.StatusCode.UNAVAILABLE
    released.set()
    server.stop(None)


def serve(*flags: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*OTEL_EMBEDDER, "serve", "--workers", f"{WORKERS}", "--metrics-listen", "", *flags],
        env=own_environment({}),
        capture_output=True,
        check=False,
        encoding="utf-8",
        timeout=PATIENCE,
    )


def test_bad_settings_end_all_with_2_and_a_line_for_each() -> None:
    finished = serve("--cache-size", "7", "--encoding", "morse", "--listen", "unix:one.sock")

    assert finished.returncode == 2
    for flag in ("--listen", "--cache-size", "--encoding"):
        assert (
            finished.stderr.count(f"\n  {flag} is ") + finished.stderr.count(f"\n  {flag}: ") == 1
        )
    assert "Traceback" not in finished.stderr


@pytest.mark.parametrize("number", [0, 1])
def test_what_a_worker_can_not_have_ends_all_with_1_and_is_told_once(
    number: int, tmp_path: Path
) -> None:
    sockets = [tmp_path / "a.sock", tmp_path / "b.sock"]
    sockets[number].write_text("no socket")

    finished = serve("--listen", ",".join(f"unix:{path}" for path in sockets), "--no-preload")

    assert finished.returncode == 1
    assert finished.stderr.count(f"{sockets[number]} is there already, and no socket") == 1
    assert "Traceback" not in finished.stderr
    assert not sockets[1 - number].exists()


def test_in_a_log_of_json_every_line_is_json(sink: Sink, empty: Path) -> None:
    # gRPC itself complains of a next hop that speaks no TLS.
    telemetry = ("--metrics-otlp-endpoint", f"https://{sink.address}")
    with site(sink.address, empty, *telemetry, "--metrics-otlp-interval", "1") as it:
        it.supervisor.wait_for_event("telemetry.failing")
        it.supervisor.stop()

    events = [json.loads(line)["event"] for line in it.supervisor.lines_with("")]
    assert events[-1] == "service.stopped"


def test_a_socket_file_for_each_worker_is_served_by_each(
    sink: Sink, empty: Path, sockets: Sequence[str]
) -> None:
    with site(sink.address, empty, "--listen", ",".join(sockets)) as it:
        requests = [each for address in sockets for each in sent_by_each(address, senders=1)]

        sink.wait_for_all(requests)
        it.wait_for("receiver_accepted_spans_total", WORKERS * SPANS)


def test_while_one_is_missing_the_whole_is_not_healthy_and_each_other_is(
    sink: Sink, empty: Path, sockets: Sequence[str]
) -> None:
    with (
        site(sink.address, empty, "--listen", ",".join(sockets)) as it,
        grpc.insecure_channel(sockets[0]) as channel,
    ):
        watch: Watch = channel.unary_stream(
            "/grpc.health.v1.Health/Watch",
            health_pb2.HealthCheckRequest.SerializeToString,
            health_pb2.HealthCheckResponse.FromString,
        )
        statuses = watch(health_pb2.HealthCheckRequest(), timeout=PATIENCE)
        while next(statuses).status != SERVING:
            pass

        os.kill(it.workers()[1], signal.SIGKILL)

        assert next(statuses).status == NOT_SERVING
        assert health(sockets[0], TRACE_SERVICE) == SERVING
        assert next(statuses).status == SERVING


def test_workers_are_started_by_serve_and_by_nobody_else() -> None:
    finished = subprocess.run(
        [*OTEL_EMBEDDER, "worker", "99"],
        env=own_environment({}),
        capture_output=True,
        check=False,
        encoding="utf-8",
        timeout=PATIENCE,
    )

    assert finished.returncode == 2
    assert "it is started by `otel-embedder serve --workers N`" in finished.stderr
