from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from otel_embedder.proto import otlp_wire_pb2 as pb
from otel_embedder.text.options import RenderOptions
from otel_embedder.text.renderer import MAX_TEXT_CHARACTERS
from otel_embedder.text.rendering import new_renderer
from otel_embedder.text.words_renderer import MAX_BYTES_AT_HAND
from tests.support.otlp_samples import NOTHING, Value, event, messages, span

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path
    from random import Random

    from otel_embedder.text.renderer import Saying

ERROR, OK = Status.STATUS_CODE_ERROR, Status.STATUS_CODE_OK
CLIENT, SERVER = Span.SPAN_KIND_CLIENT, Span.SPAN_KIND_SERVER


def rendered(made: Span, service: str = "cart-service", profile: str | None = None) -> str:
    renderer = new_renderer(RenderOptions(profile=profile))
    return renderer.render(made.SerializeToString(), service).content


def plain(
    name: str,
    attributes: Mapping[str, Value] = NOTHING,
    *,
    code: Status.StatusCode.ValueType = Status.STATUS_CODE_UNSET,
    message: str = "",
    milliseconds: float = 5,
    events: Iterable[Span.Event] = (),
) -> Span:
    """Give a span that says no more than it is told."""
    made = span(
        name, attributes, code=code, message=message, milliseconds=milliseconds, events=events
    )
    made.ClearField("kind")
    return made


def of_kind(kind: Span.SpanKind.ValueType, made: Span) -> Span:
    made.kind = kind
    return made


def attributes_of(attributes: Mapping[str, Value], name: str = "x") -> str:
    """Give what a text has of attributes."""
    return rendered(plain(name, attributes)).removeprefix(f"cart service {name}").strip()


def exception(type_: str, message: str, stack: str = "") -> Span.Event:
    values = {
        "exception.type": type_,
        "exception.message": message,
        "exception.stacktrace": stack,
    }
    return event("exception", {key: value for key, value in values.items() if value})


def test_a_span_reads_as_words_of_what_went_wrong_then_of_what_was_done() -> None:
    made = plain(
        "hipstershop.CartService/AddItem",
        {"rpc.grpc.status_code": 14, "app.cart.items": "two books", "thread.id": 7},
        code=ERROR,
        message="connection to cart-db lost",
        milliseconds=1_500,
    )

    assert rendered(of_kind(CLIENT, made)) == (
        "failed: unavailable connection to cart db lost "
        "cart service hipstershop cart service add item client two books slow"
    )


@pytest.mark.parametrize(
    ("milliseconds", "words"),
    [(999, "cart service x"), (1_000, "cart service x slow"), (10_000, "cart service x very slow")],
)
def test_only_what_is_slow_says_how_long_it_took(milliseconds: int, words: str) -> None:
    assert rendered(plain("x", milliseconds=milliseconds)) == words


@pytest.mark.parametrize(
    ("code", "words"), [(OK, "cart service x"), (ERROR, "failed cart service x")]
)
def test_only_what_failed_says_so(code: Status.StatusCode.ValueType, words: str) -> None:
    assert rendered(plain("x", code=code)) == words


