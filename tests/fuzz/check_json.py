"""What must hold of any bytes that come as a line of OTLP/JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from otel_embedder.annotation.annotator import Annotator
from otel_embedder.annotation.standing import Origin
from otel_embedder.embedder.embedding import Embedding
from otel_embedder.errors import MalformedRequestError
from otel_embedder.otlp.attributes import JSON
from otel_embedder.otlp.json_form.cursor import ESCAPED, JsonCursor
from otel_embedder.otlp.json_form.fields import plain_name
from otel_embedder.otlp.json_form.names import RESOURCE_SPANS, SCOPE_SPANS, SPANS, Name
from otel_embedder.otlp.json_form.requests import JsonReader
from otel_embedder.text.options import RenderOptions
from otel_embedder.text.rendering import new_renderer
from tests.support.wire import annotate_all

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_embedder.otlp.json_form.requests import JsonRequest

ANNOTATOR = Annotator(
    Origin("a-model", "1"),
    encoding="array",
    prefix="embedding.",
    attach_text=True,
    max_remembered=1,
    syntax=JSON,
)
OURS = ANNOTATOR.attributes(
    Embedding(np.array([0.6, 0.8], np.float32), "a-model", "model"), "a text"
)
LONG_USED = JsonReader(ANNOTATOR.keys)
RENDERER = new_renderer(RenderOptions())

Fields = dict[str, Any]


def check_json(content: bytes) -> None:
    """Check that a line is refused, or leaves as it came, with attributes of ours or without."""
    try:
        read = JsonReader(ANNOTATOR.keys).read(content)
    except MalformedRequestError:
        check_refused_again(content)
        return
    assert LONG_USED.read(content) == read
    assert written(read) == content
    for resource, scope in read.request.scopes():
        service = RENDERER.service(resource.resource)
        for span in scope.spans:
            RENDERER.render(span.encoded, service)
    check_appending(content, read)


def check_refused_again(content: bytes) -> None:
    """Check that a reader says the same of a line whatever it read before."""
    try:
        LONG_USED.read(content)
    except MalformedRequestError:
        return
    raise AssertionError("what a new reader refused was read")


def check_appending(content: bytes, read: JsonRequest) -> None:
    """Check that the line has our attributes on each span, in the place of older ones of ours."""
    annotate_all(read.request, OURS)
    expected = parsed(content)
    for span in (span for value in expected for span in spans_of(value)):
        key = attributes_key(span)
        kept = (each for each in span.get(key) or () if not is_ours(each))
        span[key] = [*kept, *json.loads(b"[%b]" % OURS)]
    # In words, for NaN is not equal to itself.
    assert json.dumps(parsed(written(read))) == json.dumps(expected)


def parsed(content: bytes) -> list[Fields]:
    """Parse the values of a text, of which not all may be UTF-8."""
    cursor, values = JsonCursor(content.decode(errors=ESCAPED)), []
    while cursor.is_before_more():
        values.append(cursor.value())
    return cast("list[Fields]", values)


def written(read: JsonRequest) -> bytes:
    """Give the text that a request is written as."""
    return b"".join(read.pieces())


def spans_of(request: Fields) -> Iterator[Fields]:
    """Give the spans of a parsed request, whatever its names are spelt like."""
    inner = request["trace"] if [*request] == ["trace"] else request
    is_resource = any(plain_name(key) in SCOPE_SPANS.others for key in inner)
    is_request = any(plain_name(key) in RESOURCE_SPANS.others for key in inner)
    for resource in [inner] if is_resource and not is_request else named(inner, RESOURCE_SPANS):
        for scope in named(resource, SCOPE_SPANS):
            yield from named(scope, SPANS)


def named(fields: Fields, name: Name) -> Iterator[Fields]:
    """Give the elements of all lists of a name."""
    for key, value in fields.items():
        if plain_name(key) in name.others:
            yield from value or ()


def attributes_key(span: Fields) -> str:
    """Give the name that a span's attributes have."""
    other = (key for key in span if plain_name(key) == "attributes")
    return "attributes" if "attributes" in span else next(other, "attributes")


def is_ours(attribute: Fields) -> bool:
    """Tell whether an attribute is named like one of ours."""
    return str(attribute.get("key")).encode(errors="replace") in ANNOTATOR.keys
