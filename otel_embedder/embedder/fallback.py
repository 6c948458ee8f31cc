"""Gives every span an answer in time: the model's vector, or a stand-in that says so.

So it is for a text of which the model knows no word, too: what the model makes of
one it makes of all of them.
"""

from __future__ import annotations

import asyncio
from itertools import islice, starmap
from operator import attrgetter
from typing import TYPE_CHECKING, Protocol, TypeVar

from otel_embedder.embedder.embedding import WantedText
from otel_embedder.embedder.stand_in import stand_in
from otel_embedder.embedder.waiting import Party
from otel_embedder.errors import EmbeddingError, EmbeddingTimeoutError, UnknownWordsError
from otel_embedder.telemetry.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from otel_embedder.embedder.embedding import Embedder, Embedding, Wanted
    from otel_embedder.embedder.settings import OnFailure
    from otel_embedder.fairness import SharedTurn, Turns

    # By text.
    Answers = dict[str | None, asyncio.Future[Embedding]]
    Known = dict[str | None, Embedding]
    # By text, None for whoever has none.
    Errors = dict[str | None, EmbeddingError]

EMBEDDING_FAILED = "embedding-generation-failed"
EMBEDDING_RECOVERED = "embedding-generation-recovered"

CONTENT, URGENT = attrgetter("content"), attrgetter("urgent")

# So many texts or spans at once take no longer than a turn; nearly all requests are smaller.
PIECE = 1_024

Item = TypeVar("Item")

log = get_logger()


class FallbackMetrics(Protocol):
    """What the fallback tells of its work."""

    def fell_back(self, *, spans: int) -> None:
        """Count the spans that went without the model's vector."""
        ...


class FallbackEmbedder:
    """Answers for whatever is wanted within a time limit, whatever becomes of the model."""

    def __init__(  # noqa: PLR0913 - each is one choice
        self,
        next_: Embedder,
        *,
        dimension: Callable[[], int],
        on_failure: OnFailure,
        quiet_seconds: float,
        turns: Turns,
        metrics: FallbackMetrics,
    ) -> None:
        """Wrap an embedder.

        Args:
            next_: what gives the model's embeddings.
            dimension: gives that of the stand-ins: the model's, which may be known late.
            on_failure: what a span gets that can't have the model's embedding.
            quiet_seconds: how long nothing may have failed for a failure to be over.
            turns: of whatever keeps the event loop busy.
            metrics: who counts.

        """
        self._next = next_
        self._dimension = dimension
        self._on_failure = on_failure
        self._turns = turns
        self._metrics = metrics
        self._quiet_seconds = quiet_seconds
        self._failing = False
        self._failed_at = 0.0

    async def embed(self, wanted: Sequence[Wanted], *, timeout: float) -> list[Embedding | None]:  # noqa: ASYNC109 - texts that miss it are wanted all the same
        """Give one embedding for each that wants one, in order, after at most `timeout` seconds.

        None stands for "no vector", where `on_failure` is "omit". A text that
        misses its time is not given up: its vector will be in the cache.
        """
        if not wanted:
            return []
        until = asyncio.get_running_loop().time() + timeout
        turn = self._turns.task()
        answers: Answers = {}
        try:
            async with turn:
                texts = await _distinct_texts(wanted, turn)
                await self._ask(texts, Party(until=until), answers, turn)
            asked_the_model = await _settle(answers, until)
        except asyncio.CancelledError:
            # The caller has left: what it waited for need not be computed.
            for future in answers.values():
                future.cancel()
            raise
        async with turn:
            known, errors = await _outcomes(answers, turn)
            embeddings, failed = await _answered(wanted, known, turn)
            self._note(failed, errors, asked_the_model=asked_the_model)
            if failed:
                stand_ins = await self._stand_ins(failed, turn)
                await _fill(wanted, embeddings, stand_ins, turn)
            return embeddings

    async def _ask(
        self, urgent: Mapping[str, bool], party: Party, answers: Answers, turn: SharedTurn
    ) -> None:
        for piece in _pieces(urgent.items()):
            texts = [*starmap(WantedText, piece)]
            futures = self._next.embed(texts, party=party)
            answers.update(zip(map(CONTENT, texts), futures, strict=True))
            if len(piece) == PIECE:
                await turn.let_others()

    async def _stand_ins(
        self, failed: Sequence[Wanted], turn: SharedTurn
    ) -> Mapping[str, Embedding | None]:
        stand_ins: dict[str, Embedding | None] = {}
        for each in failed:
            if each.trace_id not in stand_ins:
                stand_ins[each.trace_id] = self._stand_in(each.trace_id)
            if turn.is_over():
                await turn.let_others()
        return stand_ins

    def _stand_in(self, trace_id: str) -> Embedding | None:
        return None if self._on_failure == "omit" else stand_in(trace_id, self._dimension())

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