CONVENTIONS: dict[str, tuple[Span.SpanKind.ValueType, dict[str, Value], dict[str, Value]]] = {
    "HTTP client": (
        CLIENT,
        {
            "http.method": "GET",
            "http.url": "https://shop.example.com:8443/api/cart?full=yes",
            "http.status_code": 404,
            "net.peer.name": "shop.example.com",
            "net.peer.port": 8443,
            "http.user_agent": "curl/8.1",
        },
        {
            "http.request.method": "GET",
            "url.full": "https://shop.example.com:8443/api/cart?full=yes",
            "http.response.status_code": 404,
            "server.address": "shop.example.com",
            "server.port": 8443,
            "user_agent.original": "curl/8.1",
        },
    ),
    "HTTP server": (
        SERVER,
        {
            "http.method": "POST",
            "http.target": "/orders/42?gift=yes",
            "http.scheme": "https",
            "http.route": "/orders/{order}",
            "http.status_code": 500,
            "net.host.name": "shop.example.com",
            "http.client_ip": "203.0.113.9",
        },
        {
            "http.request.method": "POST",
            "url.path": "/orders/42",
            "url.query": "gift=yes",
            "url.scheme": "https",
            "http.route": "/orders/{order}",
            "http.response.status_code": 500,
            "server.address": "shop.example.com",
            "client.address": "203.0.113.9",
        },
    ),
    "database": (
        CLIENT,
        {
            "db.system": "mssql",
            "db.name": "shop",
            "db.statement": "SELECT * FROM order_items WHERE id = 42",
            "db.operation": "SELECT",
            "db.sql.table": "order_items",
            "db.user": "ann",
        },
        {
            "db.system.name": "microsoft.sql_server",
            "db.namespace": "shop",
            "db.query.text": "SELECT * FROM order_items WHERE id = 42",
            "db.operation.name": "SELECT",
            "db.collection.name": "order_items",
        },
    ),
    "messaging": (
        Span.SPAN_KIND_PRODUCER,
        {
            "messaging.system": "kafka",
            "messaging.destination": "orders",
            "messaging.operation": "publish",
            "messaging.kafka.consumer_group": "billing",
            "messaging.message_id": "42",
        },
        {
            "messaging.system": "kafka",
            "messaging.destination.name": "orders",
            "messaging.operation.type": "send",
            "messaging.consumer.group.name": "billing",
            "messaging.message.id": "42",
        },
    ),
    "RPC": (
        CLIENT,
        {
            "rpc.system": "grpc",
            "rpc.service": "shop.Payment",
            "rpc.method": "Charge",
            "rpc.grpc.status_code": 5,
        },
        {
            "rpc.system.name": "grpc",
            "rpc.method": "shop.Payment/Charge",
            "rpc.response.status_code": "NOT_FOUND",
        },
    ),
    "gen_ai": (
        CLIENT,
        {
            "gen_ai.system": "vertex_ai",
            "gen_ai.request.model": "gemini-pro",
            "gen_ai.usage.prompt_tokens": 1200,
            "gen_ai.usage.completion_tokens": 30,
        },
        {
            "gen_ai.provider.name": "gcp.vertex_ai",
            "gen_ai.request.model": "gemini-pro",
            "gen_ai.usage.input_tokens": 7,
            "gen_ai.usage.output_tokens": 8,
        },
    ),
}


@pytest.mark.parametrize("name", CONVENTIONS)
def test_old_and_new_conventions_read_the_same(name: str) -> None:
    kind, old, new = CONVENTIONS[name]
    texts = [rendered(of_kind(kind, plain("x", attributes))) for attributes in (old, new)]

    assert texts[0] == texts[1]
    assert len(texts[0].split()) > 4


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"thread.name": "pool-1", "a": "b"}, {"a": "b", "thread.name": "pool-2"}),
        ({"order.id": 1}, {"order.id": 2}),
        ({"orderId": "one"}, {"orderId": "two"}),
        ({"path": "/users/12/34"}, {"path": "/users/56/7"}),
        ({"at": "2026-11-29T01:02:03Z"}, {"at": "2025-01-01T11:12:13Z"}),
        ({"net.peer.port": 1}, {"net.peer.port": 2}),
        ({"peer": "10.0.0.1:5000"}, {"peer": "10.0.0.2:6000"}),
        ({"retries": 3}, {"retries": 4}),
        ({"cached": False}, {}),
        ({"note": "none"}, {}),
        ({"http.user_agent": "curl"}, {}),
    ],
)
def test_what_differs_from_span_to_span_is_not_in_the_text(
    first: dict[str, Value], second: dict[str, Value]
) -> None:
    assert rendered(plain("x", first)) == rendered(plain("x", second))


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ({"app.cart.empty": True}, "empty"),
        ({"db.statement": "SELECT * FROM carts WHERE id = 7"}, "select carts"),
        ({"http.url": "http://shop/api/cart?kind=gift"}, "api cart kind gift"),
        ({"colours": ["red", "blue"]}, "red blue"),
        ({"who": {"role": "buyer"}}, "role buyer"),
        ({"a": "one two", "b": "two one"}, "one two"),
        ({"a": "one two", "b": "two three"}, "one two two three"),
        ({"code": "com.shop.cart.EmptyCart"}, "empty cart"),
        ({"a": " ".join(f"w{'abcdefghijklmnopqrst'[n]}" for n in range(20))}, None),
    ],
)
def test_what_an_attribute_adds(attributes: dict[str, Value], words: str | None) -> None:
    added = attributes_of(attributes)

    assert len(added.split()) == 14 if words is None else added == words


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ({"http.status_code": 404}, "404 not found"),
        ({"http.status_code": "404"}, "404 not found"),
        ({"http.response.statusCode": 299}, "299"),
        ({"rpc.grpc.status_code": 0}, "ok"),
        ({"rpc.grpc.status_code": 14}, "unavailable"),
        ({"rpc.response.status_code": "DEADLINE_EXCEEDED"}, "deadline exceeded timeout"),
        ({"app.response_code": "DECLINED"}, "declined"),
    ],
)
def test_codes_come_first_in_words(attributes: dict[str, Value], words: str) -> None:
    assert rendered(plain("x", attributes)) == f"{words} cart service x"


