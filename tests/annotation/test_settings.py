from __future__ import annotations

import pytest

from otel_embedder.annotation.settings import AnnotationSettings
from tests.support.settings import problem_of


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("encoding", "float16"),
        ("attribute_prefix", ""),
    ],
)
def test_a_wrong_value_is_the_one_problem(field: str, value: str) -> None:
    assert problem_of(AnnotationSettings, **{field: value}).startswith(f"{field}: ")
