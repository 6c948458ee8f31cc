"""A model whose files change on disk: no vector of another says that it is the model's."""

from __future__ import annotations

import json
import shutil
import sys
import time
from itertools import count
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.faults.fault import fault
from tests.faults.next_hop import keep
from tests.support.generated import requests_of_texts
from tests.support.otlp_samples import request, span
from tests.support.processes import OTEL_EMBEDDER

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from numpy.typing import NDArray

    from tests.faults.stage import Stage
    from tests.support.processes import Sidecar

SPANS = 60
TEXTS = 30
VECTOR = "embedding.vector"
SOURCE = "embedding.source"
DAMAGED_BYTES = 65_536
# Within the weights of each of four layers.
DAMAGED_PERCENT = (60, 70, 80, 90)
SAME = 0.9999
HANGING_ONCE = (sys.executable, "-m", "tests.faults.sidecar", "hanging-once")
HANG_SECONDS = "3"
LOADED_WITHIN = 25.0
LOADED_TWICE = 2
PAUSE_SECONDS = 0.5
STAND_IN = "fallback"
QUESTION = "charge card"


class Vector(NamedTuple):
    """What a span came with, and whose it says that it is."""

    numbers: NDArray[np.float32]
    source: str


def damage_weights(model: Path) -> None:
    """Overwrite some of the weights, as a bad disk does: it loads all the same."""
    file = model / "model.bin"
    content = bytearray(file.read_bytes())
    for percent in DAMAGED_PERCENT:
        place = len(content) * percent // 100
        content[place : place + DAMAGED_BYTES] = bytes(range(256)) * (DAMAGED_BYTES // 256)
    file.write_bytes(content)


def damage_vocabulary(model: Path) -> None:
    """Swap the numbers of two words."""
    file = model / "tokenizer.json"
    content = json.loads(file.read_text(encoding="utf-8"))
    words = content["model"]["vocab"]
    words["charge"], words["card"] = words["card"], words["charge"]
    file.write_text(json.dumps(content), encoding="utf-8")


@fault("model: weights damaged since they were converted")
def damaged_weights(stage: Stage) -> None:
    true = _vector(stage, stage.model_cache)
    cache = _copy(stage)
    damage_weights(_model_in(cache))
    _expect_true(_vector(stage, cache), true)


@fault("model: vocabulary damaged since it was converted")
def damaged_vocabulary(stage: Stage) -> None:
    true = _vector(stage, stage.model_cache)
    cache = _copy(stage)
    damage_vocabulary(_model_in(cache))
    _expect_true(_vector(stage, cache), true)


@fault("model: removed under a running sidecar")
def removed(stage: Stage) -> None:
    cache = _copy(stage)
    with stage.everything("--model-cache", str(cache)):
        stage.send(requests_of_texts(SPANS, texts=TEXTS))
        stage.ledger.wait_for_all()
        shutil.rmtree(cache)
        stage.send(requests_of_texts(SPANS, texts=TEXTS + 1))
    sources = stage.ledger.account().sources
    assert set(sources) == {"model"}, f"vectors from {dict(sources)}"


@fault("model: damaged under a running sidecar, which loads it anew")
def damaged_while_running(stage: Stage) -> None:
    _reload_after(stage, damage_weights)


@fault("model: another's put in its place under a running sidecar, which loads it anew")
def replaced_while_running(stage: Stage) -> None:
    def replace(model: Path) -> None:
        other = stage.directory / "other"
        shutil.copytree(model, other)
        damage_weights(other)
        shutil.rmtree(model)
        other.rename(model)

    _reload_after(stage, replace)


def _reload_after(stage: Stage, change: Callable[[Path], None]) -> None:
    """Change the model's directory, then let the model hang, so that it is loaded anew."""
    true = _vector(stage, stage.model_cache)
    cache = _copy(stage)
    with stage.next_hop, _with_model_in(stage, cache, *HANGING_ONCE) as sidecar:
        change(_model_in(cache))
        _send_until_loaded_anew(stage, sidecar)
        _expect_true(_answered_vector(stage), true)


def _send_until_loaded_anew(stage: Stage, sidecar: Sidecar) -> None:
    """Send text after text: at the first it hangs, and one of the others has it loaded anew."""
    end = time.monotonic() + LOADED_WITHIN
    numbers = count()
    while len(sidecar.lines_with('"model.loaded"')) < LOADED_TWICE:
        assert time.monotonic() < end, "the model is not loaded anew"
        number = next(numbers)
        stage.send_once(_one(f"text {'abcdefghij'[number % 10] * number}", number))
        time.sleep(PAUSE_SECONDS)


def _copy(stage: Stage) -> Path:
    cache = stage.directory / "models"
    shutil.copytree(stage.model_cache, cache)
    return cache


def _model_in(cache: Path) -> Path:
    [file] = cache.glob("*/model.bin")
    return file.parent


def _one(name: str, number: int = 0) -> bytes:
    """Make a request of a span of this name, and of a trace of its own."""
    trace_id = (number + 1).to_bytes(16)
    return request(span(name, trace_id=trace_id)).SerializeToString()


def _with_model_in(stage: Stage, cache: Path, *program: str) -> AbstractContextManager[Sidecar]:
    settings = ("--model-cache", str(cache), "--model-timeout", HANG_SECONDS)
    return stage.sidecar(*settings, program=program or OTEL_EMBEDDER)


def _vector(stage: Stage, cache: Path) -> Vector:
    """Give what a sidecar with this cache makes of a span."""
    with stage.next_hop, _with_model_in(stage, cache):
        return _answered_vector(stage)


def _answered_vector(stage: Stage) -> Vector:
    kept: list[bytes] = []
    stage.next_hop.script.append(keep(kept))
    assert stage.send_once(_one(QUESTION, stage.ledger.account().sent)).status == "OK"
    [came] = kept
    return _embedding(came)


def _embedding(encoded: bytes) -> Vector:
    came = ExportTraceServiceRequest.FromString(encoded)
    [one] = came.resource_spans[0].scope_spans[0].spans
    values = {attribute.key: attribute.value for attribute in one.attributes}
    vector = [number.double_value for number in values[VECTOR].array_value.values]
    return Vector(np.array(vector, np.float32), values[SOURCE].string_value)


def _expect_true(found: Vector, true: Vector) -> None:
    cosine = float(found.numbers @ true.numbers)
    assert found.source == STAND_IN or cosine > SAME, (
        f"a vector of cosine {cosine:.3f} to the true one says that it is the {found.source}'s"
    )
