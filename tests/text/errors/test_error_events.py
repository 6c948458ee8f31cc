from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from otel_embedder.text.errors.error_events import (
    HINT,
    MAX_EVENTS,
    MAX_NAME_BYTES,
    is_generic,
    plain,
    read,
    says_error,
    tells_error,
)
from tests.support.cpu import cpu_seconds
from tests.support.otlp_samples import Value, any_value

if TYPE_CHECKING:
    from collections.abc import Mapping


def tells(name: str, attributes: Mapping[str, Value]) -> bool:
    values = {
        plain(key.encode()): any_value(value).SerializeToString()
        for key, value in attributes.items()
    }
    return tells_error(name.encode(), values)


@pytest.mark.parametrize("key", ["exception.type", "Exception_Type", "exceptionType"])
def test_a_key_is_known_however_it_is_spelt(key: str) -> None:
    assert plain(key.encode()) == b"exceptiontype"


@pytest.mark.parametrize(
    ("name", "attributes"),
    [
        ("exception", {}),
        ("Exception", {}),
        ("error", {"message": "no shelf"}),
        ("ERROR", {}),
        ("connection_error", {}),
        ("shelf.ConnectionError", {}),
        ("retry failed", {}),
        ("failed to find a shelf", {}),
        ("panic: no shelf", {}),
        ("log", {"event": "error"}),
        ("log", {"event.name": "exception"}),
        ("log", {"log.severity": "ERROR"}),
        ("log", {"severity_text": "fatal"}),
        ("log", {"SeverityText": "Error2"}),
        ("log", {"level": "crit"}),
        ("no shelf", {"level": "ERROR"}),
        ("log", {"LogLevel": "Critical"}),
        ("log", {"levelname": "ERROR"}),
        ("log", {"severity_number": 17}),
        ("log", {"severityNumber": "21"}),
        ("log", {"error.object": "StoreError: no shelf"}),
        ("log", {"error.kind": "StoreError"}),
        ("log", {"exception.message": "no shelf"}),
        ("retry", {"error.type": "timeout"}),
        ("log", {"error": "no shelf"}),
        ("log", {"error": True}),
        ("log", {"err": {"kind": "StoreError"}}),
    ],
)
def test_an_event_may_tell_of_an_error(name: str, attributes: Mapping[str, Value]) -> None:
    assert tells(name, attributes)
    assert HINT.search("".join([name, *attributes]).encode())


@pytest.mark.parametrize(
    ("name", "attributes"),
    [
        ("message", {"message.type": "SENT", "message.id": 1}),
        ("log", {"message": "an error was expected"}),
        ("log", {"log.severity": "INFO", "message": "no error"}),
        ("log", {"level": "WARN"}),
        ("log", {"severity_number": 13}),
        ("log", {"severity_number": "many"}),
        ("log", {"event": "retry"}),
        ("log", {"error": False}),
        ("log", {"error": ""}),
        ("log", {"error": "false"}),
        ("log", {"error": None}),
        ("no error", {}),
        ("done without error", {}),
        ("error-prone"[6:], {}),
        ("terrors", {}),
        ("errors", {}),
        ("failover", {}),
        ("gen_ai.evaluation.result", {"error.type": "timeout"}),
        ("gen_ai.choice", {"level": "ERROR"}),
        ("feature_flag.evaluation", {"error.message": "no such flag"}),
        ("", {}),
    ],
)
def test_most_events_tell_of_none(name: str, attributes: Mapping[str, Value]) -> None:
    assert not tells(name, attributes)


def test_the_last_events_are_read_and_the_first() -> None:
    assert read("abc") == "cba"
    assert [*read(range(20))] == [19, 18, 17, 16, 15, 14, 13, 0]
    assert len(read(range(20))) == MAX_EVENTS


@pytest.mark.parametrize("name", ["", "log", "ERROR", " exception "])
def test_a_name_may_say_nothing(name: str) -> None:
    assert is_generic(name.encode())


def test_a_name_may_be_what_was_logged() -> None:
    assert not is_generic(b"no shelf")


@pytest.mark.parametrize("word", ["error", "Error", "a", " ", "no error", "_"])
def test_a_long_name_costs_little(word: str) -> None:
    name = (word * MAX_NAME_BYTES)[:MAX_NAME_BYTES].encode()

    assert cpu_seconds(lambda: [says_error(name) for _ in range(1_000)]) < 1
