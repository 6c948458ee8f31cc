"""Marks may cost time where they are for nothing, but never skip a pattern that would match."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import otel_embedder
from otel_embedder.text.hiding import commands, looks
from otel_embedder.text.hiding.secrets import Secrets
from otel_embedder.text.marks import Marked, Marks, any_of, seen_in, words_marks
from otel_embedder.text.masking import generated, masks, statements, times
from otel_embedder.text.options import DEFAULT_SECRET_KEYS
from otel_embedder.text.wording import words
from tests.support.masked_values import VALUES, render_values

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOMS = (commands, looks, generated, masks, statements, times, words)
MARKED = {
    f"{room.__name__.rpartition('.')[2]}{name}": each
    for room in ROOMS
    for name, each in vars(room).items()
    if isinstance(each, Marked) and (room, name) != (masks, "PODS")  # which is of `generated`
}
# What puts words in the place of others, without marks: as if each text had them all.
COMPILED = "re.compile(marks).search"


def test_each_pattern_that_is_looked_for_by_marks_is_tried() -> None:
    assert len(MARKED) > 20


@pytest.mark.parametrize("marked", MARKED.values(), ids=MARKED)
@given(data=st.data())
def test_whatever_a_pattern_matches_has_its_marks(marked: Marked, data: st.DataObject) -> None:
    text = data.draw(st.from_regex(marked.pattern))

    seen = seen_in(text)
    assert marked.may_be_in(seen)


@given(st.from_regex(commands.BEGINNING()))
def test_whatever_a_command_begins_with_has_its_marks(text: str) -> None:
    seen = seen_in(text)

    assert commands.BEFORE.may_be_in(seen)
    assert commands.PARTED.may_be_in(seen)


@given(st.text())
def test_what_is_seen_is_as_long_as_the_text_and_of_ascii(text: str) -> None:
    seen = seen_in(text)

    assert len(seen) == len(text)
    assert seen.isascii()


@given(st.characters())
def test_marks_mean_what_patterns_do(character: str) -> None:
    seen = seen_in(character)

    assert (seen == b"0") == (re.fullmatch(r"\d", character) is not None)
    assert (seen == b" ") == (re.fullmatch(r"\s", character) is not None)
    assert seen.isalnum() == character.isalnum()
    assert (seen.lower() in b"abcdefghijklmnopqrstuvwxyz") >= (
        re.fullmatch(r"[a-z]", character, re.IGNORECASE) is not None
    )


@given(
    st.lists(st.text("abk0.-_ ", min_size=1, max_size=5), min_size=1, max_size=8),
    st.text("abk0.-_ ", max_size=30),
)
def test_words_are_found_wherever_they_are(looked_for: list[str], text: str) -> None:
    found = Marks(words_marks(looked_for)).may_be_in(text.encode())

    assert found == any(word in text for word in looked_for)


def test_a_word_goes_on_as_a_pattern_and_no_word_is_anywhere() -> None:
    marks = Marks(words_marks(["key-[0a-f]{4}"]))

    assert marks.may_be_in(b"the key-0a0b")
    assert not marks.may_be_in(b"the key-0a")
    assert Marks(words_marks([""])).may_be_in(b"")


def test_marks_are_looked_for_at_once() -> None:
    both = any_of(Marks(b"a"), Marks(b"b"))

    assert both.may_be_in(b"a")
    assert both.may_be_in(b"b")
    assert not both.may_be_in(b"c")


@given(st.sampled_from(DEFAULT_SECRET_KEYS), st.sampled_from(("=", ": ", '": "', "%3D")))
def test_each_name_of_a_secret_has_its_marks(key: str, between: str) -> None:
    hidden = Secrets(DEFAULT_SECRET_KEYS, by_look=False).hidden

    name = key.strip("*$").replace(".", "_")
    assert "hunter2x9" not in hidden(f"{name}{between}hunter2x9")
    assert "hunter2x9" not in hidden(f"{name.upper()}{between}hunter2x9")


@pytest.fixture(name="without_marks", scope="module")
def _without_marks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Render]:
    """Give what renders values as if each had all marks: another process with a package of ours."""
    folder = tmp_path_factory.mktemp("without_marks")
    package = Path(otel_embedder.__file__).parent
    shutil.copytree(package, folder / package.name, ignore=shutil.ignore_patterns("__pycache__"))
    marks = folder / package.name / "text" / "marks.py"
    source = marks.read_text(encoding="utf-8")
    assert source.count(COMPILED) == 1
    marks.write_text(source.replace(COMPILED, 're.compile(b"").search'), encoding="utf-8")
    support = Path(sys.modules[render_values.__module__].__file__ or "")
    with subprocess.Popen(
        [sys.executable, support],
        env={"PYTHONPATH": str(folder)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield lambda values: _asked(process, values)
        process.communicate()


def _asked(process: subprocess.Popen[str], values: list[str]) -> list[str]:
    assert process.stdin
    assert process.stdout
    process.stdin.write(json.dumps(values) + "\n")
    process.stdin.flush()
    texts: list[str] = json.loads(process.stdout.readline())
    return texts


PIECES = st.one_of(
    st.sampled_from(VALUES),
    st.text(max_size=12),
    st.sampled_from([*MARKED.values()]).flatmap(lambda marked: st.from_regex(marked.pattern)),
)


@given(values=st.lists(st.lists(PIECES, min_size=1, max_size=4).map(" ".join), max_size=6))
@settings(max_examples=30)
def test_texts_are_the_same_as_if_all_were_looked_for_in_all(
    values: list[str], without_marks: Render
) -> None:
    assert render_values(values) == without_marks(values)


def test_known_values_read_the_same_as_if_all_were_looked_for(without_marks: Render) -> None:
    assert render_values([*VALUES]) == without_marks([*VALUES])


if TYPE_CHECKING:
    Render = Callable[[list[str]], list[str]]
