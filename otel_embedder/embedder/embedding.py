"""Texts in, vectors out: `FallbackEmbedder(CachingEmbedder(BatchingEmbedder(model)))`.

The order, in which `nest` builds them, is a claim about correctness. The
fallback stands outside the cache, so a stand-in is never remembered; the cache
stands outside the batcher, so a text that is known never queues.

The inner embedders answer with futures, one a text: the texts of one request
come out of different batches, some come late, and some fail alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Sequence

    from otel_embedder.embedder.waiting import Party

Vector = npt.NDArray[np.float32]
Source = Literal["model", "fallback"]

UNKNOWN_TRACE_ID = "unknown"

# A text takes some milliseconds, so a batch a tenth of a second: long enough to
# keep the cost of handing it over small, short enough for ERROR spans to pass.
MAX_BATCH_SIZE = 32


class Wanted(Protocol):
    """What wants an embedding: a span, or a program's trace."""

    @property
    def content(self) -> str | None:
        """Its text; the same text has the same vector. None: there was no time to make it."""
        ...

    @property
    def trace_id(self) -> str:
        """Its trace id in hex, or any text of a program's; a stand-in is made of it."""
        ...

    @property
    def urgent(self) -> bool:
        """Whether it goes first where texts queue, as ERROR spans do."""
        ...


class WantedText(NamedTuple):
    """A text to embed, whoever wants it.

    Attributes:
        content: the text itself.
        urgent: whether it goes first where texts queue, as those of ERROR spans do.

    """

    content: str
    urgent: bool


@dataclass(frozen=True, slots=True, eq=False)
class Embedding:
    """A vector, and where it really comes from.

    Attributes:
        vector: shape (dimension,), float32, unit length.
        model: the name of the model that made it.
        source: "model", or "fallback" for a stand-in, which means nothing.
        text_id: 16 hex digits, the same for spans that read alike; None where nobody asked for it.

    """

    vector: Vector
    model: str
    source: Source
    text_id: str | None = None


class Model(Protocol):
    """A text embedding model that is called from worker threads."""

    @property
    def dimension(self) -> int:
        """How many numbers a vector has."""
        ...

    def encode(self, texts: Sequence[str]) -> list[Embedding]:
        """Give one embedding a text, in order.

        The same text gives the same bits, whatever the company it comes in. One without a word that
        the model knows gets a stand-in, for all of these would have the same vector.

        Raises:
            EmbeddingError: the model is not there, or failed on these texts. Where the message
                may quote one it is an EmbeddingFailedError: of others the log has the message.

        """
        ...


class Embedder(Protocol):
    """Gives texts their embeddings as these become ready."""

    def embed(
        self, texts: Sequence[WantedText], *, party: Party | None = None
    ) -> list[asyncio.Future[Embedding]]:
        """Give one future a text, in order.

        A future fails with an EmbeddingError. Cancelling it tells that nobody
        waits any more; letting it be tells that the vector is wanted, if late.

        Args:
            texts: the texts.
            party: who asks, if in several calls or not for ever; None is somebody new.

        """
        ...
