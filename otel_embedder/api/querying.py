"""Queries made of values that were said by strangers."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, get_origin

from pydantic import BaseModel, ValidationError

from otel_embedder.errors import QueryError
from otel_embedder.fields import complaint

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Query = TypeVar("Query", bound=BaseModel)

Values = dict[str, object]


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
        message = complaint(detail)
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
