from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from otel_embedder.otlp.remembered import ENTRY_BYTES, MAX_REMEMBERED_BYTES, Remembered
from otel_embedder.text.options import DEFAULT_SECRET_KEYS, DEFAULT_VOLATILE_KEYS, RenderOptions
from otel_embedder.text.renderer import (
    MAX_ERROR_CHARACTERS,
    MAX_SHORT_CHARACTERS,
    MAX_TEXT_CHARACTERS,
    MAX_VALUE_CHARACTERS,
    Renderer,
    Saying,
)
from tests.support.otlp_samples import (
    START,
    Value,
    any_value,
    event,
    field,
    messages,
    resource,
    span,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from random import Random

ERROR = Status.STATUS_CODE_ERROR
OK = Status.STATUS_CODE_OK

# Every option, each with another value than its own.
OTHER_OPTIONS = {
    "template": RenderOptions(template="{operation}"),
    "exact_durations": RenderOptions(exact_durations=True),
    "mask_values": RenderOptions(mask_values=False),
    "volatile_keys": RenderOptions(volatile_keys=("thread.*",)),
    "secret_keys": RenderOptions(secret_keys=("authorization",), profile="template"),
    "mask_secrets": RenderOptions(mask_secrets=False, profile="template"),
}
USUAL = RenderOptions(profile="template")

ATTRIBUTES = st.dictionaries(
    st.text(max_size=5), st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(), max_size=9
)


def rendered(made: Span, service: str = "shop", options: RenderOptions | None = None) -> str:
    return Renderer(options or RenderOptions()).render(made.SerializeToString(), service).content


def rendered_attributes(
    attributes: Mapping[str, Value], options: RenderOptions | None = None
) -> str:
    return (
        rendered(span(attributes=attributes), "shop", options).partition("attributes:")[2].strip()
    )


def service_of(made: Resource) -> str:
    return Renderer(RenderOptions()).service(made.SerializeToString())


def failed(message: str = "", *events: Span.Event) -> Span:
    return span("pay", code=ERROR, message=message, events=events)


def exception(type_: str, message: str) -> Span.Event:
    return event("exception", {"exception.type": type_, "exception.message": message})


def test_the_example_of_the_specification_reads_as_it_should() -> None:
    renderer = Renderer(RenderOptions())
    attributes: dict[str, Value] = {
        "http.status_code": 500,
        "error.message": "connection timeout",
        "repo": "fastblocks",
    }
    made = span("process_repository", attributes, code=ERROR, milliseconds=2500)

    service = renderer.service(resource("mahavishnu").SerializeToString())
    text = renderer.render(made.SerializeToString(), service)

    assert text.content == (
        "mahavishnu process_repository ERROR in 2500ms attributes: "
        "error.message=connection timeout http.status_code=500 repo=fastblocks"
    )


@pytest.mark.parametrize(("code", "is_error"), [(ERROR, True), (OK, False), (0, False)])
def test_a_text_tells_whether_its_span_failed(
    code: Status.StatusCode.ValueType, *, is_error: bool
) -> None:
    text = Renderer(RenderOptions()).render(span(code=code).SerializeToString(), "shop")

    assert text.is_error is is_error


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (span(), "UNSET"),
        (span(code=OK), "OK"),
        (span(code=ERROR), "ERROR"),
        (span(message="odd"), "UNSET odd"),
        (Span(status=Status()), "UNSET"),
    ],
    ids=["none", "ok", "error", "message only", "empty"],
)
def test_every_status_has_its_word(made: Span, words: str) -> None:
    assert rendered(made, options=RenderOptions(template="{status}")) == words


@pytest.mark.parametrize("code", [b"\x18\x07", b"\x18" + b"\xff" * 9 + b"\x01"], ids=["7", "-1"])
def test_a_status_code_of_a_later_version_reads_as_unset(code: bytes) -> None:
    renderer = Renderer(RenderOptions(template="{status}"))

    assert renderer.render(field(15, code), "shop").content == "UNSET"


