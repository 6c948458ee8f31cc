from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from otel_embedder.text.options import RenderOptions
from otel_embedder.text.purse import (
    ATTRIBUTE_BYTES,
    SPAN_BYTES,
    cut_attribute,
    cut_resource,
    cut_span,
    cut_value,
)
from otel_embedder.text.rendering import new_renderer
from otel_embedder.text.values import MAX_BYTES
from tests.support.cpu import cpu_seconds
from tests.support.otlp_samples import (
    Value,
    any_value,
    event,
    field,
    key_value,
    messages,
    resource,
    span,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# Fields that nobody reads, more than a purse pays for: such as links.
UNREAD = field(13, b"x" * SPAN_BYTES)

PARAGRAPH = "a: b@c 4 " * 455
DIGITS = "2222-2222-2222-2222-" * 200
LONG = "x" * 1_000_000


def nested(*items: bytes) -> bytes:
    """Give encoded AnyValues as one: an array."""
    return field(5, b"".join(field(1, item) for item in items))


def attribute(key: str, value: bytes) -> bytes:
    """Give a Span's attribute of an encoded AnyValue."""
    return field(9, field(1, key.encode()) + field(2, value))


def many(attributes: Mapping[str, Value]) -> bytes:
    return span("pay", attributes).SerializeToString()


def tree(leaf: bytes, width: int, depth: int) -> bytes:
    for _ in range(depth):
        leaf = nested(*[leaf] * width)
    return leaf


def exception(**attributes: Value) -> Span.Event:
    named = {f"exception.{key}": value for key, value in attributes.items()}
    return event("exception", named)


HEAVY: dict[str, Callable[[], bytes]] = {
    "messages": lambda: many({f"llm.{number}": f"{number} {PARAGRAPH}" for number in range(128)}),
    "digits": lambda: many({f"{number}": f"{number} {DIGITS}" for number in range(1_000)}),
    "small attributes": lambda: b"".join(attribute(f"{number}", b"") for number in range(100_000)),
    "empty attributes": lambda: b"\x4a\x00" * 1_000_000,
    "an array of arrays": lambda: attribute("k", tree(field(1, b"a"), 64, 3)),
    "arrays of digits": lambda: b"".join(
        attribute(f"{number}", tree(field(1, DIGITS[number:1_000].encode()), 1, 4))
        for number in range(500)
    ),
    "arrays of nothing": lambda: b"".join(
        attribute(f"{number}", nested(nested(nested(nested(*[b""] * 64)))))
        for number in range(1_000)
    ),
    "a deep value": lambda: attribute("k", tree(field(1, DIGITS.encode()), 1, 1_000)),
    "an attribute of other fields": lambda: field(9, field(3, b"") * 1_000_000),
    "a value of other fields": lambda: attribute("k", field(99, b"") * 1_000_000),
    "a name": lambda: span(LONG).SerializeToString(),
    "a key": lambda: many({LONG: 1}),
    "a string": lambda: many({"k": LONG}),
    "bytes": lambda: many({"k": LONG.encode()}),
    "a message": lambda: span(message=LONG).SerializeToString(),
    "an exception": lambda: span(events=[exception(type=LONG, message=LONG)]).SerializeToString(),
    "an exception of much": lambda: field(
        11,
        field(2, b"exception")
        + b"".join(field(3, b"\x0a\x01%d" % (n % 9)) for n in range(300_000)),
    ),
    "a stack trace": lambda: span(
        events=[exception(stacktrace=f"{LONG}\nCaused by: {LONG}{' ---> ' * 10_000}")]
    ).SerializeToString(),
    "many logs": lambda: b"".join(
        field(11, field(2, b"log") + field(3, key_value("level", n).SerializeToString()))
        for n in range(50_000)
    ),
    "many errors": lambda: span(
        events=[exception(message=f"{n} {PARAGRAPH}", stacktrace=DIGITS) for n in range(99)]
    ).SerializeToString(),
    "no exceptions": lambda: field(11, field(2, b"exceptions")) * 300_000,
    "links": lambda: field(13, b"") * 1_000_000,
    "statuses": lambda: field(15, b"\x18\x02") * 500_000,
    "all of it": lambda: span(
        DIGITS * 9,
        {f"{number}": [[[[DIGITS[number:]]]]] for number in range(1_000)},
        message=DIGITS * 9,
        events=[exception(type=[[[[DIGITS]]]] * 9, message=[[[DIGITS]]] * 9)],
    ).SerializeToString(),
}


@pytest.fixture(name="encoded", params=HEAVY, scope="module")
def _encoded(request: pytest.FixtureRequest) -> bytes:
    return HEAVY[request.param]()


def text_of(encoded: bytes, options: RenderOptions | None = None) -> str:
    return (
        new_renderer(options or RenderOptions(profile="template")).render(encoded, "shop").content
    )


def attributes_of(encoded: bytes) -> dict[str, str]:
    """Give the attributes in a text, however long that would be, by key."""
    renderer = new_renderer(RenderOptions(mask_values=False))
    said = renderer.sayings(encoded, "shop")
    return {each.name: each.words for each in said[4:] if each.words is not None}


def test_no_more_is_read_of_a_span_than_the_purse_pays_for(encoded: bytes) -> None:
    assert len(cut_span(encoded)) < SPAN_BYTES + 1_024


def test_no_span_holds_others_up(encoded: bytes) -> None:
    # It takes a fifth of that at the most; without a purse most take seconds.
    assert cpu_seconds(lambda: text_of(encoded)) < 0.4


def test_to_compare_spans_has_an_end_too(encoded: bytes) -> None:
    renderer = new_renderer(RenderOptions(profile="template"))

    assert cpu_seconds(lambda: renderer.sayings(encoded, "shop")) < 10


@settings(deadline=None)
@given(messages(Span, depth=4, unknown=True))
def test_what_the_purse_pays_for_reads_as_if_there_were_none(made: Span) -> None:
    encoded = made.SerializeToString()

    assert text_of(encoded + UNREAD) == text_of(encoded)
    assert text_of(UNREAD + encoded) == text_of(encoded)


@settings(deadline=None)
@given(st.integers(0, 3 * SPAN_BYTES))
def test_a_long_value_reads_as_far_as_it_ever_does(length: int) -> None:
    value = f"{'a' * length} ghp_{'b' * 100}"

    assert text_of(many({"k": value})) == text_of(many({"k": value}) + UNREAD)


def test_the_text_does_not_depend_on_what_was_read_before(encoded: bytes) -> None:
    renderer = new_renderer(RenderOptions(profile="template"))
    for other in (HEAVY["messages"](), HEAVY["all of it"](), cut_span(encoded)):
        renderer.render(other, "shop")

    assert renderer.render(encoded, "shop").content == text_of(encoded)


def test_what_is_cut_is_cut_once(encoded: bytes) -> None:
    assert text_of(cut_span(encoded)) == text_of(encoded)


def test_an_error_is_told_however_much_stands_before_it() -> None:
    made = span("pay", {f"{number}": DIGITS for number in range(500)})
    failed = span(
        "pay",
        code=Status.STATUS_CODE_ERROR,
        message="declined",
        events=[exception(type="BankError", message="no funds"), event("retry", {"a": LONG})],
    )
    renderer = new_renderer(RenderOptions(profile="template"))

    rendering = renderer.render(made.SerializeToString() + failed.SerializeToString(), "shop")

    assert rendering.is_error
    assert rendering.content.startswith("shop pay ERROR declined BankError no funds in 2500ms")


def test_of_a_cut_span_the_cause_in_a_long_stack_trace_is_told() -> None:
    frames = "".join(f"\tat com.acme.Bank.pay(Bank.java:{line})\n" for line in range(600))
    trace = f"BankError: declined\n{frames}Caused by: NetError: bank is away\n{frames}"
    told = exception(type="BankError", message="declined", stacktrace=trace)
    made = span("pay", {"k": "here", "l": LONG}, events=[told, *[event("retry")] * 9])

    text = text_of(made.SerializeToString())

    assert text.startswith("shop pay UNSET BankError declined NetError bank is away in")
    assert "k=here" in text


def test_of_a_cut_span_events_are_read_as_of_a_small_one() -> None:
    events = [
        event("log", {"level": "INFO", "message": "paying"}),
        event("log", {"level": "ERROR", "message": "no funds", "at": "bank"}),
        event("gen_ai.choice", {"message": "an error"}),
        exception(type="BankError", message="declined", stacktrace="BankError: declined"),
    ]
    encoded = span("pay", events=events).SerializeToString()

    assert text_of(encoded + UNREAD) == text_of(encoded)
    assert "UNSET BankError declined no funds in" in text_of(encoded)


def test_a_status_is_found_behind_any_number_of_fields() -> None:
    encoded = field(5, b"pay") + field(9, b"") * 100_000 + field(15, field(2, b"no") + b"\x18\x02")

    assert text_of(encoded).startswith("shop pay ERROR no in")


def test_what_there_is_no_room_for_has_dots_for_a_value() -> None:
    said = attributes_of(many({f"k{number}": "a b " * 2_000 for number in range(9)}))

    assert [key for key, words in said.items() if words == "..."] == [
        f"k{number}" for number in range(SPAN_BYTES // MAX_BYTES - 1, 9)
    ]
    assert said["k0"].startswith("a b a b")


def test_a_small_attribute_has_its_value_behind_a_large_one() -> None:
    said = attributes_of(many({**{f"k{number}": LONG for number in range(9)}, "last": "here"}))

    assert said["last"] == "here"


def test_that_there_is_more_may_be_seen() -> None:
    said = attributes_of(many({f"{number:06}": "a" * 20 for number in range(3_000)}))

    assert said["..."] == "..."
    assert attributes_of(many({"k": [{"password": "a" * 3_000}, LONG, 1]}))["k"] == (
        "[{password=<secret>}, ..., 1]"
    )


def test_the_order_of_attributes_does_not_matter_where_all_are_read() -> None:
    attributes: dict[str, Value] = {f"{number}": "a b " * number for number in range(70)}
    backwards = dict(reversed(attributes.items()))

    assert text_of(many(attributes) + UNREAD) == text_of(many(backwards) + UNREAD)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (LONG.encode(), "<1000000 bytes>"),
        ({LONG: 1}, "{...=...}"),
        ([LONG * 5, "b"], f"[{'x' * 255}"),
        ({"a": LONG, "b": LONG}, f"{{a={'x' * 253}"),
        ({"a": "b", "c": {"d": {"e": LONG}, "f": [1]}}, f"{{a=b, c={{d={{e={'x' * 242}"),
    ],
    ids=["bytes", "a key", "an array", "key-values", "in key-values"],
)
def test_a_large_value_reads_as_far_as_there_is_room(value: Value, words: str) -> None:
    assert attributes_of(many({"k": value}))["k"] == words


