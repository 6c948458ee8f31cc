from __future__ import annotations

import pytest

from otel_embedder.embedder.settings import EmbedderSettings
from tests.support.settings import problem_of


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("cache_size", "99"),
        ("cache_size", "1000001"),
        ("cache_size", "a few"),
        ("max_queue_size", "0"),
        ("embed_timeout", "-1"),
        ("embed_timeout", "nan"),
        ("on_failure", "panic"),
    ],
)
def test_a_wrong_value_is_the_one_problem(field: str, value: str) -> None:
    assert problem_of(EmbedderSettings, **{field: value}).startswith(f"{field}: ")
