from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

import pytest

from otel_embedder.text.options import (
    ONLY_TEMPLATE,
    RENDERER_VERSION,
    TEMPLATE_FIELDS,
    USUAL,
    RenderOptions,
    TextSettings,
    render_options,
)
from otel_embedder.text.profiles.profile import words_profile
from tests.support.settings import problem_of

if TYPE_CHECKING:
    from pathlib import Path

CHOSEN: dict[str, object] = {
    "template": "{operation}",
    "exact_durations": True,
    "mask_values": False,
    "volatile_keys": ("a.*", "b"),
}


def test_a_template_has_no_other_fields() -> None:
    said = problem_of(TextSettings, template="{nonsense}")

    assert said.startswith("template: there is no field {nonsense}")


def test_what_nobody_chooses_is_as_in_a_program() -> None:
    assert render_options(TextSettings()) == RenderOptions()


def test_each_choice_is_part_of_the_options() -> None:
    chosen = TextSettings(**CHOSEN, secret_keys=("c",), mask_secrets=False, profile="template")

    assert render_options(chosen) == RenderOptions(**chosen.model_dump())
    assert {*chosen.model_dump()} == {field.name for field in fields(RenderOptions)}


def test_what_is_usual_stands_once() -> None:
    assert {name: getattr(RenderOptions(), name) for name in TEMPLATE_FIELDS} == USUAL
    assert CHOSEN.keys() == USUAL.keys()


def test_the_text_is_of_words_unless_somebody_says_otherwise() -> None:
    assert RenderOptions().words_profile() == words_profile()
    assert RenderOptions(profile="words").words_profile() == words_profile()
    assert RenderOptions(profile="template").words_profile() is None


@pytest.mark.parametrize("name", CHOSEN)
def test_what_only_the_template_knows_chooses_it(name: str) -> None:
    options = render_options(TextSettings(**{name: CHOSEN[name]}))

    assert options.words_profile() is None
    assert options.version().startswith(f"template-{RENDERER_VERSION}.")


@pytest.mark.parametrize("name", CHOSEN)
def test_what_only_the_template_knows_is_refused_beside_words(name: str) -> None:
    said = problem_of(TextSettings, profile="words", **{name: CHOSEN[name]})
    with pytest.raises(ValueError, match=f"{name}: only the profile template"):
        RenderOptions(profile="words", **{name: CHOSEN[name]})  # type: ignore[arg-type]

    assert said == f"{name}: {ONLY_TEMPLATE}"


def test_a_profile_that_can_not_be_is_told_at_once(tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text("duration: long\n")

    assert "line 1: duration: " in problem_of(TextSettings, profile=str(file))
    assert "can't be read" in problem_of(TextSettings, profile="wods")


def test_versions_name_profile_and_version(tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text("duration: none\n")
    own = RenderOptions(profile=str(file)).version()
    file.write_text("duration: series\n")

    assert RenderOptions().version() == RenderOptions(profile="words").version() == "words-4"
    assert RenderOptions(profile="template").version() == "template-4"
    assert own.startswith("own-4.")
    assert RenderOptions(profile=str(file)).version() != own
    # Written down, for they must be the same tomorrow and on another machine.
    assert RenderOptions(mask_secrets=False).version() == "words-4.bb63745a"
    assert RenderOptions(exact_durations=True).version() == "template-4.dc2f65c9"


def test_whether_the_template_was_named_makes_no_difference() -> None:
    named = RenderOptions(profile="template", exact_durations=True)

    assert named.version() == RenderOptions(exact_durations=True).version()


def test_a_text_and_its_version_are_of_one_reading(tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text("duration: none\n")
    options = RenderOptions(profile=str(file))
    profile = options.words_profile()
    before = options.version_of(profile)
    file.write_text("duration: series\n")

    assert options.version_of(profile) == before != options.version()
