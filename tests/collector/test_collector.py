"""The very files of collector-config in a real Collector, end to end, with the real model."""

from __future__ import annotations

import subprocess
import sys
from functools import lru_cache
from typing import TYPE_CHECKING

import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from tests.support.comparison import delivery, differences, spans_as_they_are, spans_in
from tests.support.generated import requests_of_every_shape
from tests.support.processes import (
    CONFIGURATIONS,
    REPOSITORY,
    Collector,
    Sidecar,
    Sink,
    collector_binary,
    free_address,
    running_collector,
    running_sidecar,
    send,
)
from tests.support.trace_files import requests_in

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    import grpc

pytestmark = [pytest.mark.collector, pytest.mark.integration]

SIDECAR_YAML = CONFIGURATIONS / "sidecar.yaml"
DIRECT_YAML = CONFIGURATIONS / "direct.yaml"
SAMPLING_YAML = CONFIGURATIONS / "sampling.yaml"

TRACES = REPOSITORY.parent / "shared" / "data" / "otlp"
GENERATED = "generated"
# The smallest first.
FILES = sorted(TRACES.glob("*.jsonl.gz"), key=lambda path: path.stat().st_size)
SOURCES = [path.name for path in FILES] or [GENERATED]

# Longer than the Collector waits at first without being told.
RETRY_SECONDS = 1.5

# So long that it has time for all texts on a busy machine, too.
PATIENCE = "60s"
PATIENT_SIDECAR = ("--embed-timeout", PATIENCE.removesuffix("s"))
PATIENT_COLLECTOR = f"exporters::otlp_grpc/sidecar::timeout: {PATIENCE}"


@lru_cache
def spans_of(source: str) -> Sequence[bytes]:
    if source == GENERATED:
        return requests_of_every_shape(2_000)
    return [*requests_in(TRACES / source)]


