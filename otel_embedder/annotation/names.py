"""The names of our attributes.

OpenInference's are used where it has one (embedding.vector, embedding.model_name,
embedding.text); embedding.source, embedding.text_version, embedding.text_id and
embedding.first_seen are ours, and by the version we know our own.
"""

from __future__ import annotations

from typing import NamedTuple


class Names(NamedTuple):
    """The names of our attributes, with their prefix."""

    vector: str
    model_name: str
    source: str
    text_version: str
    text: str
    text_id: str
    first_seen: str

    @classmethod
    def with_prefix(cls, prefix: str) -> Names:
        """Give the names that begin with a prefix."""
        return cls(*(f"{prefix}{field}" for field in cls._fields))
