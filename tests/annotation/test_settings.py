from __future__ import annotations

import pytest

from otel_embedder.annotation.settings import AnnotationSettings
from tests.support.settings import problem_of


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("encoding", "float16"),
        ("attribute_prefix", ""),
        ("attach", "some"),
        ("attach_window", "0"),
        ("attach_window", "90000"),
    ],
)
def test_a_wrong_value_is_the_one_problem(field: str, value: str) -> None:
    assert problem_of(AnnotationSettings, **{field: value}).startswith(f"{field}: ")


def test_what_has_no_vector_must_have_the_id_that_leads_to_one() -> None:
    assert "text_id: must be true" in problem_of(AnnotationSettings, attach="new", text_id="false")
