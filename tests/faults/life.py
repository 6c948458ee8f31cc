"""How a sidecar starts and ends, and who looks at it meanwhile."""

from __future__ import annotations

import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING
from urllib.error import URLError
from urllib.request import urlopen

import grpc
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from tests.faults.fault import MEGABYTE, fault
from tests.faults.next_hop import silence, take_and
from tests.faults.straight import Straight
from tests.support.generated import requests_of_every_shape, requests_of_texts
from tests.support.processes import OTEL_EMBEDDER, own_environment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.stage import Stage

SPANS = 200
TEXTS = 40
ENDS_WITHIN = 5.0
STARTS_WITHIN = 20.0
WRONG_SETTINGS = 2
WATCH_METHOD = "/grpc.health.v1.Health/Watch"
REFLECTION_METHOD = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
WATCHED = ("", "opentelemetry.proto.collector.trace.v1.TraceService", "nobody knows this one")
SCRAPERS = 4
MANY_THREADS = 1_000_000
MAX_THREADS = 1_000
MAX_BYTES = 600 * MEGABYTE
# Each of these would be a path, a model or a text that nobody meant.
EMPTY = (
    {"OTEL_EMBEDDER_MODEL_CACHE": ""},
    {"OTEL_EMBEDDER_MODEL": ""},
    {"OTEL_EMBEDDER_TEMPLATE": ""},
    {"OTEL_EMBEDDER_TEMPLATE": "{{service}}"},
    {"OTEL_EMBEDDER_NEXT_HOP": ""},
    {"OTEL_EMBEDDER_LISTEN": ""},
)


@fault("life: SIGHUP in mid-request")
def hung_up(stage: Stage) -> None:
    """It goes on, or ends as on SIGTERM: in both cases what is in flight is answered once."""
    stage.next_hop.script.append(take_and(silence(1)))
    with stage.next_hop, stage.sidecar() as sidecar:
        with stage.collector():
            stage.send(requests_of_every_shape(SPANS))
            stage.ledger.wait_for_more()
            sidecar.send_signal(signal.SIGHUP)
        assert (exit_code := sidecar.stop()) == 0, f"it ended with {exit_code}"


@fault("life: SIGTERM beside watches of health and an open reflection")
def watched(stage: Stage) -> None:
    with stage.next_hop, stage.sidecar() as sidecar, _watchers(stage.address):
        assert stage.send_once(requests_of_every_shape(SPANS)[0]).status == "OK"
        began = time.monotonic()
        exit_code = sidecar.stop()
        took = time.monotonic() - began
    assert exit_code == 0, f"it ended with {exit_code}"
    assert took < ENDS_WITHIN, f"it took {took:.1f} s to end"


@contextmanager
def _watchers(address: str) -> Iterator[None]:
    """Hold streams that never end by themselves, each of which has begun."""
    done = Event()

    def ask() -> Iterator[bytes]:
        yield reflection_pb2.ServerReflectionRequest(list_services="").SerializeToString()
        done.wait()

    with grpc.insecure_channel(address) as channel:
        watch: grpc.UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream(WATCH_METHOD)
        reflect: grpc.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(
            REFLECTION_METHOD
        )
        wanted = (health_pb2.HealthCheckRequest(service=name) for name in WATCHED)
        streams = [*(watch(each.SerializeToString()) for each in wanted), reflect(ask())]
        for stream in streams:
            next(iter(stream))
        try:
            yield
        finally:
            done.set()


@fault("life: metrics read all along under load")
def scraped(stage: Stage) -> None:
    requests = requests_of_texts(20 * SPANS, texts=TEXTS, spans_a_request=10)
    over = Event()
    with stage.next_hop, stage.sidecar(), ThreadPoolExecutor(SCRAPERS) as scrapers:
        scraping = [scrapers.submit(_scrape, stage.metrics_address, over) for _ in range(SCRAPERS)]
        statuses = stage.send_straight(requests, Straight(clients=8))
        over.set()
        failures = [failure for each in scraping for failure in each.result()]
    assert set(statuses) == {"OK"}, set(statuses)
    assert not failures, f"{len(failures)} times metrics could not be read: {failures[0]}"


def _scrape(address: str, over: Event) -> list[str]:
    """Read metrics until it is over; give what went wrong."""
    failures = []
    while not over.is_set():
        try:
            with urlopen(f"http://{address}/metrics", timeout=5) as answer:
                answer.read()
        except URLError as error:
            failures.append(str(error))
    return failures


@fault("start: empty settings")
def empty_settings(stage: Stage) -> None:
    ends = {str(settings): _end_of_start(stage, settings) for settings in EMPTY}
    taken = [settings for settings, code in ends.items() if code != WRONG_SETTINGS]
    written = [path.name for path in _working_directory(stage).iterdir()]
    assert not taken, f"taken: {', '.join(taken)}"
    assert not written, f"written into the working directory: {', '.join(written)}"


def _end_of_start(stage: Stage, settings: dict[str, str]) -> int | None:
    """Start with more settings from the environment; give the exit code, None if it runs."""
    environment = {
        "OTEL_EMBEDDER_MODEL_CACHE": str(stage.model_cache),
        "OTEL_EMBEDDER_METRICS_LISTEN": stage.metrics_address,
        "OTEL_EMBEDDER_LISTEN": stage.address,
        **settings,
    }
    process = subprocess.Popen(
        [*OTEL_EMBEDDER, "serve"],
        env=own_environment(environment),
        cwd=_working_directory(stage),
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    with process.stderr:
        first_line = process.stderr.readline()
        if b"bad settings" not in first_line:
            process.kill()
            process.wait()
            return None
        process.stderr.read()
    return process.wait(STARTS_WITHIN)


def _working_directory(stage: Stage) -> Path:
    directory = stage.directory / "empty"
    directory.mkdir(exist_ok=True)
    return directory


@fault("start: a million threads for the model", max_bytes=MAX_BYTES)
def million_threads(stage: Stage) -> None:
    """It says that it can't, or takes as many as do some good."""
    if _end_of_start(stage, {"OTEL_EMBEDDER_MODEL_THREADS": str(MANY_THREADS)}) == WRONG_SETTINGS:
        return
    with stage.next_hop, stage.sidecar("--model-threads", str(MANY_THREADS)) as sidecar:
        stage.send_once(requests_of_every_shape(SPANS)[0])
        threads = len([*Path(f"/proc/{sidecar.pid}/task").iterdir()])
    assert threads < MAX_THREADS, f"it has {threads:,} threads"
    sources = stage.ledger.account().sources
    assert sources["model"] > 0, f"vectors from {dict(sources)}"
