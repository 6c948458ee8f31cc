"""Shapes that hypothesis thinks of, by a grammar of OTLP: deep, wide, many, huge, empty.

Where the grammar has a field it may come once or four million times, with its length written in
more bytes than it needs, and beside fields that nobody knows.
"""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.stalls.tree import (
    KIBIBYTE,
    MEBIBYTE,
    Deep,
    Field,
    Fixed,
    Groups,
    Message,
    Part,
    Shape,
    Text,
)
from tests.support.otlp_samples import UNKNOWN_FIELDS, varint

Parts = st.SearchStrategy[Part]

ROOMS = tuple(size * KIBIBYTE for size in (16, 256, 1_024, 4_096, 16_384, 62_000))
LENGTHS = st.sampled_from((0, 1, 24, 24, 255, 4_096, 4_096, 65_536, MEBIBYTE, 8 * MEBIBYTE))
COUNTS = st.sampled_from((1, 1, 1, 2, 16, 64, 128, 1_024, 8_192, 65_536, 300_000, 4_000_000))
DEPTHS = st.sampled_from((2, 10, 60, 100, 1_000, 10_000))
CONTENTS = st.sampled_from(
    (
        *(b"a", b"word ", b"a: b@c 4 ", b"0123456789abcdef-", b"A1b2_", b" ", b"\0", b"\n"),
        *(b'{"k":[1,', b"k=v&", b"user:password@host/", b"Bearer eyJ", b"<a>", b"%s{}"),
        *("Ünï ".encode(), "商店".encode(), b"\xff\xfe", b"1.2.3.4:5 2024-01-01T00:00:00Z "),
    )
)
SELDOM = st.sampled_from([False] * 7 + [True])
TEXTS = st.builds(Text, LENGTHS, CONTENTS, st.booleans())
NAMES = (
    *(b"k", b"", b"service.name", b"exception.message", b"exception.stacktrace"),
    *(
        b"http.request.header.authorization",
        b"llm.input_messages.message.content",
        b"db.query.text",
    ),
)
KEYS = st.one_of(
    st.builds(lambda name: Fixed(repr(name), name), st.sampled_from(NAMES)),
    st.builds(Text, st.just(12), st.just(b"key."), st.just(True)),
    TEXTS,
)
SCALARS = st.sampled_from(
    (
        Fixed("nothing", b""),
        Fixed("true", b"\x10\x01"),
        Fixed("int", b"\x18" + varint(2**63 + 1)),
        Fixed("long varint", b"\x18" + b"\x81" + b"\x80" * 8 + b"\x00"),
        Fixed("NaN", b"\x21" + b"\xff" * 8),
    )
)
UNKNOWN = st.one_of(
    st.builds(Groups, DEPTHS),
    st.builds(Field, st.just("unknown"), st.just(1002), TEXTS, COUNTS, st.booleans()),
    st.sampled_from([Fixed("unknown", b"".join(UNKNOWN_FIELDS))]),
)
IDS = Fixed("ids", b"\x0a\x10" + b"i" * 16 + b"\x12\x08" + b"i" * 8)
TIMES = Fixed("times", b"\x39" + (10**18).to_bytes(8, "little") + b"\x41" + b"\xff" * 8)
EMPTY: Part = Message()


def fields(name: str, number: int, of: Parts) -> Parts:
    """Give a field that comes any number of times."""
    return st.builds(Field, st.just(name), st.just(number), of, COUNTS, SELDOM)


def one(name: str, number: int, of: Parts) -> Parts:
    return st.builds(Field, st.just(name), st.just(number), of)


def some(*parts: Parts) -> st.SearchStrategy[Message]:
    """Give a message that has about half of these."""
    return st.tuples(*map(_perhaps, parts)).map(lambda made: Message(tuple(filter(None, made))))


def mostly(part: Parts, *others: Parts) -> Parts:
    """Give a message that has this, nearly always, behind some others."""
    return st.tuples(some(*others), SELDOM, part).map(
        lambda made: made[0] if made[1] else Message((*made[0].parts, made[2]))
    )


def _perhaps(part: Parts) -> st.SearchStrategy[Part | None]:
    return st.booleans().flatmap(lambda is_there: part if is_there else st.none())


def values(depth: int) -> Parts:
    flat = st.one_of(SCALARS, one("string", 1, TEXTS), one("bytes", 7, TEXTS))
    if not depth:
        return flat
    within = values(depth - 1)
    return st.one_of(
        flat,
        one("array", 5, fields("of", 1, within)),
        one("map", 6, fields("of", 1, key_values(within))),
        st.builds(Deep, st.just("arrays"), st.just((5, 1)), DEPTHS, within),
        st.builds(Deep, st.just("maps"), st.just((6, 1, 2)), DEPTHS, within),
    )


def key_values(of: Parts) -> Parts:
    return st.builds(
        lambda key, value: Message((Field("key", 1, key), Field("value", 2, value))), KEYS, of
    )


def attributes(number: int) -> Parts:
    return fields("attribute", number, key_values(values(4)))


NAMED = one("name", 2, st.one_of(TEXTS, st.just(Fixed("exception", b"exception"))))
RARELY_UNKNOWN = st.tuples(SELDOM, UNKNOWN).map(lambda made: made[1] if made[0] else EMPTY)
EVENTS = some(NAMED, attributes(3), RARELY_UNKNOWN)
LINKS = some(attributes(4), one("state", 3, TEXTS), RARELY_UNKNOWN)
STATUSES = some(one("message", 2, TEXTS), st.just(Fixed("ERROR", b"\x18\x02")))
SPANS = some(
    *(st.just(IDS), st.just(TIMES), one("name", 5, TEXTS), one("status", 15, STATUSES)),
    *(attributes(9), fields("event", 11, EVENTS), fields("link", 13, LINKS), RARELY_UNKNOWN),
)
SCOPES = mostly(
    fields("span", 2, SPANS),
    one("scope", 1, some(attributes(3), one("name", 1, TEXTS))),
    RARELY_UNKNOWN,
)
RESOURCES = mostly(
    fields("scopes", 2, SCOPES), one("resource", 1, some(attributes(1))), RARELY_UNKNOWN
)
REQUESTS = mostly(fields("resources", 1, RESOURCES), RARELY_UNKNOWN)


def drawn(number: int, *, max_bytes: int) -> Shape:
    """Give the shape that has this seed."""
    found: list[Shape] = []

    # The first that hypothesis thinks of is the simplest one, whatever the seed.
    @seed(number)
    @settings(
        max_examples=2,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=[*HealthCheck],
    )
    @given(shapes(str(number), max_bytes))
    def draw(shape: Shape) -> None:
        found.append(shape)

    draw()
    return found[-1]


def shapes(name: str, max_bytes: int) -> st.SearchStrategy[Shape]:
    rooms = [room for room in ROOMS if room <= max_bytes]
    return st.builds(
        Shape,
        st.just(name),
        REQUESTS,
        st.sampled_from(rooms),
        st.sampled_from([False, False, True]),
    )
