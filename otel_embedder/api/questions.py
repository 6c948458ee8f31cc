"""What can be asked, each once: HTTP's paths, RPCs and tools are made of these rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError

from otel_embedder.errors import QueryError
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
    from collections.abc import Callable, Mapping, Sequence

Query = TypeVar("Query", bound=BaseModel)
Answered = TypeVar("Answered")

Values = dict[str, object]


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


def query_of(kind: type[Query], values: Mapping[str, object]) -> Query:
    """Make a query of the values of its fields.

    Raises:
        QueryError: one is wrong, missing, or none of its fields.

    """
    for name in values:
        if name not in kind.model_fields:
            there_are = ", ".join(kind.model_fields)
            raise QueryError(f"there is no {name!r} to ask by; there are {there_are}", field=name)
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        detail = error.errors()[0]
        field = str(detail["loc"][0])
        message = detail["msg"].removeprefix("Value error, ")
        raise QueryError(f"{field}: {message}", field=field) from error


def values_of(kind: type[BaseModel], pairs: Sequence[tuple[str, str]]) -> Values:
    """Take what stands behind an address, where a field that may be repeated is.

    Raises:
        QueryError: another field is repeated.

    """
    values: Values = {}
    for name, value in pairs:
        if is_many(kind, name):
            values[name] = (*_tuple(values.get(name)), value)
        elif name in values:
            raise QueryError(f"{name}: is to be said once", field=name)
        else:
            values[name] = value
    return values


def _tuple(value: object) -> tuple[object, ...]:
    return value if isinstance(value, tuple) else ()


def is_many(kind: type[BaseModel], name: str) -> bool:
    """Tell whether a field may be said several times."""
    field = kind.model_fields.get(name)
    return field is not None and get_origin(field.annotation) is tuple
