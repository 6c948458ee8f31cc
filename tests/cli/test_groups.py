from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from otel_embedder.cli import EXIT_FAILED, EXIT_OK, EXIT_USAGE, run
from otel_embedder.search.stores.opening import open_store
from tests.support.failing import BEGIN, failed, failures
from tests.support.tiny_model import tiny_model_flags

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

HOUR = 3_600
NOW = int(time.time()) - BEGIN  # as `failed` counts


class Program:
    """Runs `groups` in this process, on a catalogue."""

    def __init__(self, url: str, capsys: pytest.CaptureFixture[str]) -> None:
        self.url = url
        self._capsys = capsys

    def __call__(self, *arguments: str, code: int = EXIT_OK) -> str:
        assert run(["groups", *arguments, "--catalogue", self.url]) == code
        captured = self._capsys.readouterr()
        return captured.out if code == EXIT_OK else captured.err

    def states(self, *arguments: str) -> dict[str, str]:
        """Give the states of groups by their services, in their order."""
        lines = self(*arguments, "--output", "json").splitlines()
        return {each["service"]: each["state"] for each in map(json.loads, lines)}

    def id_of(self, service: str) -> str:
        [line] = self("--service", service, "--output", "json").splitlines()
        id_: str = json.loads(line)["id"]
        return id_


@pytest.fixture(name="groups")
def _groups(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Program:
    url = f"sqlite:///{tmp_path / 'catalogue.db'}"
    store = open_store(url)
    old, new, hall = NOW - 40 * HOUR, NOW - HOUR, ("hall", "front")
    traces = [
        *(failed("a b c d", trace=n + 1, at=old + n, service="bank") for n in range(4)),
        *(failed("c d e f", trace=n + 9, at=new + n, service="cart", reached=()) for n in range(2)),
        failed("e f a b", trace=20, at=NOW - 30 * HOUR, service="hall", reached=hall),
    ]
    store.write(failures(1, *traces))
    store.close()
    return Program(url, capsys)


def test_new_groups_come_first_and_the_table_says_what_failed_where(groups: Program) -> None:
    assert groups.states() == {"cart": "new", "bank": "ongoing", "hall": "ongoing"}
    table = groups()
    assert "cart: c d e f" in table
    assert "at Charge" in table
    assert "reached front" in table


@pytest.mark.parametrize(
    ("arguments", "services"),
    [
        (("--since", "2h"), ["cart"]),
        (("--until", "35h"), ["bank"]),
        (("--service", "fr*"), ["hall"]),
        (("--state", "ongoing", "--state", "muted"), ["hall", "bank"]),
        (("--count", "1"), ["cart"]),
    ],
)
def test_some_can_be_asked_for(
    groups: Program, arguments: tuple[str, ...], services: list[str]
) -> None:
    assert [*groups.states(*arguments)] == services


def test_which_trace_is_in_which_group_is_told(groups: Program) -> None:
    bank = groups.id_of("bank")
    lines = [f"{n.to_bytes(16).hex()} {bank}" for n in (4, 3, 2, 1)]

    assert groups("--members", "--service", "bank").splitlines() == lines


def test_what_is_decided_is_kept_and_can_be_taken_back(groups: Program) -> None:
    bank, cart = groups.id_of("bank"), groups.id_of("cart")
    groups("mute", bank, "--until", "2h")
    groups("resolve", cart[:8])
    groups("note", cart, "see INC-7")
    assert groups.states() == {"hall": "ongoing", "cart": "resolved", "bank": "muted"}
    assert "see INC-7" in groups()
    groups("reopen", bank)
    groups("reopen", cart)
    assert groups.states() == {"cart": "new", "bank": "ongoing", "hall": "ongoing"}


def test_a_time_beyond_all_clocks_is_for_ever(groups: Program) -> None:
    groups("mute", groups.id_of("bank"), "--until", "9999-12-31T23:59:59Z")

    assert groups.states("--until", "9999-12-31T23:59:59Z")["bank"] == "muted"


def test_groups_are_merged_and_split(groups: Program) -> None:
    bank, cart = groups.id_of("bank"), groups.id_of("cart")
    groups("merge", cart, bank)
    [line] = groups("--service", "bank", "--output", "json").splitlines()
    merged = json.loads(line)
    assert (merged["count"], merged["merged"], merged["state"]) == (6, [cart], "ongoing")
    assert groups("split", cart).split() == [cart]
    assert len(groups.states()) == 3
    refusal = groups("split", bank, "--place", "1", code=EXIT_FAILED)
    assert "has no <*> number 1: it has none" in refusal


def test_a_group_is_shown_with_those_that_read_alike(groups: Program, tmp_path: Path) -> None:
    bank = groups.id_of("bank")
    model = tiny_model_flags(tmp_path)
    shown = groups("show", bank, *model)
    told = json.loads(groups("show", bank, "--members", "--output", "json", *model))

    assert "failure     a b c d" in shown
    assert shown.count("reads alike") == 2
    assert len(told["examples"]) == 4
    assert [each["service"] for each in told["related"]] != []


def test_a_group_is_shown_where_there_is_no_model(groups: Program, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    shown = groups("show", groups.id_of("bank"), "--model", str(tmp_path / "empty"))

    assert "failure     a b c d" in shown
    assert "reads alike" not in shown


def test_wrong_calls_say_what_is_right(groups: Program) -> None:
    assert "no group of failures 'zz'" in groups("resolve", "zz", code=EXIT_FAILED)
    over = groups("mute", "zz", "--until", "2020-01-01T00:00:00Z", code=EXIT_FAILED)
    assert "until: is over; give a time to come" in over
    assert "'huh'" in groups("--state", "huh", code=EXIT_USAGE)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--catalogue", "memory"), "ask --url or --catalogue, one of them"),
        (("--members",), "a page tells a few traces of each"),
    ],
)
def test_a_page_is_asked_alone(
    capsys: pytest.CaptureFixture[str], arguments: Sequence[str], message: str
) -> None:
    assert run(["groups", "--url", "http://127.0.0.1:9", *arguments]) == EXIT_USAGE
    assert message in " ".join(capsys.readouterr().err.split())
