"""What needs none of the tools, so that who adds a setting learns of it at once."""

from __future__ import annotations

import json
import re

from otel_embedder.settings import Settings
from tests.deploy.manifests import CHARTS_OWN, SCHEMA, settings_schema
from tests.support.processes import REPOSITORY


def test_the_chart_knows_each_setting() -> None:
    """If not: `make manifests`."""
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))

    assert schema["properties"]["settings"] == settings_schema()


def test_an_image_with_the_page_has_all_that_one_without_it_has() -> None:
    """So one wheelhouse is for both. If not: `make lock`."""
    pinned = {
        name: set(re.findall(r"^\S+==\S+", file.read_text(encoding="utf-8"), re.MULTILINE))
        for name in ("runtime", "page")
        for file in [REPOSITORY / "requirements" / f"{name}.txt"]
    }

    assert pinned["runtime"] < pinned["page"]


def test_the_charts_own_settings_are_the_programs() -> None:
    assert set(Settings.model_fields) >= CHARTS_OWN
