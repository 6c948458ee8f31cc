"""Faults of the model: spans flow all the same, with stand-ins that say so."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING

from tests.faults.fault import fault
from tests.support.comparison import DIMENSION
from tests.support.generated import requests_of_every_shape, requests_of_texts
from tests.support.processes import OTEL_EMBEDDER
from tests.support.tiny_bert import write_tiny_bert

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.faults.stage import Stage

SPANS = 400
TEXTS = 40
MODEL_FILE = "model.bin"
WEIGHTS_FILE = "model.safetensors"

# What root may do in spite of a directory's mode, taken away.
NO_PRIVILEGE = ("setpriv", "--bounding-set", "-dac_override,-dac_read_search")
# A file may not grow beyond this: writing the model ends with an error in the middle.
FULL_DISK = ("prlimit", "--fsize=4000000")


@fault("model: missing")
def missing(stage: Stage) -> None:
    empty = stage.directory / "empty"
    empty.mkdir()
    _without_a_model(stage, OTEL_EMBEDDER, "--model", str(empty))


@fault("model: weights corrupt")
def corrupt_weights(stage: Stage) -> None:
    model = write_tiny_bert(stage.directory / "tiny", {"hidden_size": DIMENSION})
    _damage(model / WEIGHTS_FILE)
    _without_a_model(stage, OTEL_EMBEDDER, "--model", str(model))


@fault("model: converted files corrupt")
def corrupt_conversion(stage: Stage) -> None:
    cache = stage.directory / "models"
    shutil.copytree(stage.model_cache, cache)
    [converted] = cache.glob(f"*/{MODEL_FILE}")
    _damage(converted)
    with stage.everything("--model-cache", str(cache)):
        stage.send(requests_of_texts(SPANS, texts=TEXTS))
    assert stage.ledger.account().sources["model"] > 0


@fault("model: cache can't be written")
def read_only_cache(stage: Stage) -> None:
    cache = stage.directory / "read-only"
    cache.mkdir(mode=0o555)
    unprivileged = NO_PRIVILEGE if os.geteuid() == 0 else ()
    _without_a_model(stage, (*unprivileged, *OTEL_EMBEDDER), "--model-cache", str(cache))


@fault("model: disk full while converting")
def full_disk(stage: Stage) -> None:
    cache = stage.directory / "models"
    _without_a_model(stage, (*FULL_DISK, *OTEL_EMBEDDER), "--model-cache", str(cache))
    assert not [*cache.glob(f"**/{MODEL_FILE}")], "half a model was left behind"


def _without_a_model(stage: Stage, program: Sequence[str], *settings: str) -> None:
    with (
        stage.next_hop,
        stage.sidecar(*settings, program=program, has_model=False) as sidecar,
        stage.collector(),
    ):
        sidecar.wait_for_event("model.unavailable")
        stage.send(requests_of_every_shape(SPANS))
        stage.ledger.wait_for_all()
    _expect_stand_ins(stage)


@fault("model: slow")
def slow(stage: Stage) -> None:
    _with_fault(stage, "slow")


@fault("model: raising")
def raising(stage: Stage) -> None:
    _with_fault(stage, "raising")
    _expect_stand_ins(stage)


@fault("model: out of memory")
def out_of_memory(stage: Stage) -> None:
    _with_fault(stage, "out-of-memory")
    _expect_stand_ins(stage)


@fault("model: a worker panics")
def panicking(stage: Stage) -> None:
    _with_fault(stage, "panicking")
    _expect_stand_ins(stage)


@fault("model: hanging, and SIGTERM")
def hanging(stage: Stage) -> None:
    _with_fault(stage, "hanging")
    _expect_stand_ins(stage)


def _with_fault(stage: Stage, name: str) -> None:
    program = (sys.executable, "-m", "tests.faults.sidecar", name)
    with stage.next_hop, stage.sidecar(program=program) as sidecar:
        with stage.collector():
            for request in requests_of_every_shape(SPANS):
                stage.send([request])
                stage.ledger.wait_for_all()
        stage.note_memory(sidecar)
        assert (exit_code := sidecar.stop()) == 0, f"on SIGTERM, it ended with {exit_code}"


def _expect_stand_ins(stage: Stage) -> None:
    sources = stage.ledger.account().sources
    assert set(sources) == {"fallback"}, f"vectors from {dict(sources)}"


def _damage(file: Path) -> None:
    """Overwrite the first half of a file."""
    content = file.read_bytes()
    half = len(content) // 2
    file.write_bytes(b"\xff" * half + content[half:])
