"""Hits as JSON: the same from the command line and from whatever else gives them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import TypeAdapter

from otel_embedder.search.asking.answers import FoundExample, Hit
from otel_embedder.search.asking.json_types import rfc3339
from otel_embedder.search.groups.found import FoundGroup

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["example_as_json", "group_as_json", "hit_as_json", "rfc3339"]

HIT, GROUP, EXAMPLE = TypeAdapter(Hit), TypeAdapter(FoundGroup), TypeAdapter(FoundExample)


def hit_as_json(hit: Hit) -> Mapping[str, object]:
    """Give a hit as JSON has it; `trace_ids` are those of its examples, each once."""
    made: dict[str, object] = HIT.dump_python(hit, mode="json")
    return {**made, "trace_ids": [*dict.fromkeys(each.trace_id for each in hit.examples)]}


def group_as_json(group: FoundGroup) -> Mapping[str, object]:
    """Give a group of failures as JSON has it."""
    made: dict[str, object] = GROUP.dump_python(group, mode="json")
    return made


def example_as_json(example: FoundExample) -> Mapping[str, object]:
    """Give an example as JSON has it."""
    made: dict[str, object] = EXAMPLE.dump_python(example, mode="json")
    return made