def test_the_status_message_stands_straight_after_the_status() -> None:
    assert rendered(failed("card declined")).startswith("shop pay ERROR card declined in 2500ms")


def test_the_exception_stands_straight_after_the_status_message() -> None:
    made = failed("card declined", exception("BankError", "no funds"))

    assert rendered(made).startswith("shop pay ERROR card declined BankError no funds in 2500ms")


def test_the_last_exception_goes_first() -> None:
    made = failed("", exception("A", "first"), exception("B", "second"), event("retry"))

    assert rendered(made).startswith("shop pay ERROR B second A first in")


def test_the_same_exception_recorded_twice_reads_like_once() -> None:
    once = exception("BankError", "no funds in 4711-AB")

    assert rendered(failed("", once, once)) == rendered(failed("", once))


def test_the_cause_is_told_that_only_the_stack_trace_has() -> None:
    trace = "a.BankError: declined\n\tat a.b(C.java:1)\nCaused by: a.NetError: 10.0.0.1 is away"
    attributes = {"exception.type": "a.BankError", "exception.message": "declined"}
    made = failed("", event("exception", {**attributes, "exception.stacktrace": trace}))

    assert "ERROR a.BankError declined a.NetError <ip> is away in" in rendered(made)


def test_of_a_long_message_the_end_is_told() -> None:
    made = failed("order " * 200 + "was not saved")
    caused = failed("order " * 200 + "; nested exception is a.NetError: bank is away")

    for each, end in ((made, "order was not saved"), (caused, "order a.NetError bank is away")):
        text = rendered(each, options=RenderOptions(template="{status}"))

        assert text.startswith("ERROR order order")
        assert " ... " in text
        assert text.endswith(end)
        assert len(text) <= len("ERROR ") + MAX_ERROR_CHARACTERS


def test_long_errors_leave_room_for_their_causes() -> None:
    long = exception("a.BankError", "declined " * 100)
    made = failed("bank " * 200, exception("a.NetError", "host is away"), long)

    text = rendered(made, options=RenderOptions(template="{status}"))

    assert text.endswith("a.NetError host is away")
    assert "a.BankError declined" in text
    assert len(text) <= len("ERROR ") + MAX_ERROR_CHARACTERS


def test_nothing_is_said_twice() -> None:
    made = failed("BankError: no funds", exception("BankError", "no funds"))

    assert rendered(made).startswith("shop pay ERROR BankError: no funds in")


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ({}, "ERROR in"),
        ({"exception.type": "BankError"}, "ERROR BankError in"),
        ({"exception.message": "no funds"}, "ERROR no funds in"),
        ({"exception.message": 42, "exception.type": None}, "ERROR null 42 in"),
    ],
    ids=["neither", "type", "message", "other kinds"],
)
def test_an_exception_may_lack_a_part(attributes: Mapping[str, Value], words: str) -> None:
    made = failed("", event("exception", attributes))

    assert words in rendered(made)


@pytest.mark.parametrize(
    ("telling", "words"),
    [
        (event("exception.thrown", {"exception.type": "A"}), "A"),
        (event("error", {"message": "no funds"}), "no funds"),
        (event("log", {"severity_text": "ERROR", "body": "no funds"}), "no funds"),
    ],
    ids=["other name", "error", "log"],
)
def test_an_event_of_another_kind_may_tell_the_error(telling: Span.Event, words: str) -> None:
    assert rendered(failed("", telling)).startswith(f"shop pay ERROR {words} in")


@pytest.mark.parametrize(
    "other",
    [
        event("log", {"severity_text": "INFO", "body": "exception"}),
        event("gen_ai.choice", {"message": "exception"}),
        event("feature_flag.evaluation", {"error.type": "exception"}),
    ],
    ids=["info", "gen_ai", "feature flag"],
)
def test_an_event_that_only_mentions_an_exception_is_none(other: Span.Event) -> None:
    assert rendered(failed("", other)).startswith("shop pay ERROR in")


def test_an_attribute_that_mentions_an_exception_is_no_event() -> None:
    assert rendered_attributes({"a": "exception"}) == "a=exception"


