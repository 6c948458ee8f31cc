from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING

import pytest

from otel_embedder import errors
from otel_embedder.errors import (
    OtelEmbedderError,
    PermanentExportError,
    RetryableExportError,
    SettingsError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

ERRORS = [each for _, each in inspect.getmembers(errors, inspect.isclass)]


def tree(error: type[Exception], depth: int = 0) -> Iterator[tuple[int, str]]:
    """Give an error and those below it, each with its depth."""
    yield depth, error.__name__
    for child in error.__subclasses__():
        yield from tree(child, depth + 1)


def drawn_tree() -> Iterator[tuple[int, str]]:
    """Read the tree in the module's docstring: a level is four characters wide."""
    for branch, name in re.findall(
        r"^    ([│├└─ ]*)(\w+Error)\b", errors.__doc__ or "", re.MULTILINE
    ):
        yield len(branch) // 4, name


def test_the_tree_in_the_docstring_is_the_real_one() -> None:
    assert [*drawn_tree()] == [*tree(OtelEmbedderError)]


def test_every_error_is_one_of_ours_and_named_so() -> None:
    assert [error for error in ERRORS if not issubclass(error, OtelEmbedderError)] == []
    assert [error for error in ERRORS if not error.__name__.endswith("Error")] == []


@pytest.mark.parametrize("error", ERRORS)
def test_every_error_says_when_it_is_raised(error: type[Exception]) -> None:
    assert error is OtelEmbedderError or (error.__doc__ or "").startswith("Raised when ")


def test_wrong_settings_carry_every_problem() -> None:
    error = SettingsError(["a is wrong", "b is wrong"])

    assert error.problems == ["a is wrong", "b is wrong"]
    assert str(error) == "a is wrong\nb is wrong"


def test_an_error_that_may_be_sent_again_knows_when() -> None:
    assert RetryableExportError("full", retry_after=1.5).retry_after == 1.5
    assert RetryableExportError("full").retry_after is None


def test_a_permanent_error_knows_its_code() -> None:
    error = PermanentExportError("refused", code=3)

    assert (str(error), error.code) == ("refused", 3)
