"""What may be chosen about the attributes."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from otel_embedder.embedder.models.choice import ModelSettings
from otel_embedder.embedder.settings import EmbedderSettings

Encoding = Literal["array", "bytes", "base64"]
DEFAULT_PREFIX = "embedding."


class AnnotationSettings(EmbedderSettings, ModelSettings):
    """How a vector is attached; with the model, which an attribute names, and what is around it."""

    encoding: Encoding = Field(
        "array", description="The vector as array of doubles, or float32 as bytes or base64."
    )
    attribute_prefix: str = Field(
        DEFAULT_PREFIX, min_length=1, description="What the names of our attributes begin with."
    )
    attach_text: bool = Field(False, description="Attach the text as well.")
    text_id: bool = Field(
        True, description="Attach 16 hex digits that spans share which read alike."
    )
