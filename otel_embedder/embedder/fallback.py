"""Gives every span an answer in time: the model's vector, or a stand-in that says so.

A stand-in is noise seeded by the trace id. It means nothing, and carries its
own model name so that no search takes it for meaning.
"""

from __future__ import annotations

import asyncio
import hashlib
from itertools import starmap
from typing import TYPE_CHECKING, Protocol

import numpy as np

from otel_embedder.embedder.embedding import Embedding, WantedText
from otel_embedder.errors import EmbeddingError, EmbeddingTimeoutError
from otel_embedder.fairness import TURN_SECONDS, Turn
from otel_embedder.telemetry.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from otel_embedder.embedder.embedding import Embedder, Vector, Wanted
    from otel_embedder.embedder.settings import OnFailure

    # By text.
    Answers = dict[str | None, asyncio.Future[Embedding]]
    # By text, None for whoever has none.
    Errors = dict[str | None, EmbeddingError]

STAND_IN_MODEL = "fallback-sha256"
EMBEDDING_FAILED = "embedding-generation-failed"
EMBEDDING_RECOVERED = "embedding-generation-recovered"

DIGEST_VALUES = hashlib.sha256().digest_size // 4

log = get_logger()


class FallbackMetrics(Protocol):
    """What the fallback tells of its work."""

    def fell_back(self, *, spans: int) -> None:
        """Count the spans that went without the model's vector."""
        ...


def stand_in(trace_id: str, dimension: int) -> Embedding:
    """Give the deterministic stand-in of a trace: shape (dimension,), mean 0, unit length."""
    return StandIn(trace_id, dimension)


