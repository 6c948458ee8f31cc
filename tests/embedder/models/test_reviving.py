from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

import numpy as np
import pytest
from structlog.testing import capture_logs

from otel_embedder.embedder.models.reviving import (
    MAX_FAILURES,
    MAX_LOST,
    MODEL_LOADED,
    MODEL_REPLACED,
    MODEL_UNAVAILABLE,
    RevivingModel,
)
from otel_embedder.errors import ModelUnavailableError
from tests.support.fakes import PATIENCE, FakeModel, embedding_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from otel_embedder.embedder.embedding import Embedding

pytestmark = pytest.mark.timeout(120)


class Loads:
    """Loads a fake model, or fails as it is told to; counts how often it was asked."""

    def __init__(self, *failures: Exception) -> None:
        self.count = 0
        self._failures = list(failures)

    def __call__(self) -> FakeModel:
        self.count += 1
        if self._failures:
            raise self._failures.pop(0)
        return FakeModel()


def length_of_traceback(error: BaseException) -> int:
    length, traceback = 0, error.__traceback__
    while traceback is not None:
        length, traceback = length + 1, traceback.tb_next
    return length


def test_a_reviving_model_loads_with_the_first_texts() -> None:
    loads = Loads()
    model = RevivingModel(loads, dimension=16, retry_after=60)
    before = loads.count
    with capture_logs() as logs:
        [embedding] = model.encode(["a"])
        model.encode(["b"])

    assert (before, loads.count) == (0, 1)
    assert np.array_equal(embedding.vector, embedding_of("a").vector)
    assert [line["event"] for line in logs] == [MODEL_LOADED]


def test_eight_threads_load_it_once() -> None:
    loads = Loads()
    model = RevivingModel(loads, dimension=16, retry_after=60)
    start = threading.Barrier(8)

    def encode(text: str) -> list[Embedding]:
        start.wait(10)
        return model.encode([text])

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(encode, "abcdefgh"))

    assert loads.count == 1
    for text, [embedding] in zip("abcdefgh", answers, strict=True):
        assert np.array_equal(embedding.vector, embedding_of(text).vector)


def test_a_load_that_failed_is_not_tried_again_too_soon() -> None:
    loads = Loads(ModelUnavailableError("the disk is gone"))
    model = RevivingModel(loads, dimension=16, retry_after=60)
    with capture_logs() as logs:
        for _ in range(3):
            with pytest.raises(ModelUnavailableError, match="the disk is gone"):
                model.encode(["a"])

    assert loads.count == 1
    assert [line["event"] for line in logs] == [MODEL_UNAVAILABLE]
    assert (logs[0]["error"], logs[0]["retry_after"]) == ("the disk is gone", 60)


def test_a_load_that_failed_is_tried_again_later() -> None:
    loads = Loads(ModelUnavailableError("the disk is gone"))
    model = RevivingModel(loads, dimension=16, retry_after=0)
    with pytest.raises(ModelUnavailableError):
        model.encode(["a"])
    embeddings = model.encode(["a"])

    assert loads.count == 2
    assert len(embeddings) == 1


def test_a_load_that_fails_again_and_again_is_tried_less_and_less() -> None:
    loads = Loads(*[ModelUnavailableError("no such file")] * 6)
    model = RevivingModel(loads, dimension=16, retry_after=0.002, max_retry_after=0.01)
    with capture_logs() as logs:
        await_load(model)

    assert loads.count == 7
    assert [line["retry_after"] for line in logs[:-1]] == [0.002, 0.004, 0.008, 0.01, 0.01, 0.01]
    assert logs[-1]["event"] == MODEL_LOADED


