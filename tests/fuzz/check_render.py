"""What must hold of any bytes that come as a span, a resource or a value."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from google.protobuf.message import DecodeError

from otel_embedder.proto import otlp_wire_pb2 as pb
from otel_embedder.text.options import TEMPLATE, RenderOptions
from otel_embedder.text.renderer import (
    LONG,
    MAX_SHORT_CHARACTERS,
    MAX_TEXT_CHARACTERS,
    MAX_VALUE_CHARACTERS,
    UNKNOWN_OPERATION,
)
from otel_embedder.text.rendering import TextRenderer, new_renderer
from tests.fuzz.encoded import part

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_embedder.text.renderer import Rendering, Saying

Result = TypeVar("Result")

SERVICE = "shop"
ATTRIBUTES = 9  # of Span
RESOURCE_ATTRIBUTES = 1
OPTIONS = (
    RenderOptions(),
    RenderOptions(profile="template"),
    RenderOptions(exact_durations=True, mask_values=False, volatile_keys=()),
)
# Used for all inputs, so that what one left behind can show in another's text.
LONG_USED = tuple(map(new_renderer, OPTIONS))


def check_render(encoded: bytes) -> None:
    """Check that whatever comes has one short text, or is refused as not being protobuf."""
    for options, long_used in zip(OPTIONS, LONG_USED, strict=True):
        check_span(encoded, new_renderer(options), long_used)
    check_resource(encoded)
    check_value(encoded)


def check_span(encoded: bytes, new: TextRenderer, long_used: TextRenderer) -> None:
    """Check the text of a span, and that `sayings` says the same."""
    text = unless_refused(lambda: new.render(encoded, SERVICE))
    assert text == unless_refused(lambda: long_used.render(encoded, SERVICE))
    sayings = unless_refused(lambda: new.sayings(encoded, SERVICE))
    if text is None:
        assert sayings is None
        return
    check_text(text)
    if sayings is None:
        return
    if new.text_version.startswith(TEMPLATE):
        expected = joined(sayings)
        if not has_mark(encoded):
            assert text.content == expected
        elif len(expected) < MAX_TEXT_CHARACTERS - 1:
            assert parts_of(text.content) == parts_of(expected)
    else:
        words = text.content.replace(":", "").split()
        # The last one may be cut.
        whole = words[:-1] if len(text.content) == MAX_TEXT_CHARACTERS else words
        assert {*whole} <= {*words_of(sayings), UNKNOWN_OPERATION}


def unless_refused(read: Callable[[], Result]) -> Result | None:
    """Give what was read, None where it is not protobuf: the one error that there may be."""
    try:
        return read()
    except DecodeError:
        return None


def check_text(text: Rendering) -> None:
    """Check that a text can be embedded and sent."""
    assert len(text.content) <= MAX_TEXT_CHARACTERS
    assert text.content.encode().decode() == text.content
    assert "\n" not in text.content
    assert "\0" not in text.content


def words_of(sayings: list[Saying]) -> list[str]:
    return [word for saying in sayings for word in (saying.words or "").replace(":", "").split()]


def has_mark(encoded: bytes) -> bool:
    """Tell whether an attribute may have the character that the renderer marks keys with.

    It is in no text, and the order of attributes is another one than what is shown tells.
    """
    return any(LONG.encode() in each for each in pb.Span.FromString(encoded).attributes)


def parts_of(content: str) -> tuple[str, list[str]]:
    """Give what stands before the attributes, and their words in no order."""
    head, _, attributes = content.partition(" attributes:")
    return head, sorted(attributes.split())


def joined(sayings: list[Saying]) -> str:
    """Put a text of the default template together from what its span says."""
    service, operation, status, duration, *attributes = sayings
    # By key and words, as if NUL stood between them; long values behind the others.
    said = sorted(
        (len(saying.words) > MAX_SHORT_CHARACTERS, saying.name, saying.words)
        for saying in attributes
        if saying.words is not None
    )
    words = " ".join(f"{key}={value}" for _, key, value in said)
    head = f"{service.words} {operation.words} {status.words} in {duration.words}ms"
    return f"{head} attributes: {words}"[:MAX_TEXT_CHARACTERS].rstrip()


def check_resource(encoded: bytes) -> None:
    """Check the name of a resource's service."""
    renderer = new_renderer(OPTIONS[0])
    service = unless_refused(lambda: renderer.service(encoded))
    assert service == unless_refused(lambda: LONG_USED[0].service(encoded))
    assert service is None or 0 < len(service) <= MAX_VALUE_CHARACTERS


def check_value(encoded: bytes) -> None:
    """Check a value in words, where an attribute has it and where the service's name does."""
    for new, long_used in zip(map(new_renderer, OPTIONS), LONG_USED, strict=True):
        check_span(part(ATTRIBUTES, key_value(b"some.key", encoded)), new, long_used)
    check_resource(part(RESOURCE_ATTRIBUTES, key_value(b"service.name", encoded)))


def key_value(key: bytes, value: bytes) -> bytes:
    """Encode a KeyValue of an encoded value."""
    return part(1, key) + part(2, value)
