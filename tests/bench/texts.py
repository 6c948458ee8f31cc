"""Texts to embed: of spans made up by each of the project's generators, or of spans in files."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from otel_embedder.cli.demo.shop import FAULTS, Shop
from otel_embedder.otlp.wire import parse_request
from otel_embedder.search.spans import spans_of
from otel_embedder.text.options import RenderOptions
from otel_embedder.text.rendering import new_renderer
from tests.support.generated import requests_of_every_shape, requests_of_texts
from tests.support.processes import Sink
from tests.support.trace_files import requests_in

if TYPE_CHECKING:
    from collections.abc import Iterable

SEED = 7
PURCHASES = 64
SPANS = 320
# Rounded, the shop's durations make but some forty texts.
EXACT = RenderOptions(exact_durations=True)
ROUNDED = RenderOptions()


def made_up_texts() -> dict[str, list[str]]:
    """Give the distinct texts of each generator, by what they read like; hundreds of each."""
    return {
        "a shop": distinct_texts(requests_of_the_shop(), EXACT),
        "words at random": distinct_texts(requests_of_texts(SPANS, texts=SPANS), ROUNDED),
        "values of every kind": distinct_texts(requests_of_every_shape(SPANS), ROUNDED),
    }


def requests_of_the_shop() -> list[bytes]:
    """Give what the demo's shop sends about some purchases, every fault among them."""
    random = Random(SEED)
    with Sink() as sink:
        shop = Shop(sink.address, random)
        for _ in range(PURCHASES):
            shop.purchase(random.choice((None, *FAULTS)))
        shop.close()
    return sink.requests


def texts_of_file(file: str) -> list[str]:
    """Give the distinct texts of a file of OTLP."""
    return distinct_texts(requests_in(file), ROUNDED)


def distinct_texts(requests: Iterable[bytes], options: RenderOptions) -> list[str]:
    """Give each text of encoded requests once, in the order that they come."""
    renderer = new_renderer(options)
    spans = spans_of(map(parse_request, requests), renderer)
    return list(dict.fromkeys(renderer.render(*span).content for span in spans))
