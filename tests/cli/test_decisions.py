"""What somebody decided about groups of failures survives whatever becomes of the catalogue."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from otel_embedder.cli import EXIT_OK, run
from otel_embedder.search.stores.opening import open_store
from tests.support.failing import CAUSES, Cause, failing_request
from tests.support.processes import own_environment
from tests.support.tiny_model import tiny_model_flags

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

CART, ADS, BANK, MAIL, _ = CAUSES
TRACES = 3  # of each cause
# One group of three words.
SHELVES = [Cause("stock", "Take", f"the shelf for {word} is empty") for word in ("a", "b", "c")]
FAILURES = [cause for cause in (CART, ADS, BANK, MAIL) for _ in range(TRACES)] + SHELVES
UNTIL = "2099-01-01T00:00:00.000Z"
NOTE = "see INC-7"

KILLS = 10
# To mute and to reopen takes some hundredths of a second, of which some are for the catalogue.
AT_LATEST = 0.1
DECIDING = """
import sys
from otel_embedder.cli import run
url, group, until = sys.argv[1:]
turn = 0
while True:
    run(["groups", "mute", group, "--until", until, "--catalogue", url])
    run(["groups", "reopen", group, "--catalogue", url])
    if not turn:
        print("it decides", flush=True)
    turn += 1
"""


class Shop:
    """A shop's failures in a catalogue, and commands on it in this process."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.url = f"sqlite:///{folder / 'catalogue.db'}"
        self._capsys = capsys
        self._model = tiny_model_flags(folder)
        self._file = folder / "failures.bin"
        traces = (
            failing_request(cause, number, at=number).SerializeToString()
            for number, cause in enumerate(FAILURES)
        )
        self._file.write_bytes(b"".join(len(each).to_bytes(4) + each for each in traces))

    def __call__(self, *arguments: str) -> str:
        assert run([*arguments, "--catalogue", self.url]) == EXIT_OK
        return self._capsys.readouterr().out

    def index(self, *flags: str) -> None:
        self("index", str(self._file), *self._model, *flags)

    def reembed(self, *flags: str) -> None:
        self("reembed", *self._model, *flags)

    def groups(self) -> dict[str, dict[str, Any]]:
        """Give what is told of each group, by its id."""
        lines = self("groups", "--output", "json").splitlines()
        return {each["id"]: each for each in map(json.loads, lines)}

    def id_of(self, cause: Cause) -> str:
        """Give the id of the group of a cause."""
        told = {(each["service"], *each["operations"]): id_ for id_, each in self.groups().items()}
        return told[cause.service, cause.operation]

    def decided(self) -> set[tuple[object, ...]]:
        """Give of each group what somebody decided about it, and what it counts."""
        names = ("id", "title", "state", "muted_until", "note", "count")
        return {
            (*(each[name] for name in names), *each["merged"]) for each in self.groups().values()
        }


@pytest.fixture(name="shop")
def _shop(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Shop:
    shop = Shop(tmp_path, capsys)
    shop.index()
    return shop


def decide(shop: Shop) -> set[tuple[object, ...]]:
    """Decide all that can be decided, about a group each; give what is told of them then."""
    cart, ads, bank, mail, shelf = map(shop.id_of, (CART, ADS, BANK, MAIL, SHELVES[0]))
    shop("groups", "mute", bank, "--until", UNTIL)
    shop("groups", "resolve", mail)
    shop("groups", "note", cart, NOTE)
    shop("groups", "merge", ads, cart)
    shop("groups", "split", shelf, "--place", "1")
    decided = shop.decided()
    states = Counter(each[2] for each in decided)
    assert states == {"ongoing": 1 + len(SHELVES), "muted": 1, "resolved": 1}
    return decided


@pytest.mark.parametrize("flags", [(), ("--profile", "template")], ids=["same", "other-words"])
def test_it_survives_that_the_files_are_indexed_again(shop: Shop, flags: Sequence[str]) -> None:
    decided = decide(shop)
    shop.index(*flags)

    assert shop.decided() == decided


def test_it_survives_that_texts_are_embedded_again(shop: Shop) -> None:
    decided = decide(shop)
    shop.reembed("--profile", "template")

    assert shop.decided() == decided


@pytest.mark.parametrize("is_known", [False, True], ids=["into an empty one", "into one of these"])
def test_it_survives_that_catalogues_are_merged(
    shop: Shop, tmp_path: Path, *, is_known: bool
) -> None:
    source, decided = shop.url, decide(shop)
    shop.url = f"sqlite:///{tmp_path / 'other.db'}"
    open_store(shop.url).close()
    if is_known:
        shop.index()
    shop("catalogue", "merge", source)

    assert shop.decided() == decided


def test_one_that_is_killed_while_it_mutes_has_muted_it_or_not(shop: Shop) -> None:
    random = Random(7)
    bank = shop.id_of(BANK)
    shop("groups", "note", bank, NOTE)
    command = [sys.executable, "-c", DECIDING, shop.url, bank, UNTIL]
    found = set()
    for _ in range(KILLS):
        with subprocess.Popen(command, env=own_environment({}), stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(random.uniform(0, AT_LATEST))
            process.kill()
        group = shop.groups()[bank]
        found.add((group["state"], group["muted_until"], group["note"], group["count"]))

    assert found <= {("muted", UNTIL, NOTE, TRACES), ("ongoing", None, NOTE, TRACES)}
    shop("groups", "mute", bank)
    assert shop.groups()[bank]["state"] == "muted"
