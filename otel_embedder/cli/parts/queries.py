"""Options of commands that ask, made of the fields that say what can be asked."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Literal, NoReturn, TypeVar, get_args, get_origin

import click
from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticUndefined

from otel_embedder.fields import complaint

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pydantic.fields import FieldInfo

Command = TypeVar("Command", bound="Callable[..., object]")
Query = TypeVar("Query", bound=BaseModel)

SHORT = {"count": "-k"}


def query_options(
    kind: type[BaseModel], *, without: tuple[str, ...] = ()
) -> Callable[[Command], Command]:
    """Give a command an option for each field of a query, but for these."""

    def decorate(command: Command) -> Command:
        for name, field in reversed(kind.model_fields.items()):
            if name not in without:
                command = _option(name, field)(command)
        return command

    return decorate


def _option(name: str, field: FieldInfo) -> Callable[[Command], Command]:
    is_many = get_origin(field.annotation) is tuple
    default = None if is_many or field.default is PydanticUndefined else field.default
    if isinstance(default, timedelta):
        default = f"{default // timedelta(minutes=1)}m"
    flag = "--" + name.replace("_", "-")
    return click.option(
        *([SHORT[name]] if name in SHORT else []),
        flag,
        name,
        multiple=is_many,
        metavar=_metavar(name, field),
        # Values are checked by the query itself, which says what it wants.
        type=click.UNPROCESSED,
        help=field.description if default is None else f"{field.description} [default: {default}]",
    )


def _metavar(name: str, field: FieldInfo) -> str:
    choices = _choices(field.annotation)
    return f"[{'|'.join(choices)}]" if choices else name.upper().rpartition("_")[2]


def _choices(annotation: object) -> tuple[str, ...]:
    """Give the words that a field may be, none where it may be any."""
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    return next(filter(None, map(_choices, get_args(annotation))), ())


def query_from(kind: type[Query], values: Mapping[str, object]) -> Query:
    """Make a query of the values of options; those that were not given are left to it.

    Raises:
        click.BadParameter: a value is wrong; names the option.

    """
    given = {name: value for name, value in values.items() if value not in {None, ()}}
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        _refuse(error)


def _refuse(error: ValidationError) -> NoReturn:
    detail = error.errors()[0]
    name = str(detail["loc"][0])
    message = complaint(detail)
    raise click.BadParameter(
        f"{detail['input']!r}: {message}", param_hint=f"--{name.replace('_', '-')}"
    ) from error
