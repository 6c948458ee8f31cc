"""The sidecar with a model that has a fault: `python -m tests.faults.sidecar FAULT serve ...`."""

from __future__ import annotations

import sys
import time
from itertools import count
from threading import Event
from typing import TYPE_CHECKING, NoReturn

import numpy as np

from otel_embedder.__main__ import leave
from otel_embedder.cli import run
from otel_embedder.embedder.models.engines import LOADERS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from otel_embedder.embedder.embedding import Embedding, Model
    from otel_embedder.embedder.models.choice import ModelChoice

# Longer than a request may wait for its vectors.
SLOW_SECONDS = 5.0
# More than an address can name.
IMPOSSIBLE_BYTES = 2**60


# Of all models that are loaded, one after the other.
BATCHES = count()


class WorkerPanicError(BaseException):
    """Raised as a library in Rust raises a panic: not as an Exception."""


class FaultyModel:
    """A loaded model to which something happens before each batch."""

    def __init__(self, model: Model, happen: Callable[[], None]) -> None:
        self.dimension = model.dimension
        self._model = model
        self._happen = happen

    def encode(self, texts: Sequence[str]) -> list[Embedding]:
        self._happen()
        return self._model.encode(texts)


def be_slow() -> None:
    time.sleep(SLOW_SECONDS)


def fail() -> NoReturn:
    raise RuntimeError("a fault: the model raised")


def run_out_of_memory() -> None:
    np.empty(IMPOSSIBLE_BYTES, np.uint8)


def hang() -> None:
    Event().wait()


def hang_once() -> None:
    if next(BATCHES) == 0:
        hang()


def panic() -> NoReturn:
    raise WorkerPanicError("a fault: the worker panicked")


FAULTS = {
    "slow": be_slow,
    "raising": fail,
    "out-of-memory": run_out_of_memory,
    "hanging": hang,
    "hanging-once": hang_once,
    "panicking": panic,
}


def main(fault: str, *arguments: str) -> int:
    load = LOADERS["ctranslate2"]

    def load_with_fault(choice: ModelChoice) -> Model:
        return FaultyModel(load(choice), FAULTS[fault])

    LOADERS["ctranslate2"] = load_with_fault
    return run(arguments)


if __name__ == "__main__":
    leave(main(*sys.argv[1:]))