class StandIn(Embedding):
    """The stand-in of a trace, whose vector is made when it is asked for, each time anew.

    One request may get as many as it has traces, and nobody knows yet whether there is
    memory for all of them.
    """

    __slots__ = ("_dimension", "_trace_id")

    _dimension: int
    _trace_id: str

    def __init__(self, trace_id: str, dimension: int) -> None:
        said = {"model": STAND_IN_MODEL, "source": "fallback"}
        for name, value in {**said, "_trace_id": trace_id, "_dimension": dimension}.items():
            object.__setattr__(self, name, value)  # an embedding is frozen

    @property
    def vector(self) -> Vector:
        """The vector: noise.

        SHA-256 of the trace id and a counter gives as many values as are wanted.
        Stretching one digest instead repeats it, and makes any two stand-ins alike.
        """
        seed = self._trace_id.encode("utf-8", "replace")
        blocks = range(-(-self._dimension // DIGEST_VALUES))
        digests = b"".join(hashlib.sha256(seed + block.to_bytes(4)).digest() for block in blocks)
        values = np.frombuffer(digests, dtype=">u4")[: self._dimension].astype(np.float64)
        values -= values.mean()
        return (values / np.linalg.norm(values)).astype(np.float32)


class FallbackEmbedder:
    """Answers for whatever is wanted within a time limit, whatever becomes of the model."""

    def __init__(
        self,
        next_: Embedder,
        *,
        dimension: Callable[[], int],
        on_failure: OnFailure,
        quiet_seconds: float,
        metrics: FallbackMetrics,
    ) -> None:
        """Wrap an embedder.

        Args:
            next_: what gives the model's embeddings.
            dimension: gives that of the stand-ins: the model's, which may be known late.
            on_failure: what a span gets that can't have the model's embedding.
            quiet_seconds: how long nothing may have failed for a failure to be over.
            metrics: who counts.

        """
        self._next = next_
        self._dimension = dimension
        self._on_failure = on_failure
        self._metrics = metrics
        self._quiet_seconds = quiet_seconds
        self._failing = False
        self._failed_at = 0.0

    async def embed(self, wanted: Sequence[Wanted], *, timeout: float) -> list[Embedding | None]:  # noqa: ASYNC109 - texts that miss it are wanted all the same
        """Give one embedding for each that wants one, in order, after at most `timeout` seconds.

        None stands for "no vector", where `on_failure` is "omit". A text that
        misses its time is not given up: its vector will be in the cache.
        """
        futures = self._ask(await _distinct_texts(wanted))
        asked_the_model = await _settle([*futures.values()], timeout)
        errors = _errors(futures)
        answers, failed = await self._answers(wanted, futures, errors)
        self._note(failed, errors, asked_the_model=asked_the_model)
        return answers

    def _ask(self, texts: Sequence[WantedText]) -> Answers:
        futures = self._next.embed(texts)
        return {text.content: future for text, future in zip(texts, futures, strict=True)}

    async def _answers(
        self, wanted: Sequence[Wanted], futures: Answers, errors: Errors
    ) -> tuple[list[Embedding | None], list[Wanted]]:
        """Give the answers in order, and who did not get the model's."""
        answers: list[Embedding | None] = []
        failed: list[Wanted] = []
        stand_ins: dict[str, Embedding | None] = {}
        turn = Turn(seconds=TURN_SECONDS)
        for each in wanted:
            if each.content in errors:
                answers.append(self._stand_in(each.trace_id, stand_ins))
                failed.append(each)
            else:
                answers.append(futures[each.content].result())
            if turn.is_over():
                await asyncio.sleep(0)
        return answers, failed

    def _stand_in(self, trace_id: str, stand_ins: dict[str, Embedding | None]) -> Embedding | None:
        """Give the stand-in of a trace, the same one to all of its spans."""
        if trace_id not in stand_ins:
            is_wanted = self._on_failure == "fallback"
            stand_ins[trace_id] = stand_in(trace_id, self._dimension()) if is_wanted else None
        return stand_ins[trace_id]

    def _note(self, failed: Sequence[Wanted], errors: Errors, *, asked_the_model: bool) -> None:
        if failed:
            self._metrics.fell_back(spans=len(failed))
            self._begin_failure(failed[0].trace_id, errors[failed[0].content])
        elif asked_the_model:
            self._end_failure()

    def _begin_failure(self, trace_id: str, error: EmbeddingError) -> None:
        self._failed_at = asyncio.get_running_loop().time()
        if not self._failing:
            self._failing = True
            log.warning(
                EMBEDDING_FAILED,
                error=error.loggable(),
                trace_id=trace_id,
                fallback=self._on_failure == "fallback",
            )

    def _end_failure(self) -> None:
        quiet = asyncio.get_running_loop().time() - self._failed_at
        if self._failing and quiet >= self._quiet_seconds:
            self._failing = False
            log.info(EMBEDDING_RECOVERED)


async def _distinct_texts(wanted: Sequence[Wanted]) -> list[WantedText]:
    """Give each text once, urgent if it is for one of those that want it."""
    urgent: dict[str, bool] = {}
    turn = Turn(seconds=TURN_SECONDS)
    for each in wanted:
        if each.content is not None:
            urgent[each.content] = each.urgent or urgent.get(each.content, False)
        if turn.is_over():
            await asyncio.sleep(0)
    return [*starmap(WantedText, urgent.items())]


async def _settle(futures: list[asyncio.Future[Embedding]], timeout: float) -> bool:  # noqa: ASYNC109 - see embed
    """Wait until the futures are done or the time is up; tell whether there was a need to."""
    pending = [future for future in futures if not future.done()]
    if not pending:
        return False
    try:
        await asyncio.wait(pending, timeout=timeout)
    except asyncio.CancelledError:
        # The caller has left: what it waited for need not be computed.
        for future in pending:
            future.cancel()
        raise
    return True


def _errors(answers: Answers) -> Errors:
    """Give why there is no vector: by text, and for those without one."""
    errors = {content: error for content, future in answers.items() if (error := _error(future))}
    return {None: EmbeddingTimeoutError("no time was left to render it"), **errors}


def _error(future: asyncio.Future[Embedding]) -> EmbeddingError | None:
    if not future.done():
        return EmbeddingTimeoutError("the vector was not ready in time")
    error = future.exception()
    if error is not None and not isinstance(error, EmbeddingError):
        raise error
    return error
