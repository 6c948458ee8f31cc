"""A thread that runs a model, and that may be left behind.

The threads of a ThreadPoolExecutor are waited for when the process ends, so one
that never comes back from a library would keep it alive for ever.
"""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from queue import SimpleQueue
from typing import TYPE_CHECKING, NamedTuple

from otel_embedder.errors import EmbeddingError, EmbeddingFailedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_embedder.embedder.embedding import Embedding, Model


class _Job(NamedTuple):
    """Texts to embed, and who waits for it."""

    contents: Sequence[str]
    answer: Future[list[Embedding]]


class Worker:
    """Gives a model one batch after the other. The process does not wait for it at its end."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    @property
    def thread(self) -> int:
        """The ident of its thread, 0 before it has one."""
        return (self._thread and self._thread.ident) or 0

    def encode(self, contents: Sequence[str]) -> asyncio.Future[list[Embedding]]:
        """Embed texts; the future fails with an EmbeddingError, whatever was raised.

        Raises:
            EmbeddingFailedError: there is no thread to be had.

        """
        answer: Future[list[Embedding]] = Future()
        self._start()
        self._jobs.put(_Job(contents, answer))
        return asyncio.wrap_future(answer)

    def dismiss(self) -> None:
        """End the thread, as soon as it is done with what it is at."""
        self._jobs.put(None)

    def _start(self) -> None:
        if self._thread is not None:
            return
        thread = threading.Thread(target=self._run, name="embedder", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # a limit of processes, or of memory
            raise EmbeddingFailedError(f"no thread for the model: {error}") from error
        self._thread = thread

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            if job.answer.set_running_or_notify_cancel():
                self._answer(job)
            # Else the last batch's vectors are kept until there is another one.
            del job

    def _answer(self, job: _Job) -> None:
        try:
            embeddings = _whole(self._model.encode(job.contents), job.contents)
        except EmbeddingError as error:
            job.answer.set_exception(error)
        except BaseException as error:  # noqa: BLE001 - one bad batch must not end the thread
            # A panic of the tokenizer's Rust is not even an Exception.
            kind = type(error).__name__
            job.answer.set_exception(EmbeddingFailedError(f"{kind}: {error}", kind=kind))
        else:
            job.answer.set_result(embeddings)


def _whole(embeddings: list[Embedding], contents: Sequence[str]) -> list[Embedding]:
    if len(embeddings) != len(contents):
        raise EmbeddingFailedError(f"the model gave {len(embeddings)} for {len(contents)} texts")
    return embeddings
