from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from google.protobuf.message import DecodeError
from hypothesis import example, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from otel_embedder.text.errors.error_text import ErrorText, Part, timeless, typed
from otel_embedder.text.hiding.secrets import Secrets
from otel_embedder.text.options import DEFAULT_SECRET_KEYS
from tests.support.cpu import cpu_seconds
from tests.support.otlp_samples import Value, event, field, varint

if TYPE_CHECKING:
    from collections.abc import Mapping

JAVA = """com.acme.ShipError: parcel not sent
\tat com.acme.Ship.send(Ship.java:41)
Caused by: java.net.SocketTimeoutException: connect timed out
\tat com.acme.Store.take(Store.java:7)
"""
PYTHON = """Traceback (most recent call last):
  File "/srv/store.py", line 7, in take
    connect(password=word)
socket.timeout: timed out

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/srv/ship.py", line 41, in send
acme.ShipError: parcel not sent
"""
PRIVATE_KEY = (
    "-----BEGIN PRIVATE KEY-----\n" + "MIIEvQIBADANBgkq\n" * 9 + "-----END PRIVATE KEY-----"
)


@pytest.fixture(name="text")
def _text() -> ErrorText:
    return ErrorText(Secrets(DEFAULT_SECRET_KEYS, by_look=True))


def exception(**attributes: Value) -> Span.Event:
    return event("exception", {f"exception.{key}": value for key, value in attributes.items()})


def parts(text: ErrorText, message: str, *events: Span.Event) -> list[tuple[str, ...]]:
    encoded = [each.SerializeToString() for each in events]
    return [tuple(part) for part in text.parts(message.encode(), encoded)]


def of_event(text: ErrorText, name: str, attributes: Mapping[str, Value]) -> list[tuple[str, ...]]:
    return [tuple(part) for part in text.of_event(event(name, attributes).SerializeToString())]


def test_the_status_comes_first_then_the_last_event(text: ErrorText) -> None:
    said = parts(
        text,
        "declined",
        exception(type="DnsError", message="no bank.example"),
        exception(type="BankError", message="no answer"),
    )

    assert said == [("", "declined"), ("BankError", "no answer"), ("DnsError", "no bank.example")]


def test_nothing_is_said_where_nothing_was(text: ErrorText) -> None:
    assert parts(text, "", event("retry"), exception(), event("log", {"message": "done"})) == []


def test_what_one_says_that_came_before_is_not_said_again(text: ErrorText) -> None:
    failed = exception(type="a.b.BankError", message="no funds", stacktrace="BankError: no funds")

    assert parts(text, "BankError: no funds", failed, failed) == [("", "BankError: no funds")]
    assert parts(text, "no funds", failed, failed) == [
        ("", "no funds"),
        ("a.b.BankError", "no funds"),
    ]


def test_a_message_says_a_cause_that_is_in_it(text: ErrorText) -> None:
    wrapped = exception(
        type="RuntimeException",
        message="java.io.IOException: no space",
        stacktrace="RuntimeException: java.io.IOException: no space\n\tat a.b(C.java:1)\n"
        "Caused by: java.io.IOException: no space\n\tat a.b(C.java:2)",
    )

    assert parts(text, "", wrapped) == [("RuntimeException", "java.io.IOException: no space")]


def test_an_error_of_no_certain_type_is_not_said_twice(text: ErrorText) -> None:
    failed = exception(type="14", message="gone", stacktrace="Error: gone\n    at a (b.js:1:2)")

    assert parts(text, "", failed) == [("14", "gone")]


@pytest.mark.parametrize(
    ("trace", "cause"),
    [
        (JAVA, ("java.net.SocketTimeoutException", "connect timed out")),
        (PYTHON, ("socket.timeout", "timed out")),
    ],
    ids=["java", "python"],
)
def test_a_cause_is_found_in_the_stack_trace(
    text: ErrorText, trace: str, cause: tuple[str, str]
) -> None:
    failed = exception(type="acme.ShipError", message="parcel not sent", stacktrace=trace)
    only_trace = exception(stacktrace=trace)
    as_message = exception(type="acme.ShipError", message=f"parcel not sent\n{trace}")

    assert parts(text, "", failed) == [("acme.ShipError", "parcel not sent"), cause]
    assert parts(text, "", only_trace)[0][0].endswith("acme.ShipError")
    assert parts(text, "", only_trace)[0][1] == "parcel not sent"
    assert parts(text, "", only_trace)[1:] == [cause]
    assert cause in parts(text, "", as_message)
    assert cause in parts(text, f"parcel not sent\n{trace}")


