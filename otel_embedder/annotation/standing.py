"""What a span that comes in has of an embedding already."""

from __future__ import annotations

from enum import Enum


class Standing(Enum):
    """What a span that comes in has of an embedding already."""

    NONE = "none"
    CURRENT = "current"  # the vector we would make: leave it
    OUTDATED = "outdated"  # the vector of another model or text: replace it by a model's
    STAND_IN = "stand-in"  # ours, but no model's vector: replace it by whatever there is
    FOREIGN = "foreign"  # somebody else's: never touch it
