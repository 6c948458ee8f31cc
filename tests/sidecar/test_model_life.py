"""A sidecar whose model dies in one way or another: spans flow, and it comes back by itself."""

from __future__ import annotations

import shutil
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from otel_embedder.embedder.batcher import CLOSING_SECONDS
from otel_embedder.embedder.models.choice import ModelChoice
from otel_embedder.embedder.models.conversion import converted_model
from otel_embedder.embedder.models.engines import load_model
from otel_embedder.embedder.models.reviving import (
    MODEL_LOADED,
    MODEL_REPLACED,
    MODEL_UNAVAILABLE,
)
from tests.support.fakes import PATIENCE
from tests.support.otlp_samples import request, span
from tests.support.peers import spans_in
from tests.support.processes import EXPORT_METHOD, Sidecar, Sink, own_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.timeout(120)

MODEL_TIMEOUT = 1.0
EMBED_TIMEOUT = 2.0

# The command, with models that behave as they are told to: the first one badly, the next ones well.
LAUNCHER = """
import threading
import numpy as np
from otel_embedder.__main__ import main
from otel_embedder.embedder.embedding import Embedding
from otel_embedder.embedder.models import engines

class Model:
    dimension = 16

    def __init__(self, fault):
        self.fault = fault

    def encode(self, texts):
        if self.fault:
            self.fault()
        return [Embedding(np.full(16, 0.25, np.float32), "fine", "model") for _ in texts]

def hang():
    threading.Event().wait()

def memory():
    raise MemoryError("3 GB wanted")

faults = [{faults}]
engines.RETRY_SECONDS = 0.1
engines.LOADERS["ctranslate2"] = lambda choice: Model(faults.pop(0) if faults else None)
main()
"""


@contextmanager
def sidecar(
    sink: Sink,
    faults: str,
    *,
    model_timeout: float = MODEL_TIMEOUT,
    embed_timeout: float = EMBED_TIMEOUT,
) -> Iterator[Sidecar]:
    command = [
        *(sys.executable, "-c", LAUNCHER.format(faults=faults), "serve", "--log-format", "json"),
        *("--listen", "127.0.0.1:0", "--next-hop", f"http://{sink.address}"),
        *("--metrics-listen", "", "--model-threads", "1", "--encoding", "bytes"),
        *("--model-timeout", str(model_timeout), "--embed-timeout", str(embed_timeout)),
    ]
    with Sidecar(command, own_environment({})) as process:
        process.address = f"127.0.0.1:{process.wait_for_event('service.started')['port']}"
        yield process


# The command, with the real engine; a span of this name is one that the model fails on.
POISONED = """
from otel_embedder.__main__ import main
from otel_embedder.embedder.models import engines

load = engines.LOADERS["ctranslate2"]

class Poisoned:
    def __init__(self, model):
        self.model, self.dimension = model, model.dimension

    def encode(self, texts):
        if any("poison" in text for text in texts):
            raise MemoryError
        return self.model.encode(texts)

engines.LOADERS["ctranslate2"] = lambda choice: Poisoned(load(choice))
main()
"""


