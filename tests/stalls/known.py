"""Shapes that have stalled a sidecar once, or nearly; they are tried before all others."""

from __future__ import annotations

from tests.stalls.tree import MEBIBYTE, Field, Fixed, Groups, Message, Part, Shape, Text

MANY = 2**23
OWN_KEY = Text(12, b"key.", differs=True)
OWN_TEXT = Text(4_096, b"a: b@c 4 ", differs=True)
IDS = Fixed("ids", b"\x0a\x10" + b"i" * 16 + b"\x12\x08" + b"i" * 8)


def attributes(number: int, value: Part, count: int = 1) -> Field:
    """Give a field of attributes of this value, each with a key of its own."""
    key_value = Message((Field("key", 1, OWN_KEY), Field("value", 2, value)))
    return Field("attribute", number, key_value, count)


def string(text: Text) -> Field:
    return Field("string", 1, text)


def wide(width: int, levels: int) -> Part:
    """Give arrays in arrays, each of so many."""
    made: Part = string(Text(1, b"a"))
    for _ in range(levels):
        made = Field("array", 5, Field("of", 1, made, width))
    return made


def of_resource(*parts: Part, count: int = 1) -> Message:
    return Message((Field("resources", 1, Message(parts), count),))


def of_span(*parts: Part, count: int = 1) -> Message:
    return of_resource(Field("scopes", 2, Field("span", 2, Message(parts), count)))


SMALL = string(Text(1, b"v"))
WIDE_RESOURCE = Field("resource", 1, attributes(1, SMALL, 300_000))
WIDE_EVENT = Message((Field("name", 2, Fixed("name", b"exception")), attributes(3, SMALL, 300_000)))
ONE_SPAN = Field("scopes", 2, Field("span", 2, IDS))
NAME = Field("name", 5, Text(5, b"GET /"))

TREES: dict[str, tuple[Part, int]] = {
    "long values": (of_span(attributes(9, string(OWN_TEXT), 1_024)), 8 * MEBIBYTE),
    "arrays in arrays": (of_span(attributes(9, wide(64, 4))), 16 * MEBIBYTE),
    "a wide resource": (of_resource(WIDE_RESOURCE, ONE_SPAN), 12 * MEBIBYTE),
    "a wide event": (of_span(IDS, Field("event", 11, WIDE_EVENT)), 12 * MEBIBYTE),
    "empty resources": (of_resource(count=MANY), 4 * MEBIBYTE),
    "empty scopes": (of_resource(Field("scopes", 2, Message(), MANY)), 4 * MEBIBYTE),
    "empty spans": (of_span(count=100_000), MEBIBYTE),
    "small spans": (of_span(IDS, NAME, count=60_000), 8 * MEBIBYTE),
    "groups in groups": (Groups(MANY), 4 * MEBIBYTE),
}
KNOWN = (
    *(Shape(name, tree, room) for name, (tree, room) in TREES.items()),
    Shape("empty resources, squeezed", of_resource(count=MANY), 16 * MEBIBYTE, is_squeezed=True),
)
