"""Changes as JSON: the same from the command line and from whatever else gives them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import TypeAdapter

from otel_embedder.search.changes.answers import Changes

if TYPE_CHECKING:
    from collections.abc import Mapping

CHANGES = TypeAdapter(Changes)


def changes_as_json(changes: Changes) -> Mapping[str, object]:
    """Give changes as JSON has them: the names of the fields, and times as RFC 3339 has them."""
    made: dict[str, object] = CHANGES.dump_python(changes, mode="json")
    return made