@pytest.mark.parametrize(
    ("message", "events", "words"),
    [
        ("card declined", (), "card declined"),
        ("", (exception("shop.Broken", "it broke"),), "broken it broke"),
        ("it broke", (exception("shop.Broken", "it broke"),), "it broke broken"),
        ("", (exception("Broken", "Broken: twice"),), "broken twice"),
        ("", (exception("A", "one"), exception("B", "two")), "b two a one"),
        ("", (exception("A", "one"), exception("A", "one")), "a one"),
        ("status 503 from cart", (), "status service unavailable from cart"),
        ("500", (), None),
        ("dial tcp 10.1.2.3:5432: connection refused", (), "dial tcp 5432 connection refused"),
        ("read tcp 10.1.2.3:45432->10.1.2.4:5432: broken", (), "read tcp 5432 broken"),
        ("[::1]:6379 is gone", (), "6379 is gone"),
        ("in cart.go:123 at 12:34:56", (), "in cart go at"),
        (
            "Servlet.service() for servlet [a] in context with path [] threw exception [no seat]",
            (),
            "no seat",
        ),
        ("[OrderService.pay] no seat", (), "no seat"),
    ],
)
def test_what_the_error_says(
    message: str, events: tuple[Span.Event, ...], words: str | None
) -> None:
    made = plain("x", code=ERROR, message=message, events=events)
    expected = f"failed: {words} cart service x" if words else "failed cart service x"

    assert rendered(made) == expected


def test_the_innermost_cause_is_told_however_much_stands_before_it() -> None:
    words = " ".join(f"w{'abcdefghijklmnopqrst'[n % 20]}{'abcdefgh'[n // 20]}" for n in range(150))
    made = plain("x", code=ERROR, message=f"{words}; nested exception is a.b.DiskFull: no space")

    assert " disk full no space cart service x" in rendered(made)


def test_error_text_and_attributes_have_an_end() -> None:
    words = [f"w{'abcdefghijklmnopqrstuvwxyz'[n % 26]}{'abcdefgh'[n // 26]}" for n in range(200)]
    attributes: dict[str, Value] = {
        f"k{number:02}": " ".join(words[number : number + 10]) for number in range(0, 200, 10)
    }
    made = plain("x", attributes, code=ERROR, message=" ".join(words))

    error, _, rest = rendered(made).partition(" cart service x")

    assert len(error.split()) == 61
    assert len(rest.split()) <= 40


def test_no_span_is_without_words(tmp_path: Path) -> None:
    file = tmp_path / "errors.yaml"
    file.write_text("parts: [error]")

    assert rendered(plain("x"), profile=str(file)) == "unknown_operation"
    assert rendered(plain("12345"), service="7") == "7 12345"