def test_the_words_of_an_error_are_masked() -> None:
    made = failed("order 12345678", exception("BankError", "10.0.0.1 refused"))

    assert "ERROR order <number> BankError <ip> refused in" in rendered(made)


def test_an_exception_belongs_to_its_span_only() -> None:
    renderer = Renderer(RenderOptions(template="{status}"))
    renderer.render(failed("declined", exception("A", "a")).SerializeToString(), "shop")

    assert (
        renderer.render(failed("declined").SerializeToString(), "shop").content == "ERROR declined"
    )


@settings(deadline=None)
@given(ATTRIBUTES, st.randoms())
def test_the_order_of_attributes_never_matters(
    attributes: dict[str, Value], random: Random
) -> None:
    shuffled = dict(random.sample([*attributes.items()], len(attributes)))

    assert rendered_attributes(attributes) == rendered_attributes(shuffled)


def test_attributes_are_sorted_by_key_even_where_one_begins_another() -> None:
    attributes: dict[str, Value] = {"a.b": 1, "a": 2, "a!": 3, "ab": 4, "a b": 5, "B": 6}

    assert rendered_attributes(attributes) == "B=6 a=2 a b=5 a!=3 a.b=1 ab=4"


def test_what_is_long_stands_behind_what_is_short() -> None:
    prompt, answer = "What is in stock? " * 20, "[1, 2]; " * 17
    attributes: dict[str, Value] = {"a": prompt, "b": 1, "c": answer, "d": 2, "\U0001f525": 3}

    text = rendered_attributes(attributes)

    assert text.startswith("b=1 d=2 \U0001f525=3 a=What is in stock? What")
    assert text.endswith("c=" + answer.strip())
    assert text == rendered_attributes(dict(reversed(attributes.items())))


def test_a_value_is_long_by_what_the_text_has_of_it() -> None:
    masked = "6f1d5d4e-1c0a-4d5e-9b1a-2f3c4d5e6f70 " * 9
    at_most = "x" * MAX_SHORT_CHARACTERS

    text = rendered_attributes({"a": masked, "b": at_most, "c": f"{at_most}x", "d": 1})

    assert sorted("abcd", key=lambda key: text.index(f"{key}=")) == [*"abdc"]


def test_every_kind_of_value_renders() -> None:
    attributes: dict[str, Value] = {
        "array": ["a", 1],
        "bool": True,
        "bytes": b"123",
        "double": 0.5,
        "int": -7,
        "map": {"k": "v"},
        "nothing": None,
        "string": "text",
    }

    assert rendered_attributes(attributes) == (
        "array=[a, 1] bool=true bytes=<3 bytes> double=0.5 "
        "int=-7 map={k=v} nothing=null string=text"
    )


def test_an_attribute_without_a_key_renders() -> None:
    assert rendered_attributes({"": "value", "a": "b"}) == "=value a=b"


def test_ids_are_masked_in_values_and_in_the_operation() -> None:
    made = span("GET /orders/4711", {"peer": "10.0.0.1"})

    assert rendered(made) == "shop GET /orders/<id> UNSET in 2500ms attributes: peer=<ip>"


def test_masks_may_be_switched_off() -> None:
    options = RenderOptions(mask_values=False)

    assert rendered_attributes({"peer": "10.0.0.1"}, options) == "peer=10.0.0.1"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("http.status_code", 503),
        ("http.response.status_code", 404),
        ("rpc.grpc.status_code", 14),
        ("server.address", "db:5432"),
        ("telemetry.sdk.version", "1.27.3"),
    ],
)
def test_status_codes_ports_and_versions_stay(key: str, value: int | str) -> None:
    assert rendered_attributes({key: value}) == f"{key}={value}"


@pytest.mark.parametrize(
    "key",
    ["thread.id", "thread.name", "process.pid", "net.peer.port", "user.id", "user_id", "a.uuid"],
)
def test_volatile_keys_are_left_out(key: str) -> None:
    assert rendered_attributes({key: "a", "kept": "b"}) == "kept=b"