@pytest.mark.parametrize("cut", [cut_attribute, cut_value, cut_span, cut_resource])
def test_what_is_small_stays_as_it_is(cut: object) -> None:
    assert callable(cut)
    assert cut(b"not even a message") == b"not even a message"


def test_a_secret_is_hidden_however_little_of_it_is_read() -> None:
    made = many({"password": LONG, "a": {"b" * 5_000: {"token": LONG}, "token": [LONG] * 9}})

    assert attributes_of(made) == {
        "password": "<secret>",
        "a": "{...=..., token=<secret>}",
    }


def test_the_service_is_found_among_many_attributes() -> None:
    of = resource("shop", {f"{number}": "v" * 100 for number in range(1_000)}).SerializeToString()

    assert new_renderer(RenderOptions(profile="template")).service(of) == "shop"


def test_the_service_is_found_where_its_key_is_behind_its_value() -> None:
    key, name = field(1, b"service.name"), field(2, field(1, b"shop"))
    other = field(1, b"host.name") + field(2, field(1, b"v" * SPAN_BYTES + key))
    of = field(1, other) + field(1, name + key)

    assert new_renderer(RenderOptions(profile="template")).service(of) == "shop"


@pytest.mark.parametrize(
    "of",
    [
        Resource(attributes=[key_value(f"{number}", "v") for number in range(300_000)]),
        resource("x" * 16_000_000),
    ],
    ids=["many attributes", "a long name"],
)
def test_no_resource_holds_others_up(of: Resource) -> None:
    encoded = of.SerializeToString()
    renderer = new_renderer(RenderOptions(profile="template"))

    assert cpu_seconds(lambda: renderer.service(encoded)) < 0.4


