"""What can be asked, each once: HTTP's paths, RPCs and tools are made of these rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from pydantic import TypeAdapter

from otel_embedder.api.querying import query_of
from otel_embedder.search.asking.answers import (
    Answer,
    Curve,
    Entries,
    Facets,
    Points,
    TextVectors,
)
from otel_embedder.search.asking.browsing import (
    CurveQuery,
    EmbedQuery,
    EntriesQuery,
    FacetsQuery,
    MapQuery,
)
from otel_embedder.search.asking.queries import ChangesQuery, GroupsQuery, LikeQuery, SearchQuery
from otel_embedder.search.catalogue import Catalogue
from otel_embedder.search.changes.answers import Changes
from otel_embedder.search.groups.found import GroupsAnswer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pydantic import BaseModel

Query = TypeVar("Query", bound="BaseModel")
Answered = TypeVar("Answered")


@dataclass(frozen=True, slots=True)
class Question:
    """What can be asked of a catalogue.

    Attributes:
        name: its word, in paths and elsewhere.
        summary: what it gives, in a sentence.
        query: what says what is asked for.
        answer: gives the answer as JSON, and reads it again.
        ask: asks a catalogue by values of the query's fields; raises a QueryError, which names
            the field, or whatever the catalogue raises.

    """

    name: str
    summary: str
    query: type[BaseModel]
    answer: TypeAdapter[object]
    ask: Callable[[Catalogue, Mapping[str, object]], object]

    def ask_as_json(self, catalogue: Catalogue, values: Mapping[str, object]) -> bytes:
        """Give the answer as JSON.

        Raises:
            QueryError: a value is wrong.

        """
        return self.answer.dump_json(self.ask(catalogue, values))


def _question(
    name: str,
    summary: str,
    query: type[Query],
    answer: type[Answered],
    ask: Callable[[Catalogue, Query], Answered],
) -> Question:
    def asked(catalogue: Catalogue, values: Mapping[str, object]) -> object:
        return ask(catalogue, query_of(query, values))

    return Question(name, summary, query, TypeAdapter(answer), asked)


QUESTIONS = (
    _question(
        "search",
        "The texts that answer a question in words, the best first.",
        SearchQuery,
        Answer,
        Catalogue.search,
    ),
    _question(
        "like",
        "The texts that are like a span, a text of the catalogue or any text.",
        LikeQuery,
        Answer,
        Catalogue.like,
    ),
    _question(
        "groups",
        "Which failures there are: new and regressed ones first.",
        GroupsQuery,
        GroupsAnswer,
        Catalogue.groups,
    ),
    _question(
        "changes",
        "What is different in a window, the likeliest cause first.",
        ChangesQuery,
        Changes,
        Catalogue.changes,
    ),
    _question(
        "entries",
        "Texts one after the other, those that came last first.",
        EntriesQuery,
        Entries,
        Catalogue.entries,
    ),
    _question(
        "facets",
        "How many texts would be left with each value of a filter.",
        FacetsQuery,
        Facets,
        Catalogue.facets,
    ),
    _question(
        "map", "Texts as points in a plane, those seen last.", MapQuery, Points, Catalogue.points
    ),
    _question(
        "curve",
        "How many spans there were, and how many failed, by time.",
        CurveQuery,
        Curve,
        Catalogue.curve,
    ),
    _question("embed", "The vectors of texts.", EmbedQuery, TextVectors, Catalogue.embed),
)