def test_volatile_keys_can_be_chosen() -> None:
    options = RenderOptions(volatile_keys=("secret.*", "pin"))
    attributes: dict[str, Value] = {"secret.a": 1, "pin": 2, "pinned": 3, "thread.id": 4}

    assert rendered_attributes(attributes, options) == "pinned=3 thread.id=4"


def test_no_key_is_left_out_if_none_is_volatile() -> None:
    assert rendered_attributes({"thread.id": 4}, RenderOptions(volatile_keys=())) == "thread.id=4"


def test_durations_are_rounded() -> None:
    assert "in 2500ms" in rendered(span(milliseconds=2_700.123))


def test_durations_are_exact_on_request() -> None:
    options = RenderOptions(exact_durations=True)

    assert "in 2700.123ms" in rendered(span(milliseconds=2_700.123), options=options)


@pytest.mark.parametrize(
    ("start", "end", "words"),
    [
        (0, 0, "?ms"),
        (0, START, "?ms"),
        (START, 0, "?ms"),
        (START, START - 1, "?ms"),
        (START, START, "0ms"),
        (1, 2**64 - 1, "630000000ms"),
    ],
)
def test_odd_times_have_words(start: int, end: int, words: str) -> None:
    made = Span(name="pay", start_time_unix_nano=start, end_time_unix_nano=end)

    assert f"in {words}" in rendered(made)


def test_a_span_of_nothing_has_sensible_words() -> None:
    assert rendered(Span(), service_of(Resource())) == (
        "unknown_service unknown_operation UNSET in ?ms attributes:"
    )


@pytest.mark.parametrize(
    ("made", "service"),
    [
        (resource("checkout"), "checkout"),
        (resource("checkout", {"a": 1, "b": 2}), "checkout"),
        (resource(None, {"service": "a", "service.name.x": "b"}), "unknown_service"),
        (resource(""), "unknown_service"),
        (resource(" \n "), "unknown_service"),
        (resource(None, {"service.name": None}), "unknown_service"),
        (resource(None, {"service.name": 7}), "7"),
    ],
    ids=["alone", "among others", "look-alikes", "empty", "blank", "no value", "a number"],
)
def test_the_service_is_named_by_its_resource(made: Resource, service: str) -> None:
    assert service_of(made) == service


def test_a_blank_name_is_unknown() -> None:
    assert "unknown_operation" in rendered(span(" \n"))


def test_what_is_not_utf_8_renders_all_the_same() -> None:
    attribute = field(1, b"k\xff") + field(2, field(1, b"v\xff"))
    encoded = field(5, b"pay\xff") + field(9, attribute) + field(15, field(2, b"m\xff"))
    service = field(1, field(1, b"service.name") + field(2, field(1, b"shop\xff")))
    renderer = Renderer(RenderOptions())

    text = renderer.render(encoded, renderer.service(service))

    assert text.content == "shop\ufffd pay\ufffd UNSET m\ufffd in ?ms attributes: k\ufffd=v\ufffd"


def test_braces_in_a_span_are_not_read_as_a_template() -> None:
    assert rendered(span("{service} {", {"{k}": "{v} {0}"}), "{1}").startswith("{1} {service} { U")
    assert rendered_attributes({"{k}": "{v} {0}"}) == "{k}={v} {0}"


def test_control_characters_do_not_take_the_separators_place() -> None:
    assert rendered_attributes({"a": "b\0c"}) != rendered_attributes({"a": "b=c"})


def test_what_is_not_a_span_is_an_error() -> None:
    with pytest.raises(DecodeError):
        Renderer(RenderOptions()).render(b"\x0a\x05", "shop")


