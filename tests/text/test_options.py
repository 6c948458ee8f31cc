from __future__ import annotations

from otel_embedder.text.options import RenderOptions, TextSettings, render_options
from tests.support.settings import problem_of


def test_a_template_has_no_other_fields() -> None:
    said = problem_of(TextSettings, template="{nonsense}")

    assert said.startswith("template: there is no field {nonsense}")


def test_what_nobody_chooses_is_as_in_a_program() -> None:
    assert render_options(TextSettings()) == RenderOptions()


def test_each_choice_is_part_of_the_options() -> None:
    chosen = TextSettings(
        template="{operation}",
        exact_durations=True,
        mask_values=False,
        volatile_keys=("a.*", "b"),
        secret_keys=("c",),
        mask_secrets=False,
    )

    assert render_options(chosen) == RenderOptions(**chosen.model_dump())