class Sender:
    """Sends one span after the other, each with a text of its own."""

    def __init__(self, sidecar: Sidecar, sink: Sink) -> None:
        self._address = sidecar.address
        self._sink = sink
        self._count = 0

    def send(self) -> str:
        """Give where the span's vector is from."""
        self._count += 1
        sent = request(span("abcdefghijklmnopqrstuvwxyz"[self._count % 26] * self._count))
        with grpc.insecure_channel(self._address) as channel:
            export: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(EXPORT_METHOD)
            export(sent.SerializeToString(), timeout=PATIENCE)
        [arrived] = spans_in(ExportTraceServiceRequest.FromString(self._sink.requests[-1]))
        [source] = [p.value.string_value for p in arrived.attributes if p.key == "embedding.source"]
        return source

    def send_until(self, wanted: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while self.send() != wanted:
            assert time.monotonic() < deadline


@pytest.mark.parametrize("faults", ["hang", "hang, hang", "memory", "memory, memory"])
def test_a_model_that_dies_is_replaced_and_no_restart_is_needed(faults: str) -> None:
    with Sink() as sink, sidecar(sink, faults) as process:
        sender = Sender(process, sink)
        first = sender.send()
        sender.send_until("model")
        process.wait_for_event(MODEL_UNAVAILABLE if "hang" in faults else MODEL_REPLACED)

    assert first == "fallback"


def test_while_a_model_hangs_spans_flow_at_once_and_the_process_ends_in_time() -> None:
    with Sink() as sink, sidecar(sink, "hang, hang, hang, hang, hang") as process:
        sender = Sender(process, sink)
        deadline = time.monotonic() + 3 * PATIENCE
        while (seconds := seconds_to_send(sender)) > EMBED_TIMEOUT / 4:
            assert time.monotonic() < deadline
        started = time.monotonic()
        exit_code = process.stop()
        stopping = time.monotonic() - started

    assert seconds < EMBED_TIMEOUT / 4
    assert exit_code == 0
    assert stopping < PATIENCE


def test_a_model_that_hangs_just_then_does_not_keep_the_process_from_ending() -> None:
    with Sink() as sink, sidecar(sink, "hang", model_timeout=60, embed_timeout=0.5) as process:
        process.wait_for_model()
        source = Sender(process, sink).send()
        started = time.monotonic()
        exit_code = process.stop()
        stopping = time.monotonic() - started

    assert source == "fallback"
    assert exit_code == 0
    assert stopping < CLOSING_SECONDS + PATIENCE / 2


def overwrite(directory: Path) -> None:
    content = bytearray((directory / "model.bin").read_bytes())
    content[len(content) // 2] ^= 0xFF
    (directory / "model.bin").write_bytes(content)


def replace(directory: Path) -> None:
    shutil.rmtree(directory)
    directory.mkdir()
    (directory / "model.bin").write_bytes(b"another")


@pytest.mark.parametrize("damage", [overwrite, replace, shutil.rmtree])
def test_a_models_directory_may_suffer_and_vectors_stay_true(
    tiny_bert: Path, damage: Callable[[Path], None]
) -> None:
    choice = ModelChoice("ctranslate2", str(tiny_bert), tiny_bert.parent / "cache", threads=1)
    model = load_model(choice)
    with Sink() as sink, poisoned_sidecar(sink, choice) as process:
        process.wait_for_model()
        damage(converted_model(choice.model, choice.cache))
        sent = [send_named(process, sink, name) for name in ("a b", "c d")]
        for name in ("poison", "poison a", "poison b"):
            assert send_named(process, sink, name)["embedding.source"] == "fallback"
        process.wait_for_event(MODEL_REPLACED)
        sent += [send_named(process, sink, name) for name in ("e f", "g h")]

    for attributes in sent:
        [true] = model.encode([attributes["embedding.text"]])
        assert attributes["embedding.source"] == "model"
        assert attributes["embedding.vector"] == true.vector.tobytes()
    assert len(process.lines_with(MODEL_LOADED)) == 2


@contextmanager
def poisoned_sidecar(sink: Sink, choice: ModelChoice) -> Iterator[Sidecar]:
    command = [
        *(sys.executable, "-c", POISONED, "serve", "--log-format", "json"),
        *("--listen", "127.0.0.1:0", "--next-hop", f"http://{sink.address}"),
        *("--metrics-listen", "", "--model-threads", "1", "--encoding", "bytes"),
        *("--model", choice.model, "--model-cache", str(choice.cache), "--attach-text"),
        *("--embed-timeout", str(PATIENCE)),
    ]
    with Sidecar(command, own_environment({})) as process:
        process.address = f"127.0.0.1:{process.wait_for_event('service.started')['port']}"
        yield process


def send_named(sidecar: Sidecar, sink: Sink, name: str) -> dict[str, Any]:
    """Send a span; give our attributes of it."""
    with grpc.insecure_channel(sidecar.address) as channel:
        export: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(EXPORT_METHOD)
        export(request(span(name)).SerializeToString(), timeout=2 * PATIENCE)
    [arrived] = spans_in(ExportTraceServiceRequest.FromString(sink.requests[-1]))
    return {
        each.key: each.value.bytes_value or each.value.string_value
        for each in arrived.attributes
        if each.key.startswith("embedding.")
    }


def seconds_to_send(sender: Sender) -> float:
    started = time.monotonic()
    assert sender.send() == "fallback"
    return time.monotonic() - started
