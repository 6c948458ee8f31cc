from __future__ import annotations

import pytest

from otel_embedder.telemetry.settings import LogSettings, MetricsSettings
from tests.support.settings import problem_of


class Both(LogSettings, MetricsSettings):
    """All that may be chosen in this room."""


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("metrics_listen", "9464"),
        ("log_format", "xml"),
        ("log_level", "loud"),
    ],
)
def test_a_wrong_value_is_the_one_problem(field: str, value: str) -> None:
    assert problem_of(Both, **{field: value}).startswith(f"{field}: ")


def test_metrics_may_be_scraped_from_elsewhere_or_not_at_all() -> None:
    assert MetricsSettings(metrics_listen="0.0.0.0:9464").metrics_listen == "0.0.0.0:9464"
    assert MetricsSettings(metrics_listen="").metrics_listen == ""
