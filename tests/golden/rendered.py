"""Writes what spans of every shape read like, by each profile: `python -m tests.golden.rendered`.

Run it when a rule of the text is changed on purpose, and read the difference.
"""

from __future__ import annotations

import json
from pathlib import Path

from otel_embedder.annotation.work import spans_of
from otel_embedder.otlp.wire import parse_request
from otel_embedder.text.options import RenderOptions
from otel_embedder.text.rendering import new_renderer
from tests.support.generated import requests_of_every_shape

RENDERED = Path(__file__).with_name("rendered.json")
PROFILES = ("words", "template")
SPANS = 300


def rendered() -> dict[str, list[str]]:
    """Give the distinct texts of each profile, in order."""
    return {profile: [*dict.fromkeys(texts(profile))] for profile in PROFILES}


def texts(profile: str) -> list[str]:
    renderer = new_renderer(RenderOptions(profile=profile))
    return [
        renderer.render(span.encoded, service).content
        for encoded in requests_of_every_shape(SPANS)
        for span, service in spans_of(parse_request(encoded), renderer)
    ]


if __name__ == "__main__":
    RENDERED.write_text(json.dumps(rendered(), indent=1, ensure_ascii=False) + "\n", "utf-8")
