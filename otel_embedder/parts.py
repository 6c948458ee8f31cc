"""What the settings say, as parts: for the sidecar, and for commands that need one or two."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loky import cpu_count

from otel_embedder.annotation.annotator import Annotator
from otel_embedder.annotation.standing import Origin
from otel_embedder.embedder.models.choice import ModelChoice
from otel_embedder.embedder.models.weights import model_name
from otel_embedder.otlp.attributes import PROTOBUF
from otel_embedder.text.options import RenderOptions

if TYPE_CHECKING:
    from otel_embedder.otlp.attributes import Syntax
    from otel_embedder.settings import Settings

# What is remembered of embeddings as attributes takes at most this much memory.
MAX_ENCODED_BYTES = 43_000_000


def model_choice(settings: Settings) -> ModelChoice:
    """Give what the settings say of the model; without a number of threads one a CPU."""
    threads = settings.model_threads or cpu_count()
    return ModelChoice(settings.engine, settings.model, settings.model_cache, threads)


def render_options(settings: Settings) -> RenderOptions:
    """Give what the settings say of the text."""
    return RenderOptions(
        template=settings.template,
        exact_durations=settings.exact_durations,
        mask_values=settings.mask_values,
        volatile_keys=settings.volatile_keys,
        secret_keys=settings.secret_keys,
        mask_secrets=settings.mask_secrets,
    )


def annotator(settings: Settings, text_version: str, syntax: Syntax = PROTOBUF) -> Annotator:
    """Give what the settings say of the attributes."""
    return Annotator(
        Origin(model_name(settings.model), text_version),
        encoding=settings.encoding,
        prefix=settings.attribute_prefix,
        attach_text=settings.attach_text,
        max_remembered=min(settings.cache_size, MAX_ENCODED_BYTES // (384 * syntax.double_bytes)),
        syntax=syntax,
    )
