"""What is run for each span, ready to be counted: called again it costs the same again."""

from __future__ import annotations

import random
from itertools import islice
from typing import TYPE_CHECKING

from otel_embedder.annotation.annotator import annotator
from otel_embedder.annotation.recurring import Recurring
from otel_embedder.otlp.wire import parse_request
from otel_embedder.search.recording.recorder import Bounds, Recorder
from otel_embedder.settings import load_settings
from otel_embedder.text.options import RenderOptions
from otel_embedder.text.rendering import new_renderer, prepare
from tests.bench.rendering import SERVICE, spans_by_kind
from tests.support.fakes import embedding_of
from tests.support.generated import requests_of_texts
from tests.support.way import Way
from tests.support.wire import new_layouts

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, Sequence

    Act = Callable[[], object]
    Render = Callable[[bytes, str], object]

SPANS = 128
TEXTS = 32
# Of each kind, for each time that it is called.
UNSEEN = 4
TIMES = 8
NOON = 1_772_366_400 * 10**9
SEED = 7


def hot() -> dict[str, Act]:
    """Give what is counted, by its name. Within a running event loop."""
    random.seed(SEED)
    prepare()
    [whole] = requests_of_texts(SPANS, texts=TEXTS)
    [one] = requests_of_texts(1, texts=1)
    return {
        f"parse a request of {SPANS} spans": lambda: parse_request(whole),
        **rendering(),
        f"a request of {SPANS} known spans, from parsing to encoding": passing(whole),
        "the same of one span": passing(one),
        f"encode {TEXTS} vectors as arrays": encoding("array"),
        f"encode {TEXTS} vectors as bytes": encoding("bytes"),
        f"record {SPANS} spans for a catalogue": recording(whole),
        f"record {SPANS} spans that recur": recurring(whole),
        f"record and count {SPANS} spans": counting(whole),
    }


def rendering() -> dict[str, Act]:
    """Give the rendering of spans of each kind that were never seen, and of known ones."""
    renderer = new_renderer(RenderOptions())
    acts: dict[str, Act] = {}
    for kind, spans in spans_by_kind(UNSEEN * TIMES).items():
        fresh = iter(spans)
        known = spans[:UNSEEN]
        acts[f"render {UNSEEN} spans never seen: {kind}"] = _next_of(fresh, renderer.render)
        acts[f"render {UNSEEN} known spans: {kind}"] = each_of(known, renderer.render)
    return acts


def _next_of(spans: Iterator[bytes], render: Render) -> Act:
    return lambda: [render(span, SERVICE) for span in islice(spans, UNSEEN)]


def each_of(spans: Sequence[bytes], render: Render) -> Act:
    """Give the rendering of these spans."""
    return lambda: [render(span, SERVICE) for span in spans]


def passing(encoded: bytes) -> Act:
    """Give the way of a request, but for its receiver and its exporter."""
    way = Way(max_texts=TEXTS)
    return lambda: _finish(way.go(encoded))


def _finish(coroutine: Coroutine[object, object, object]) -> None:
    """Run what does not wait."""
    try:
        coroutine.send(None)
    except StopIteration:
        return
    raise AssertionError("it waited for something")


def encoding(name: str) -> Act:
    """Give the encoding of vectors as attributes, of which none is remembered."""
    annotating = annotator(load_settings({"encoding": name}), "words-1")
    fresh = iter([embedding_of(str(number)) for number in range(TEXTS * TIMES)])

    return lambda: [annotating.attributes(each, "charge card") for each in islice(fresh, TEXTS)]


def recording(encoded: bytes) -> Act:
    """Give what is kept of each span that passes, for a catalogue."""
    return _recording(encoded, new_recorder())


def recurring(encoded: bytes) -> Act:
    """Give what is kept of each span of which the ids and times were cut out."""
    recorder, renderer = new_recorder(), new_renderer(RenderOptions())
    [resource] = parse_request(encoded).resources
    spans = [span.encoded for scope in resource.scopes for span in scope.spans]
    known = [Recurring(renderer.render(span, "shop").content, 0, "shop", span) for span in spans]
    own, embeddings = (
        new_layouts().cut(spans).own,
        [embedding_of(each.content) for each in known],
    )

    def act() -> None:
        recorder.take_recurring(known, own, embeddings, now=NOON)

    act()
    return act


def counting(encoded: bytes) -> Act:
    recorder = new_recorder()
    record = _recording(encoded, recorder)

    def act() -> None:
        record()
        recorder.flush(NOON)

    return act


def new_recorder() -> Recorder:
    return Recorder("guard", new_renderer(RenderOptions()), bounds=Bounds())


def _recording(encoded: bytes, recorder: Recorder) -> Act:
    renderer = new_renderer(RenderOptions())
    [resource] = parse_request(encoded).resources
    spans = [span.encoded for scope in resource.scopes for span in scope.spans]
    texts = [renderer.render(span, "shop").content for span in spans]
    embeddings = [*map(embedding_of, texts)]

    def act() -> None:
        recorder.take(resource.resource, spans, texts, embeddings, now=NOON)

    # Texts are new in the first, and shapes of spans learned in the second.
    act()
    act()
    return act
