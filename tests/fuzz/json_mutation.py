"""Changes JSON texts in ways that leave them JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from random import Random

KEYS = (
    *("resourceSpans", "resource", "scopeSpans", "scope", "spans", "schemaUrl", "attributes"),
    *("key", "value", "stringValue", "intValue", "doubleValue", "arrayValue", "kvlistValue"),
    *("values", "bytesValue", "traceId", "spanId", "name", "kind", "status", "code", "message"),
    *("startTimeUnixNano", "endTimeUnixNano", "events", "links", "trace_id", "anything", ""),
)
VALUES: tuple[object, ...] = (
    *(None, True, False, 0, -1, 1.5, 1e300, 10**20, float("nan"), float("inf")),
    *("", "0", "5b8efff798038103", "1700000000000000000", "-1", "\ud800", "x\n\0", "Ünïcödé 商店"),
    *("embedding.vector", "embedding.source", "NaN", "SPAN_KIND_CLIENT", "\u0661"),
    *([], {}, [{}], [None], {"values": []}, {"stringValue": "x"}, [[[[[[[[]]]]]]]]),
)


def mutated(content: bytes, random: Random, scramble: Callable[[bytes], bytes]) -> bytes:
    """Give a JSON text with one thing in it changed; what is not JSON is changed blindly."""
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return scramble(content)
    containers = list(containers_of(value))
    if containers:
        change(random.choice(containers), random)
    text = json.dumps(value, indent=random.choice((None, None, 1)))
    return text.encode()


def containers_of(value: object) -> Iterator[dict[str, object] | list[object]]:
    """Give all objects and arrays of a value."""
    if isinstance(value, dict | list):
        yield value
        for each in value.values() if isinstance(value, dict) else value:
            yield from containers_of(each)


def change(container: Any, random: Random) -> None:  # noqa: ANN401 - whatever JSON may hold
    """Set, remove or copy one thing in an object or an array."""
    places = list(container) if isinstance(container, dict) else list(range(len(container)))
    chosen = random.choice(places) if places else None
    match random.randrange(4):
        case 0 if chosen is not None:
            del container[chosen]
        case 1 if chosen is not None:
            container[chosen] = random.choice(VALUES)
        case 2 if chosen is not None:
            put(container, container[chosen], random)
        case _:
            put(container, random.choice(VALUES), random)


def put(container: Any, value: object, random: Random) -> None:  # noqa: ANN401 - whatever JSON may hold
    """Put a value into an object or an array."""
    if isinstance(container, dict):
        container[random.choice(KEYS)] = value
    else:
        container.insert(random.randrange(len(container) + 1), value)