@pytest.fixture(autouse=True)
def _model_cache(model_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EMBEDDER_MODEL_CACHE", str(model_cache))


class Topology:
    """A file of collector-config, and the addresses of everything that it joins."""

    def __init__(self, config: Path, storage: Path, backend: str) -> None:
        embedded = free_address()
        self._config = config
        self._sidecar = free_address()
        self._next_hop = embedded if config == SIDECAR_YAML else backend
        self._environment = {
            "OTELCOL_SIDECAR_ENDPOINT": self._sidecar,
            "OTELCOL_EMBEDDED_ENDPOINT": embedded,
            "OTELCOL_BACKEND_ENDPOINT": backend,
            "OTELCOL_STORAGE_DIRECTORY": str(storage / "spans"),
        }

    def sidecar(self, *settings: str) -> AbstractContextManager[Sidecar]:
        return running_sidecar(self._next_hop, listen=self._sidecar, settings=settings)

    def collector(self, *overrides: str) -> AbstractContextManager[Collector]:
        return running_collector(self._config, self._environment, overrides=overrides)


def throttled(seconds: float) -> grpc.Status:
    """Give UNAVAILABLE with the wish to be left alone for so long."""
    delay = Duration()
    delay.FromNanoseconds(round(seconds * 1e9))
    status = status_pb2.Status(code=code_pb2.UNAVAILABLE, message="not now")
    status.details.add().Pack(error_details_pb2.RetryInfo(retry_delay=delay))
    return rpc_status.to_status(status)


@pytest.mark.parametrize(
    "configs", [[SIDECAR_YAML], [DIRECT_YAML], [SIDECAR_YAML, SAMPLING_YAML]], ids=str
)
def test_a_collector_finds_nothing_wrong_with_a_configuration(configs: Sequence[Path]) -> None:
    command = [str(collector_binary()), "validate", *(f"--config={config}" for config in configs)]

    validation = subprocess.run(command, capture_output=True, text=True, check=False)

    assert validation.returncode == 0, validation.stderr


def test_no_configuration_goes_untested() -> None:
    configurations = {path.name for path in CONFIGURATIONS.glob("*.yaml")}

    own = {SIDECAR_YAML.name, DIRECT_YAML.name, SAMPLING_YAML.name}
    # Those that balance are tried by `make test-gateway`.
    assert configurations == {"builder.yaml", "gateway.yaml", "gateway-builder.yaml", *own}


@pytest.mark.parametrize("source", SOURCES)
def test_every_span_comes_back_from_the_sidecar_once_and_unchanged(
    source: str, tmp_path: Path
) -> None:
    sent = spans_of(source)
    with Sink() as sink:
        topology = Topology(SIDECAR_YAML, tmp_path, sink.address)
        with topology.sidecar() as sidecar, topology.collector() as collector:
            sidecar.wait_for_model()
            send(collector.address, sent)
            sink.wait_for_all(sent)

    came = delivery(sink.requests)
    assert differences(spans_in(sent), came.spans) == []
    # How many get theirs within three seconds is the machine's business.
    assert came.sources["model"] > 0


@pytest.mark.parametrize("source", SOURCES[:2])
def test_no_span_is_lost_when_the_sidecar_is_killed_half_way(source: str, tmp_path: Path) -> None:
    sent = spans_of(source)
    half = len(sent) // 2
    with Sink() as sink:
        topology = Topology(SIDECAR_YAML, tmp_path, sink.address)
        with topology.collector() as collector:
            with topology.sidecar() as sidecar:
                send(collector.address, sent[:half])
                sink.wait_for_any()
                sidecar.kill()
            send(collector.address, sent[half:])
            with topology.sidecar():
                sink.wait_for_all(sent)

    came = delivery(sink.requests).spans
    twice = came - spans_in(sent)
    sys.stdout.write(f"{twice.total()} of {came.total()} spans came twice\n")
    assert differences(spans_in(sent), came - twice) == []
    # What was on its way at the kill may have arrived, and no more than that: once more each.
    assert twice <= spans_in(sent)


def test_a_sidecar_may_send_to_the_backend_itself(tmp_path: Path) -> None:
    sent = requests_of_every_shape(1_000)
    with Sink() as sink:
        topology = Topology(DIRECT_YAML, tmp_path, sink.address)
        with topology.sidecar(), topology.collector() as collector:
            send(collector.address, sent)
            sink.wait_for_all(sent)

    assert differences(spans_in(sent), delivery(sink.requests).spans) == []


def test_a_collector_waits_as_long_as_the_next_hop_asks_for(tmp_path: Path) -> None:
    sent = requests_of_every_shape(20)
    with Sink(refusals=[throttled(RETRY_SECONDS)]) as sink:
        topology = Topology(DIRECT_YAML, tmp_path, sink.address)
        with topology.sidecar(), topology.collector() as collector:
            send(collector.address, sent)
            sink.wait_for_all(sent)

    refused_at, taken_at = sink.call_times
    assert taken_at - refused_at >= RETRY_SECONDS
    assert differences(spans_in(sent), delivery(sink.requests).spans) == []


def test_spans_wait_in_the_collector_while_the_next_hop_is_away(tmp_path: Path) -> None:
    sent = requests_of_every_shape(1_000)
    backend = free_address()
    topology = Topology(DIRECT_YAML, tmp_path, backend)
    with topology.sidecar(), topology.collector() as collector:
        send(collector.address, sent)
        collector.wait_for_line("Will retry the request", "Unavailable")
        with Sink(listen=backend) as sink:
            sink.wait_for_all(sent)

    assert differences(spans_in(sent), delivery(sink.requests).spans) == []


def test_spans_outlive_the_collector_too(tmp_path: Path) -> None:
    sent = requests_of_every_shape(1_000)
    with Sink() as sink:
        topology = Topology(SIDECAR_YAML, tmp_path, sink.address)
        with topology.collector() as collector:
            send(collector.address, sent)
            collector.kill()
        with topology.collector(), topology.sidecar():
            sink.wait_for_all(sent)

    assert differences(spans_in(sent), delivery(sink.requests).spans) == []


def test_spans_that_are_sent_again_keep_the_vectors_they_have(tmp_path: Path) -> None:
    sent = requests_of_every_shape(200)
    with Sink() as first, Sink() as second:
        embed(sent, first, tmp_path / "first")
        embed(first.requests, second, tmp_path / "second")

    assert delivery(first.requests).sources == {"model": 200}
    assert differences(spans_as_they_are(first.requests), spans_as_they_are(second.requests)) == []


def test_stand_ins_that_are_sent_again_become_vectors(tmp_path: Path) -> None:
    sent = requests_of_every_shape(200)
    with Sink() as first, Sink() as second:
        embed(sent, first, tmp_path / "first", ["--embed-timeout", "0.000001"])
        embed(first.requests, second, tmp_path / "second")

    assert delivery(first.requests).sources == {"fallback": 200}
    assert delivery(second.requests).sources == {"model": 200}
    assert differences(spans_in(sent), spans_in(second.requests)) == []


def embed(
    requests: Sequence[bytes], sink: Sink, storage: Path, settings: Sequence[str] = PATIENT_SIDECAR
) -> None:
    """Send spans through a sidecar whose model is loaded."""
    topology = Topology(DIRECT_YAML, storage, sink.address)
    with topology.sidecar(*settings) as sidecar, topology.collector(PATIENT_COLLECTOR) as collector:
        sidecar.wait_for_model()
        send(collector.address, requests)
        sink.wait_for_all(requests)


@pytest.mark.parametrize("compression", ["zstd", "snappy"])
def test_a_collector_drops_what_grpcio_cannot_decompress(compression: str, tmp_path: Path) -> None:
    """Show why the configurations say `none` or `gzip`; when this fails, grpcio has learnt."""
    override = f"exporters::otlp_grpc/sidecar::compression: {compression}"
    with Sink() as sink:
        topology = Topology(DIRECT_YAML, tmp_path, sink.address)
        with topology.sidecar(), topology.collector(override) as collector:
            send(collector.address, requests_of_every_shape(20))
            collector.wait_for_line("Dropping data", "Internal")

    assert sink.requests == []


def test_a_collector_may_compress_with_gzip(tmp_path: Path) -> None:
    sent = requests_of_every_shape(20)
    with Sink() as sink:
        topology = Topology(DIRECT_YAML, tmp_path, sink.address)
        gzip = "exporters::otlp_grpc/sidecar::compression: gzip"
        with topology.sidecar(), topology.collector(gzip) as collector:
            send(collector.address, sent)
            sink.wait_for_all(sent)

    assert differences(spans_in(sent), delivery(sink.requests).spans) == []