def await_load(model: RevivingModel) -> None:
    """Ask until there is a vector."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with suppress(ModelUnavailableError):
            model.encode(["a"])
            return
    raise AssertionError("it never loads")


def test_after_a_success_the_next_failure_is_the_first() -> None:
    loads = Loads(*[ModelUnavailableError("no such file")] * 3)
    model = RevivingModel(loads, dimension=16, retry_after=0.001)
    await_load(model)
    with capture_logs() as logs, hung(model) as thread:
        model.lose(thread)

    assert logs[0] == {
        "event": MODEL_UNAVAILABLE,
        "log_level": "warning",
        "error": "the model hangs",
        "retry_after": 0.001,
    }


def test_who_need_not_wait_for_a_long_load_is_told_so_at_once() -> None:
    loading = threading.Event()

    def load() -> FakeModel:
        assert loading.wait(PATIENCE)
        return FakeModel()

    model = RevivingModel(load, dimension=16, retry_after=60, patience=0.01)
    for _ in range(3):
        with pytest.raises(ModelUnavailableError, match="not loaded yet"):
            model.encode(["a"])
    loading.set()
    await_load(model)


@contextmanager
def hung(model: RevivingModel) -> Iterator[int]:
    """Let a thread hang in what the model has loaded; give its ident."""
    inner = model.loaded()
    assert isinstance(inner, FakeModel)
    inner.hold()
    thread = threading.Thread(target=model.encode, args=(["a"],))
    thread.start()
    inner.wait_for_batch()
    yield thread.ident or 0
    inner.release()
    thread.join()


def test_a_model_that_hangs_is_lost_and_another_loaded_later() -> None:
    loads = Loads()
    model = RevivingModel(loads, dimension=16, retry_after=0.05)
    model.encode(["first"])
    with hung(model) as thread:
        model.lose(thread)
        with pytest.raises(ModelUnavailableError, match="the model hangs"):
            model.encode(["b"])
        await_load(model)

    assert loads.count == 2


def test_while_a_model_is_lost_its_dimension_is_still_known() -> None:
    model = RevivingModel(Loads(), dimension=16, retry_after=60)
    before = model.dimension
    model.encode(["a"])
    with hung(model) as thread:
        model.lose(thread)
        after = model.dimension

    assert (before, after) == (16, FakeModel.dimension)


def test_a_thread_that_hangs_in_a_lost_model_does_not_cost_the_next_one() -> None:
    loads = Loads()
    model = RevivingModel(loads, dimension=16, retry_after=0)
    model.encode(["a"])
    with hung(model) as thread:
        model.lose(thread)
        model.encode(["b"])
        model.lose(thread)
        model.encode(["c"])

    assert loads.count == 2


def test_of_models_that_hang_only_a_few_are_kept() -> None:
    loads = Loads()
    model = RevivingModel(loads, dimension=16, retry_after=0)
    with ExitStack() as stack:
        for _ in range(MAX_LOST):
            model.encode(["a"])
            model.lose(stack.enter_context(hung(model)))
        for _ in range(3):
            with pytest.raises(ModelUnavailableError, match="the model hangs"):
                model.encode(["b"])
        hanging = loads.count
    model.encode(["c"])

    assert hanging == MAX_LOST
    assert loads.count == MAX_LOST + 1


class Poisoned(FakeModel):
    """Fails on every batch."""

    def encode(self, texts: Sequence[str]) -> list[Embedding]:
        super().encode(texts)
        raise MemoryError("3 GB wanted")


class Models:
    """Gives the models that it was given, one a load, and then good ones."""

    def __init__(self, *models: FakeModel) -> None:
        self.count = 0
        self._models = list(models)

    def __call__(self) -> FakeModel:
        self.count += 1
        return self._models.pop(0) if self._models else FakeModel()


def test_a_model_that_fails_on_every_batch_is_replaced() -> None:
    models = Models(Poisoned())
    model = RevivingModel(models, dimension=16, retry_after=60)
    with capture_logs() as logs:
        for _ in range(MAX_FAILURES):
            with pytest.raises(MemoryError):
                model.encode(["a"])
        embeddings = model.encode(["a"])

    assert len(embeddings) == 1
    assert [line["event"] for line in logs] == [MODEL_LOADED, MODEL_REPLACED, MODEL_LOADED]
    assert logs[1]["error"] == "MemoryError"


def test_a_model_that_nothing_helps_is_replaced_less_and_less() -> None:
    models = Models(*(Poisoned() for _ in range(10)))
    model = RevivingModel(models, dimension=16, retry_after=60)
    for _ in range(MAX_FAILURES * (1 + 2 + 4)):
        with pytest.raises(MemoryError):
            model.encode(["a"])

    assert models.count == 3


def test_texts_that_fail_now_and_then_do_not_replace_the_model() -> None:
    bad = FakeModel({"bad": ValueError()})
    models = Models(bad)
    model = RevivingModel(models, dimension=16, retry_after=60)
    for _ in range(10):
        with pytest.raises(ValueError, match=r"^$"):
            model.encode(["bad"])
        model.encode(["good"])

    assert len(bad.batches) == 20
    assert models.count == 1


def test_who_waits_for_a_load_that_is_given_up_need_not_wait() -> None:
    hangs = threading.Event()

    def load() -> FakeModel:
        hangs.wait(10)
        return FakeModel()

    model = RevivingModel(load, dimension=16, retry_after=60)
    with capture_logs() as logs, ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(model.encode, ["a"])
        model.preload()
        model.close()

        with pytest.raises(ModelUnavailableError, match="given up"):
            waiting.result(5)
        hangs.set()

    assert logs == []


def test_each_failure_has_its_own_message() -> None:
    model = RevivingModel(
        Loads(ModelUnavailableError("one"), ModelUnavailableError("two")),
        dimension=16,
        retry_after=0,
    )
    messages = []
    for _ in range(2):
        with pytest.raises(ModelUnavailableError) as raised:
            model.encode(["a"])
        messages.append(str(raised.value))

    assert messages == ["one", "two"]


@pytest.mark.parametrize("failure", [MemoryError("3 GB wanted"), OSError(5, "I/O error")], ids=str)
def test_whatever_stops_a_load_the_model_is_unavailable_and_the_log_says_why(
    failure: Exception,
) -> None:
    loads = Loads(failure)
    model = RevivingModel(loads, dimension=16, retry_after=60)
    with capture_logs() as logs:
        for _ in range(2):
            with pytest.raises(ModelUnavailableError, match=str(failure.args[-1])):
                model.encode(["a"])

    assert loads.count == 1
    assert [line["event"] for line in logs] == [MODEL_UNAVAILABLE]


def test_an_error_given_a_thousand_times_does_not_grow() -> None:
    model = RevivingModel(
        Loads(ModelUnavailableError("the disk is gone")), dimension=16, retry_after=60
    )
    lengths = []
    for _ in range(1000):
        with pytest.raises(ModelUnavailableError) as raised:
            model.encode(["a"])
        lengths.append(length_of_traceback(raised.value))

    assert max(lengths) < 20