@pytest.mark.parametrize(
    ("name", "attributes", "said"),
    [
        ("error", {"message": "no shelf"}, [("", "no shelf")]),
        ("error", {"error.kind": "StoreError", "message": "full"}, [("StoreError", "full")]),
        ("log", {"event": "error", "error.object": "StoreError: full"}, [("StoreError", "full")]),
        (
            "log",
            {"event": "error", "message": "not sent", "stack": JAVA},
            [
                ("", "not sent"),
                ("com.acme.ShipError", "parcel not sent"),
                ("java.net.SocketTimeoutException", "connect timed out"),
            ],
        ),
        ("log", {"log.severity": "FATAL", "log.message": "full"}, [("", "full")]),
        ("failure", {"reason": "full"}, [("", "full")]),
        ("error", {"detail": "full", "err.message": "no room"}, [("", "no room")]),
        ("SaveFailed", {"description": "full"}, [("", "SaveFailed"), ("", "full")]),
        ("no shelf in Lyon", {"level": "ERROR"}, [("", "no shelf in Lyon")]),
        (
            "not sent at all",
            {"level": "ERROR", "error": "connect: timed out"},
            [("", "not sent at all"), ("", "connect: timed out")],
        ),
        ("log", {"level": "error", "msg": "full", "error": True}, [("", "full")]),
        (
            "error",
            {"message": "not sent", "error.type": "StoreError", "error.message": "full"},
            [("", "not sent"), ("StoreError", "full")],
        ),
        ("connection_error", {}, [("", "connection_error")]),
        ("connection_error", {"message": "full"}, [("", "full")]),
        ("retry", {"error.type": "timeout"}, [("timeout", "")]),
        ("error", {}, []),
        ("error", {"message": ["a", 1]}, [("", "[a, 1]")]),
        ("log", {"message": "full", "level": "WARN"}, []),
        ("gen_ai.choice", {"message": "full", "error.type": "timeout"}, []),
    ],
)
def test_events_of_many_kinds_tell_of_errors(
    text: ErrorText, name: str, attributes: Mapping[str, Value], said: list[tuple[str, str]]
) -> None:
    assert of_event(text, name, attributes) == said


@pytest.mark.parametrize(
    ("told", "part"),
    [
        ("a.b.BankError: no funds", ("a.b.BankError", "no funds")),
        ("Bank::Error: no funds: 7", ("Bank::Error", "no funds: 7")),
        ("Acme\\BankError: no funds", ("Acme\\BankError", "no funds")),
        ("socket.timeout: timed out", ("socket.timeout", "timed out")),
        ("KeyError", ("KeyError", "")),
        ("Net.SocketException (111): refused", ("Net.SocketException", "refused")),
        ("TypeError [ERR_ARG]: bad", ("TypeError", "bad")),
        ("AggregateError [ECONNREFUSED]:", ("AggregateError", "ECONNREFUSED")),
        ("[Error: no funds]", ("Error", "no funds")),
        ("no funds", ("", "no funds")),
        ("connect: refused", ("", "connect: refused")),
        ("rpc error: code = 5", ("", "rpc error: code = 5")),
        ("http://bank.example: gone", ("", "http://bank.example: gone")),
    ],
)
def test_a_type_is_told_from_its_message(told: str, part: tuple[str, str]) -> None:
    assert typed(told) == part


@pytest.mark.parametrize(
    ("type_", "short"),
    [("a.b.C", "C"), ("A\\B\\C", "C"), ("a::b::C", "C"), ("C", "C"), ("", "")],
)
def test_a_short_type_has_no_package(type_: str, short: str) -> None:
    assert Part(type_, "").short_type == short


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("no funds", [("", "no funds")]),
        (
            "not sent; nested exception is a.b.BankError: no funds",
            [("", "not sent"), ("a.b.BankError", "no funds")],
        ),
        (
            "threw [not sent; nested exception is a.BankError: no funds] with root cause",
            [("", "threw [not sent"), ("a.BankError", "no funds")],
        ),
        ("not sent ---> A.B: late ---> C: no", [("", "not sent"), ("A.B", "late"), ("C", "no")]),
        ("not sent (caused by: BankError: late)", [("", "not sent"), ("BankError", "late)")]),
        ("not sent. Inner exception: A.B: late", [("", "not sent"), ("A.B", "late")]),
        ("not sent, original error was: late", [("", "not sent"), ("", "late")]),
        (
            "all failed; nested: StoreError[full]; nested: late",
            [("", "all failed"), ("", "StoreError[full"), ("", "late")],
        ),
        ("Cause: a.b.SqlError: late", [("", ""), ("a.b.SqlError", "late")]),
        ("(Caused by NameError('no bank'))", [("", "(Caused by NameError('no bank'))")]),
    ],
)
def test_a_message_may_tell_its_causes(message: str, said: list[tuple[str, str]]) -> None:
    assert [*Part("", message).split()] == said


