"""What a span that comes in has of an embedding already: one rule, wherever it comes from.

A span on the wire, one of OpenTelemetry's SDK and a dict differ only in how
their attributes are read; what these make of the span is judged here.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_embedder.annotation.names import Names


class Standing(StrEnum):
    """What a span that comes in has of an embedding already."""

    NONE = "none"
    CURRENT = "current"  # the vector we would make: leave it
    OUTDATED = "outdated"  # the vector of another model or text: replace it by a model's
    STAND_IN = "stand-in"  # ours, but no model's vector: replace it by whatever there is
    FOREIGN = "foreign"  # somebody else's: never touch it


# What stays on its span, and so needs no embedding.
KEPT = frozenset({Standing.CURRENT, Standing.FOREIGN})


@dataclass(frozen=True, slots=True)
class Origin:
    """What a vector must say of itself to be the one that we would make.

    Attributes:
        model: the name of the model.
        text_version: the version of the text.

    """

    model: str
    text_version: str


def judge(found: Mapping[str, object], names: Names, origin: Origin) -> Standing:
    """Tell what a span has of an embedding.

    Args:
        found: its attributes: all of them, or those of our names.
        names: the names of our attributes.
        origin: what a vector of ours says of itself.

    """
    if found.keys().isdisjoint(names):
        return Standing.NONE
    if not is_ours(found, names):
        return Standing.FOREIGN
    if names.vector not in found or found.get(names.source) != "model":
        return Standing.STAND_IN
    said = (found.get(names.model_name), found[names.text_version])
    is_current = said == (origin.model, origin.text_version)
    return Standing.CURRENT if is_current else Standing.OUTDATED


def prefers(standing: Standing, source: str) -> bool:
    """Tell whether a span that has no vector of ours to keep is better off with a new embedding.

    Args:
        standing: what it has.
        source: what made the embedding: "model", or "fallback".

    """
    # A vector of another model is still true; a stand-in would be noise in its place.
    return source == "model" or standing is not Standing.OUTDATED


def is_ours(found: Mapping[str, object], names: Names) -> bool:
    """Tell whether the attributes of our names, as far as there are any, are ours."""
    return names.text_version in found
