"""The texts that can be judged, by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from otel_embedder.text.renderer import Renderer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from otel_embedder.annotation.work import SpanRenderer
    from otel_embedder.text.options import RenderOptions

# The first is what the others are compared with.
DEFAULT_PROFILES = ("template",)
PROFILES: dict[str, Callable[[RenderOptions], SpanRenderer]] = {"template": Renderer}


@dataclass(frozen=True, slots=True)
class Chosen:
    """The texts to judge.

    Attributes:
        profiles: their names; the first is compared with each of the others.
        without: of each profile, the names of its texts with one rule turned off, by the rule's.
        renderers: make all of these texts, by their names.

    """

    profiles: tuple[str, ...]
    without: dict[str, dict[str, str]]
    renderers: dict[str, SpanRenderer]


def chosen_texts(
    profiles: Sequence[str],
    renderer: Callable[[str], SpanRenderer],
    ablated: Callable[[str], Mapping[str, SpanRenderer]],
) -> Chosen:
    """Give the texts of profiles, and those of each with one rule turned off.

    Args:
        profiles: their names; what is named again is the same.
        renderer: gives what makes the texts of a profile.
        ablated: gives what makes them with one rule turned off, by the rule's name.

    """
    names = tuple(dict.fromkeys(profiles))
    renderers = {name: renderer(name) for name in names}
    without: dict[str, dict[str, str]] = {}
    for name in names:
        rules = ablated(name)
        without[name] = {rule: f"{name} without {rule}" for rule in rules}
        renderers |= {without[name][rule]: each for rule, each in rules.items()}
    return Chosen(names, without, renderers)


def profile_renderer(profile: str, options: RenderOptions) -> SpanRenderer:
    """Give what makes the texts of a profile.

    Raises:
        click.BadParameter: there is no such profile.

    """
    if profile not in PROFILES:
        raise click.BadParameter(
            f"{profile!r} is none of {', '.join(PROFILES)}.", param_hint="--profile"
        )
    return PROFILES[profile](options)


def ablations(profile: str, options: RenderOptions) -> Mapping[str, SpanRenderer]:  # noqa: ARG001 - for those that have rules
    """Give what makes the texts of a profile with one rule turned off, by the rule's name."""
    return {}


def none_ablated(profile: str) -> Mapping[str, SpanRenderer]:  # noqa: ARG001 - as `ablations`
    """Turn no rule off."""
    return {}