def test_what_is_not_a_resource_is_an_error() -> None:
    with pytest.raises(DecodeError):
        Renderer(RenderOptions()).service(b"\x0a\x05")


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{operation}", "pay"),
        ("{status}: {operation} of {service}, {duration_ms}", "UNSET: pay of shop, 2500"),
        ("[{k}: {v}, ...] {operation}", "[a: 1, b: 2] pay"),
        ("{k}{v}...", "a1b2"),
    ],
)
def test_the_template_decides_how_a_span_reads(template: str, text: str) -> None:
    made = span("pay", {"b": 2, "a": 1})

    assert rendered(made, options=RenderOptions(template=template)) == text


def test_a_wrong_template_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="no field"):
        Renderer(RenderOptions(template="{nonsense}"))


def test_every_option_makes_another_version_of_the_text() -> None:
    chosen = {option.name for option in fields(RenderOptions)} - {"profile"}
    assert chosen == OTHER_OPTIONS.keys()
    versions = {options.version() for options in OTHER_OPTIONS.values()}

    assert len(versions | {USUAL.version()}) == len(OTHER_OPTIONS) + 1


def test_the_same_options_make_the_same_version_of_the_text() -> None:
    spelt_out = RenderOptions(
        template="{service} {operation} {status} in {duration_ms}ms attributes: {k}={v} ...",
        exact_durations=False,
        mask_values=True,
        volatile_keys=DEFAULT_VOLATILE_KEYS,
        secret_keys=DEFAULT_SECRET_KEYS,
        mask_secrets=True,
        profile="template",
    )

    assert spelt_out.version() == USUAL.version() == "template-4"


def test_a_renderer_knows_the_version_of_its_text() -> None:
    options = RenderOptions(mask_values=False)

    assert Renderer(options).text_version == options.version()


@pytest.mark.parametrize(
    "attributes",
    [
        dict.fromkeys(map(str, range(100_000)), "x" * 20),
        {"key": "x" * 10_000_000},
        {"k" * 100_000: "value"},
        {"list": ["x" * 100] * 10_000},
    ],
    ids=["100,000 attributes", "a value of 10 MB", "a long key", "a long list"],
)
def test_a_text_stays_short_however_large_the_span(attributes: Mapping[str, Value]) -> None:
    assert len(rendered(span(attributes=attributes))) <= MAX_TEXT_CHARACTERS


def test_a_long_name_message_and_service_leave_the_text_short() -> None:
    long = "x" * 1_000_000
    made = span(long, code=ERROR, message=long, events=[exception(long, f"{long}y")])

    assert len(rendered(made, service_of(resource(long)))) <= MAX_TEXT_CHARACTERS


def test_a_long_value_leaves_room_for_the_others() -> None:
    text = rendered_attributes({"a": "x " * 10_000, "b": "short"})

    assert text.startswith("b=short")
    assert len(text) <= MAX_VALUE_CHARACTERS + len("a= b=short")


def test_a_long_service_name_leaves_room_for_the_others() -> None:
    assert "pay" in rendered(span("pay"), service_of(resource("x" * 10_000)))


def test_a_value_nested_a_thousand_deep_renders() -> None:
    # Built by hand, for the official messages stop at a hundred.
    encoded = any_value("deep").SerializeToString()
    for _ in range(1_000):
        encoded = field(5, field(1, encoded))
    made = field(9, field(1, b"deep") + field(2, encoded))

    assert "deep=[[[[[...]]]]]" in Renderer(RenderOptions()).render(made, "shop").content


@settings(deadline=None)
@given(messages(Span, depth=4, unknown=True), messages(Resource, depth=4, unknown=True))
def test_any_span_renders_as_one_line_and_always_the_same(made: Span, of: Resource) -> None:
    renderer = Renderer(RenderOptions())
    encoded = made.SerializeToString()
    service = renderer.service(of.SerializeToString())

    text = renderer.render(encoded, service)

    assert len(text.content.splitlines()) == 1
    assert renderer.render(encoded, service) == text
    assert Renderer(RenderOptions()).render(encoded, service) == text


def test_the_same_bytes_are_read_once() -> None:
    read: list[bytes] = []
    remembered = Remembered[None](read.append)

    for encoded in (b"a", b"b", b"a", b"a"):
        remembered[encoded]

    assert read == [b"a", b"b"]


