"""A sidecar whose log can't be written from the first line on: spans flow, and have vectors."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.support.fakes import PATIENCE
from tests.support.otlp_samples import request, span
from tests.support.peers import spans_in
from tests.support.processes import (
    EXPORT_METHOD,
    START_SECONDS,
    STOP_SECONDS,
    Sink,
    free_address,
    own_environment,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.timeout(120)

# The command, with a model that is there at once and fails on some texts, which is told.
LAUNCHER = """
import numpy as np
from otel_embedder.__main__ import main
from otel_embedder.embedder.embedding import Embedding
from otel_embedder.embedder.models import engines

class Model:
    dimension = 16

    def encode(self, texts):
        if any("bad" in text for text in texts):
            raise MemoryError
        return [Embedding(np.full(16, 0.25, np.float32), "fine", "model") for _ in texts]

engines.LOADERS["ctranslate2"] = lambda choice: Model()
main()
"""


@contextmanager
def unwritable(kind: str) -> Iterator[int]:
    """Give a descriptor to which nothing can be written."""
    if kind == "full disk":
        descriptors = [os.open("/dev/full", os.O_WRONLY)]
    else:
        descriptors = [*os.pipe()]
        fill(descriptors[-1])
        if kind == "gone":
            os.close(descriptors.pop(0))
    try:
        yield descriptors[-1]
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def fill(descriptor: int) -> None:
    os.set_blocking(descriptor, False)
    try:
        while True:
            os.write(descriptor, b"." * 4_096)
    except BlockingIOError:
        os.set_blocking(descriptor, True)


@contextmanager
def sidecar(
    sink: Sink, stderr: int, *, closed: bool
) -> Iterator[tuple[subprocess.Popen[bytes], str, str]]:
    """Run one; give its process, its address, and that of its metrics."""
    address, metrics = free_address(), free_address()
    command = [
        *(
            sys.executable,
            "-c",
            LAUNCHER,
            "serve",
            "--listen",
            address,
            "--metrics-listen",
            metrics,
        ),
        *("--next-hop", f"http://{sink.address}", "--encoding", "bytes"),
    ]
    if closed:
        command = ["/bin/sh", "-c", 'exec "$@" 2>&-', "sh", *command]
    process = subprocess.Popen(command, env=own_environment({}), stderr=stderr)
    try:
        yield process, address, metrics
    finally:
        process.kill()
        process.wait()


def send(address: str, sink: Sink, name: str) -> str:
    """Send a span; give where its vector is from."""
    with grpc.insecure_channel(address) as channel:
        export: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(EXPORT_METHOD)
        sent = request(span(name)).SerializeToString()
        export(sent, timeout=START_SECONDS, wait_for_ready=True)
    [arrived] = spans_in(ExportTraceServiceRequest.FromString(sink.requests[-1]))
    [source] = [p.value.string_value for p in arrived.attributes if p.key == "embedding.source"]
    return source


def dropped(metrics: str) -> float:
    with urllib.request.urlopen(f"http://{metrics}/metrics", timeout=PATIENCE) as answer:
        lines = answer.read().decode().splitlines()
    [value] = [line.split()[1] for line in lines if line.startswith(DROPPED)]
    return float(value)


DROPPED = "otel_embedder_dropped_log_lines_total "


@pytest.mark.parametrize("kind", ["full disk", "unread", "gone", "closed"])
def test_a_log_that_cannot_be_written_costs_no_span_no_vector_and_no_exit_code(kind: str) -> None:
    with (
        Sink() as sink,
        unwritable(kind) as stderr,
        sidecar(sink, stderr, closed=kind == "closed") as (process, address, metrics),
    ):
        sources = [send(address, sink, name) for name in ("good", "bad one", "better")]
        lines = dropped(metrics)
        process.send_signal(signal.SIGTERM)
        exit_code = process.wait(STOP_SECONDS)

    assert sources == ["model", "fallback", "model"]
    assert (lines == 0) is (kind == "unread")  # there they wait
    assert exit_code == 0