def _pieces(items: Collection[Item]) -> Iterable[Collection[Item]]:
    """Give a request's worth of anything; a large one in pieces, after which others have a turn."""
    if len(items) < PIECE:
        return (items,)
    remaining = iter(items)
    return iter(lambda: tuple(islice(remaining, PIECE)), ())


async def _distinct_texts(wanted: Sequence[Wanted], turn: SharedTurn) -> dict[str, bool]:
    """Give each text once, and whether it is urgent for one of those that want it."""
    contents: dict[str | None, None] = {}
    urgent: set[str | None] = set()
    for piece in _pieces(wanted):
        contents.update(dict.fromkeys(map(CONTENT, piece)))
        urgent.update(map(CONTENT, filter(URGENT, piece)))
        if len(piece) == PIECE:
            await turn.let_others()
    return {content: content in urgent for content in contents if content is not None}


async def _settle(answers: Answers, until: float) -> bool:
    """Wait until all is answered or the time is up; tell whether there was a need to."""
    was_needed = False
    for piece in _pieces(answers.values()):
        pending = [future for future in piece if not future.done()]
        if pending:
            was_needed = True
            now = asyncio.get_running_loop().time()
            await asyncio.wait(pending, timeout=max(0.0, until - now))
        elif len(piece) == PIECE:
            await asyncio.sleep(0)
    return was_needed


async def _outcomes(answers: Answers, turn: SharedTurn) -> tuple[Known, Errors]:
    """Give the vectors that there are, by text; and why there are no others."""
    known: Known = {}
    errors: Errors = {None: EmbeddingTimeoutError("no time was left to render it")}
    for piece in _pieces(answers.items()):
        for content, future in piece:
            if error := _error(future):
                errors[content] = error
            else:
                known[content] = future.result()
        if len(piece) == PIECE:
            await turn.let_others()
    return known, errors


async def _answered(
    wanted: Sequence[Wanted], known: Known, turn: SharedTurn
) -> tuple[list[Embedding | None], list[Wanted]]:
    """Give the vector of each, None where there is none; and those of which there is none."""
    embeddings: list[Embedding | None] = []
    failed: list[Wanted] = []
    for piece in _pieces(wanted):
        found = [*map(known.get, map(CONTENT, piece))]
        embeddings += found
        if not all(found):
            failed += [each for each in piece if each.content not in known]
        if len(piece) == PIECE:
            await turn.let_others()
    return embeddings, failed


async def _fill(
    wanted: Sequence[Wanted],
    embeddings: list[Embedding | None],
    stand_ins: Mapping[str, Embedding | None],
    turn: SharedTurn,
) -> None:
    """Put stand-ins where there is no vector."""
    for place, each in enumerate(wanted):
        if embeddings[place] is None:
            embeddings[place] = stand_ins[each.trace_id]
        if turn.is_over():
            await turn.let_others()


def _error(future: asyncio.Future[Embedding]) -> EmbeddingError | None:
    if not future.done():
        return EmbeddingTimeoutError("the vector was not ready in time")
    error = future.exception()
    if error is not None and not isinstance(error, EmbeddingError):
        raise error
    if error is None and future.result().source != "model":
        return UnknownWordsError()
    return error
