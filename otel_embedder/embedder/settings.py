"""What may be chosen about embedding."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, PositiveFloat, PositiveInt

from otel_embedder.fields import MAX_SECONDS, RoomSettings

OnFailure = Literal["fallback", "omit"]
DEFAULT_CACHE_SIZE = 1000


class EmbedderSettings(RoomSettings):
    """What stands around the model."""

    cache_size: int = Field(
        DEFAULT_CACHE_SIZE,
        ge=100,
        le=1_000_000,
        description="Texts whose vectors are remembered, 6 KB each.",
    )
    max_queue_size: PositiveInt = Field(
        10_000,
        description="Texts that may wait for the model; where there would be more, the largest "
        "request gets no vector for some.",
    )
    embed_timeout: PositiveFloat = Field(
        3.0,
        le=MAX_SECONDS,
        description="Seconds that a request may wait for vectors; less where its deadline is near.",
    )
    on_failure: OnFailure = Field(
        "fallback",
        description="Without a vector in time: attach a stand-in (fallback), or nothing (omit).",
    )