def test_a_profile_of_ones_own_decides(tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(
        "parts: [operation, attributes, kind, duration]\n"
        "leave_out: [app.colour]\n"
        "keep: []\n"
        "glosses: {pay: pay charge}\n"
        "values: [{keys: [app.plan], words: {2: paid plan}}]\n"
        "duration: series\n"
        "attribute_words: 2\n"
    )
    attributes: dict[str, Value] = {
        "app.colour": "red",
        "app.plan": 2,
        "user.name": "ann of the shop",
    }
    made = plain("pay", attributes, milliseconds=1_510)

    assert rendered(of_kind(SERVER, made), profile=str(file)) == (
        "pay charge paid plan ann of server slow in 1600ms"
    )


SPANS = st.tuples(messages(Span, depth=4, unknown=True), messages(Resource, depth=4, unknown=True))


@given(SPANS, st.randoms(use_true_random=False))
def test_any_span_reads_as_one_line_whatever_the_order_of_its_attributes(
    made: tuple[Span, Resource], random: Random
) -> None:
    one, of = made
    renderer = new_renderer(RenderOptions())
    service = renderer.service(of.SerializeToString())
    text = renderer.render(one.SerializeToString(), service).content
    attributes = [*one.attributes]
    random.shuffle(attributes)
    one.ClearField("attributes")
    one.attributes.extend(attributes)

    assert 0 < len(text) <= MAX_TEXT_CHARACTERS
    assert text == " ".join(text.split())
    assert renderer.render(one.SerializeToString(), service).content == text
    assert new_renderer(RenderOptions()).render(one.SerializeToString(), service).content == text


@given(messages(Span, depth=4))
def test_whatever_a_text_says_is_explained(made: Span) -> None:
    renderer = new_renderer(RenderOptions())
    encoded = made.SerializeToString()
    said = {
        word
        for saying in renderer.sayings(encoded, "cart-service")
        for word in (saying.words or "").replace(":", "").split()
    }
    text = renderer.render(encoded, "cart-service").content

    assert {*text.replace(":", "").split()} <= said | {"unknown_operation"}


def sayings(made: Span) -> dict[str, Saying]:
    renderer = new_renderer(RenderOptions())
    return {saying.name: saying for saying in renderer.sayings(made.SerializeToString(), "shop")}


@pytest.mark.parametrize(
    ("attributes", "key", "words", "rule"),
    [
        ({"thread.id": 7}, "thread.id", None, "left out by thread.*"),
        ({"cached": False}, "cached", None, "says nothing"),
        ({"a": "x y"}, "a", "x y", "words"),
        ({"a": "x y", "b": "y x"}, "b", None, "said before"),
        ({"http.status_code": 404}, "http.status_code", "404 not found", "code"),
        ({"http.url": "http://a/b"}, "http.url", "b", "path"),
        ({"db.statement": "SELECT 1 FROM t"}, "db.statement", "select t", "query"),
    ],
)
def test_each_attribute_is_explained(
    attributes: dict[str, Value], key: str, words: str | None, rule: str
) -> None:
    saying = sayings(plain("z", attributes))[key]

    assert (saying.words, saying.rule) == (words, rule)


def test_what_is_not_a_span_is_an_error() -> None:
    with pytest.raises(DecodeError):
        new_renderer(RenderOptions()).render(b"\x0a\x05", "shop")


MALFORMED = b"\xff"
OF_MALFORMED = pb.AnyValue(array_value=pb.ArrayValue(values=[MALFORMED]).SerializeToString())


@pytest.mark.parametrize("value", [MALFORMED, OF_MALFORMED.SerializeToString()])
@pytest.mark.parametrize("key", ["thread.id", "cart.color"])
def test_a_malformed_value_is_an_error_whether_or_not_it_would_be_in_the_text(
    key: str, value: bytes
) -> None:
    attribute = pb.KeyValue(key=key.encode(), value=value).SerializeToString()
    encoded = pb.Span(attributes=[attribute]).SerializeToString()

    with pytest.raises(DecodeError):
        new_renderer(RenderOptions()).render(encoded, "cart")


def test_what_says_the_same_is_at_hand_whatever_is_new_in_what_is_left_out() -> None:
    renderer = new_renderer(RenderOptions())
    first, second = (
        span("pay", {"cart.color": "red", "thread.id": number}).SerializeToString()
        for number in (1, 2)
    )
    [before] = renderer.at_hand([first], "cart")
    rendering = renderer.render(first, "cart")

    assert before is None
    assert renderer.at_hand([first, second, second], "cart") == [rendering] * 3


SAME: Mapping[str, Value] = {"cart.color": "red", "port": 1, "thread.name": "x"}


@pytest.mark.parametrize(
    "other",
    [
        span("refund", SAME),
        span("pay", {**SAME, "cart.color": "blue"}),
        span("pay", {**SAME, "port": [1]}),
        span("pay", SAME, code=ERROR),
        span("pay", SAME, events=[event("exception")]),
        span("pay", {**SAME, "thread.name": "x" * MAX_BYTES_AT_HAND}),
    ],
    ids=["name", "value", "array", "status", "event", "size"],
)
def test_what_says_something_new_or_takes_long_is_not_at_hand(other: Span) -> None:
    renderer = new_renderer(RenderOptions())
    known = span("pay", SAME).SerializeToString()
    renderer.render(known, "cart")

    assert renderer.at_hand([other.SerializeToString()], "cart") == [None]
    assert renderer.at_hand([known], "checkout") == [None]