def test_a_secret_is_hidden_in_every_part(text: ErrorText) -> None:
    said = parts(
        text,
        "login failed: password=hunter2x",
        exception(
            type="LoginError",
            message=f"bad key:\n{PRIVATE_KEY}",
            stacktrace=f"LoginError: bad key\n\tat a.b(C.java:1)\n"
            f"Caused by: KeyError: password=hunter3x\nand {PRIVATE_KEY}\n\tat a.b(C.java:2)",
        ),
        event(
            "log", {"level": "ERROR", "message": "token: hunter4x", "error": "Password: hunter5x"}
        ),
    )

    assert "hunter" not in str(said)
    assert "MIIE" not in str(said)
    assert str(said).count("<secret>") == 6


def test_of_a_long_message_the_cause_at_its_end_is_read(text: ErrorText) -> None:
    message = f"{'insert into orders ' * 900}; nested exception is a.b.BankError: no funds"

    [(_, said)] = parts(text, message)

    assert said.startswith("insert into orders insert")
    assert said.endswith("nested exception is a.b.BankError: no funds")
    assert len(said) < 4_096


def test_where_a_long_message_is_cut_no_half_secret_is_left(text: ErrorText) -> None:
    for length in range(1_500, 2_500, 100):
        message = f"{'a ' * (length // 2)}{PRIVATE_KEY} {'b ' * 3_000}"

        assert "MIIE" not in str(parts(text, message))


def test_of_a_long_stack_trace_the_causes_are_read(text: ErrorText) -> None:
    frames = "".join(f"\tat com.acme.Ship.send(Ship.java:{line})\n" for line in range(600))
    java = f"com.acme.ShipError: not sent\n{frames}Caused by: a.StoreError: full\n{frames}"
    files = "".join(f'  File "/srv/{line}.py", line {line}, in send\n' for line in range(600))
    begin, link = "Traceback (most recent call last):\n", "During handling of the above exception"
    python = (
        f"{begin}{files[:9000]}\nStoreError: full\n\n{link}, another exception occurred:\n\n"
        f"{begin}{files}ShipError: not sent\n"
    )

    assert parts(text, "", exception(stacktrace=java)) == [
        ("com.acme.ShipError", "not sent"),
        ("a.StoreError", "full"),
    ]
    assert parts(text, "", exception(stacktrace=python)) == [
        ("ShipError", "not sent"),
        ("StoreError", "full"),
    ]


@pytest.mark.parametrize("is_last", [False, True], ids=["as an SDK writes it", "as a Collector"])
def test_an_event_without_its_time_is_the_same_event(text: ErrorText, *, is_last: bool) -> None:
    made = exception(type="BankError", message="no funds")
    made.ClearField("time_unix_nano")
    others, at = made.SerializeToString(), Span.Event(time_unix_nano=7).SerializeToString()
    encoded = others + at if is_last else at + others

    assert timeless(encoded) == others
    assert text.of_event(timeless(encoded)) == text.of_event(encoded) != ()
    assert timeless(b"\x12\x01a") == b"\x12\x01a"


LOOKALIKES = st.one_of(
    st.binary(max_size=12), st.just(b"\x09" + b"exceptio"), st.just(b"\x09" * 20)
)
FIELDS = st.one_of(
    st.builds(field, st.sampled_from((1, 2, 3, 5)), LOOKALIKES),
    st.builds(lambda number: varint(number << 3 | 1) + b"\x09" * 8, st.sampled_from((1, 7))),
    st.builds(lambda value: b"\x20" + varint(value), st.integers(0, 2**64 - 1)),
    st.just(field(2, b"exception")),
    st.just(field(3, field(1, b"exception.message") + field(2, field(1, b"no funds\x09 of 1234")))),
    LOOKALIKES,
)


@settings(deadline=None, max_examples=300)
@given(st.lists(FIELDS, max_size=5))
@example([b"\x09a"])
def test_an_event_of_any_bytes_says_the_same_without_its_time(fields: list[bytes]) -> None:
    text, encoded = ErrorText(Secrets(DEFAULT_SECRET_KEYS, by_look=True)), b"".join(fields)
    try:
        said = text.of_event(encoded)
    except DecodeError:
        with pytest.raises(DecodeError):
            text.of_event(timeless(encoded))
    else:
        assert text.of_event(timeless(encoded)) == said


def test_what_is_no_event_is_an_error(text: ErrorText) -> None:
    with pytest.raises(DecodeError):
        text.of_event(b"\x12\x05")


@pytest.mark.parametrize(
    "word",
    [
        "a",
        ".",
        "a.",
        "a: ",
        " ",
        "[",
        "; nested exception is ",
        "caused by: ",
        "Cause: a.",
        "\n",
        "\n\tat a(",
    ],
)
def test_time_grows_with_the_length(text: ErrorText, word: str) -> None:
    long = word * 100_000
    errors = [exception(message=long, stacktrace=long).SerializeToString()] * 20

    def work() -> None:
        text.parts(long.encode(), errors)
        Part("", long[:100_000]).split()
        typed(long)

    assert cpu_seconds(work) < 4