@pytest.mark.parametrize("end", [b"\x0a", b"\x4a\x09x", b"\x0f"], ids=["tag", "short", "kind"])
def test_a_large_span_or_resource_that_is_malformed_is_refused(end: bytes) -> None:
    attributes = field(9, field(1, b"k" * 100)) * 1_000
    renderer = new_renderer(RenderOptions(profile="template"))

    with pytest.raises(DecodeError):
        renderer.render(attributes * 100 + end, "shop")
    with pytest.raises(DecodeError):
        renderer.service(attributes + end)


def test_a_large_attribute_that_is_malformed_is_refused() -> None:
    with pytest.raises(DecodeError):
        text_of(field(9, field(1, b"k") + b"\x12\x7f" + b"x" * ATTRIBUTE_BYTES))
    with pytest.raises(DecodeError):
        text_of(attribute("k", b"\x0a" + b"\xff" * ATTRIBUTE_BYTES))


def test_what_is_cut_keeps_the_last_of_what_is_there_twice() -> None:
    twice = any_value(LONG).SerializeToString() + any_value([1] * 9_000).SerializeToString()

    assert attributes_of(attribute("k", twice))["k"].startswith("[1, 1, 1")


@pytest.mark.parametrize("place", ["first", "last"])
def test_of_events_without_end_the_last_are_looked_at_and_the_first(place: str) -> None:
    others = [event(f"step {number}", {"note": "x" * 100}) for number in range(3_000)]
    error = event("exception", {"exception.message": "no space left"})
    events = [error, *others] if place == "first" else [*others, error]

    assert "no space left" in text_of(span("pay", events=events).SerializeToString())
