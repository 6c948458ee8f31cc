"""What a span that comes in has of an embedding already: one rule, wherever it comes from.

A span on the wire, one of OpenTelemetry's SDK and a dict differ only in how
their attributes are read; what these make of the span is judged here. A vector counts
by what it is, not by its name alone: a damaged one is true of no text.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from otel_embedder.annotation.text_id import is_text_id
from otel_embedder.annotation.vectors import whole_vector

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_embedder.annotation.names import Names


class Standing(StrEnum):
    """What a span that comes in has of an embedding already."""

    NONE = "none"
    CURRENT = "current"  # the vector we would make: leave it
    REFERRING = "referring"  # the id of a text, and nothing else: another span has the vector
    OUTDATED = "outdated"  # the vector of another model or text: replace it by a model's
    STAND_IN = "stand-in"  # ours, but no model's whole vector: replace it by whatever there is
    FOREIGN = "foreign"  # somebody else's: never touch it


# What stays on its span, and so needs no embedding.
KEPT = frozenset({Standing.CURRENT, Standing.FOREIGN})


@dataclass(frozen=True, slots=True)
class Origin:
    """What a vector must say of itself to be the one that we would make.

    Attributes:
        model: the name of the model.
        text_version: the version of the text.
        dimension: how many numbers the vector has; None if that is not known.

    """

    model: str
    text_version: str
    dimension: int | None = None


def judge(found: Mapping[str, object], names: Names, origin: Origin) -> Standing:
    """Tell what a span has of an embedding.

    Args:
        found: its attributes: all of them, or those of our names. Arrays as `decode_vector`
            has them.
        names: the names of our attributes.
        origin: what a vector of ours says of itself.

    """
    if found.keys().isdisjoint(names):
        return Standing.NONE
    if names.text_version in found:
        return _judge_vector(found, names, origin)
    return Standing.REFERRING if _refers(found, names) else Standing.FOREIGN


def _judge_vector(found: Mapping[str, object], names: Names, origin: Origin) -> Standing:
    """Tell what the vector of a span is worth that has one of ours, or had one."""
    if not says(found, names.source, "model"):
        return Standing.STAND_IN
    is_models = says(found, names.model_name, origin.model)
    dimension = origin.dimension if is_models else None
    if whole_vector(found.get(names.vector), dimension) is None:
        return Standing.STAND_IN
    if not (is_models and says(found, names.text_version, origin.text_version)):
        return Standing.OUTDATED
    return Standing.CURRENT


def _refers(found: Mapping[str, object], names: Names) -> bool:
    """Tell whether a span leaves its vector to another one that reads alike, on purpose.

    It has the id, with the text where that is attached, and no more: what says whose vector it has,
    and has none, has lost it.
    """
    ours = found.keys() & set(names)
    return ours <= {names.text_id, names.text} and is_text_id(found.get(names.text_id))


def says(found: Mapping[str, object], name: str, word: str) -> bool:
    """Tell whether an attribute is this very word; an array, say, is not even compared with it."""
    value = found.get(name)
    return isinstance(value, str) and value == word


def prefers(standing: Standing, source: str) -> bool:
    """Tell whether a span that has no vector of ours to keep is better off with a new embedding.

    Args:
        standing: what it has.
        source: what made the embedding: "model", or "fallback".

    """
    # A vector of another model is still true, and so is an id that leads to one; a stand-in would
    # be noise in their place.
    return source == "model" or standing not in {Standing.OUTDATED, Standing.REFERRING}


def is_ours(found: Mapping[str, object], names: Names) -> bool:
    """Tell whether the attributes of our names, as far as there are any, are ours."""
    return names.text_version in found or _refers(found, names)
