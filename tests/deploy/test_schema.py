"""What needs none of the tools, so that who adds a setting learns of it at once."""

from __future__ import annotations

import json

from otel_embedder.settings import Settings
from tests.deploy.manifests import CHARTS_OWN, SCHEMA, settings_schema


def test_the_chart_knows_each_setting() -> None:
    """If not: `make manifests`."""
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))

    assert schema["properties"]["settings"] == settings_schema()


def test_the_charts_own_settings_are_the_programs() -> None:
    assert set(Settings.model_fields) >= CHARTS_OWN
