"""What may be chosen about the attributes."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, PositiveFloat, ValidationInfo, field_validator

from otel_embedder.embedder.models.choice import ModelSettings
from otel_embedder.embedder.settings import EmbedderSettings

Encoding = Literal["array", "bytes", "base64"]
DEFAULT_PREFIX = "embedding."
Attach = Literal["all", "new"]
MAX_WINDOW_SECONDS = 86_400.0


class AnnotationSettings(EmbedderSettings, ModelSettings):
    """How a vector is attached; with the model, which an attribute names, and what is around it."""

    encoding: Encoding = Field(
        "array", description="The vector as array of doubles, or float32 as bytes or base64."
    )
    attach: Attach = Field(
        "all",
        description="The vector on all spans, or (new) on the first of each text in a while; the "
        "others have its id. `serve` alone does so.",
    )
    attach_window: PositiveFloat = Field(
        600.0,
        le=MAX_WINDOW_SECONDS,
        description="Seconds after which a text's vector is attached again, where attach is new.",
    )
    attribute_prefix: str = Field(
        DEFAULT_PREFIX, min_length=1, description="What the names of our attributes begin with."
    )
    attach_text: bool = Field(False, description="Attach the text as well.")
    text_id: bool = Field(
        True, description="Attach 16 hex digits that spans share which read alike."
    )

    @field_validator("text_id")
    @classmethod
    def _leads_to_the_vector(cls, value: bool, info: ValidationInfo) -> bool:  # noqa: FBT001 - pydantic's
        if not value and info.data.get("attach") == "new":
            raise ValueError(
                "must be true where attach is new: it is what leads from a span to its vector"
            )
        return value