def test_no_more_is_remembered_than_allowed() -> None:
    remembered = Remembered(len)
    allowed = MAX_REMEMBERED_BYTES // (ENTRY_BYTES + 4)

    for number in range(allowed + 10):
        assert remembered[number.to_bytes(4)] == 4

    assert len(remembered) == 10


def test_what_is_large_is_not_remembered() -> None:
    remembered = Remembered(len)
    large = b"x" * (MAX_REMEMBERED_BYTES + 1)

    assert remembered[large] == len(large)
    assert large not in remembered


def sayings(made: Span, options: RenderOptions | None = None) -> dict[str, Saying]:
    renderer = Renderer(options or RenderOptions())
    return {saying.name: saying for saying in renderer.sayings(made.SerializeToString(), "shop")}


@settings(deadline=None)
@given(messages(Span, depth=4))
def test_a_text_says_what_its_parts_say(made: Span) -> None:
    encoded, renderer = made.SerializeToString(), Renderer(RenderOptions())
    service, operation, status, duration, *attributes = renderer.sayings(encoded, "shop")
    said = sorted(
        (len(saying.words) > MAX_SHORT_CHARACTERS, saying.name, saying.words)
        for saying in attributes
        if saying.words is not None
    )

    text = (
        f"{service.words} {operation.words} {status.words} in {duration.words}ms attributes: "
        + " ".join(f"{name}={words}" for _, name, words in said)
    )
    assert text[:MAX_TEXT_CHARACTERS].rstrip() == renderer.render(encoded, "shop").content


def test_a_part_has_its_value_as_it_is_and_as_the_text_has_it() -> None:
    made = span(
        "GET /item/7",
        {"enduser.email": "ann@shop.example", "retries": 3},
        code=ERROR,
        message="no answer from 10.0.0.7",
        milliseconds=2411,
        events=[exception("TimeoutError", "no answer from 10.0.0.7")],
    )

    said = {name: (saying.value, saying.words) for name, saying in sayings(made).items()}

    assert said == {
        "{service}": ("shop", "shop"),
        "{operation}": ("GET /item/7", "GET /item/<id>"),
        "{status}": (
            "ERROR no answer from 10.0.0.7 TimeoutError no answer from 10.0.0.7",
            "ERROR no answer from <ip> TimeoutError",
        ),
        "{duration_ms}": ("2411", "2500"),
        "enduser.email": ("ann@shop.example", "<email>"),
        "retries": ("3", "3"),
    }


def test_what_is_left_out_of_the_text_is_a_part_without_words() -> None:
    made = span(attributes={"thread.id": 7, "a": ""})

    said = sayings(made)

    assert (said["thread.id"].value, said["thread.id"].words) == ("7", None)
    assert said["a"].words == ""


def test_what_the_template_lacks_is_a_part_without_words() -> None:
    said = sayings(span(attributes={"a": 1}), RenderOptions(template="{operation} {duration_ms}"))

    assert [name for name, saying in said.items() if saying.words is None] == [
        *("{service}", "{status}", "a")
    ]


def test_an_attribute_that_is_not_read_is_a_part_without_words() -> None:
    said = sayings(span(attributes={f"{number:04}": "a" * 20 for number in range(1_000)}))

    left_out = [name for name, saying in said.items() if saying.words is None]
    assert left_out == [f"{number:04}" for number in range(1_000 - len(left_out), 1_000)]
    assert said["0999"].value == "a" * 20


def test_long_values_are_told_apart_by_what_is_not_read() -> None:
    one, other = (sayings(span(attributes={"a": "b" * 20_000 + end})) for end in "cd")

    assert one["a"].words == other["a"].words
    assert one["a"].encoded != other["a"].encoded


def test_values_that_read_alike_are_told_apart_by_their_bytes() -> None:
    one, other = sayings(span(attributes={"a": b"12"})), sayings(span(attributes={"a": b"34"}))

    assert one["a"].value == other["a"].value
    assert one["a"].encoded != other["a"].encoded
