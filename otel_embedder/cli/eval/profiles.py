"""The texts that can be judged, by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from otel_embedder.text.options import TEMPLATE, WORDS
from otel_embedder.text.profiles.ablations import ablations as without_rules
from otel_embedder.text.rendering import new_renderer, words_renderer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from otel_embedder.annotation.work import SpanRenderer
    from otel_embedder.text.options import RenderOptions

# The first is what the others are compared with.
DEFAULT_PROFILES = (WORDS, TEMPLATE)


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

    Args:
        profile: words, template or a file's path.
        options: what else is chosen; what only the template knows is for that.

    Raises:
        click.BadParameter: there is no such profile.

    """
    try:
        return new_renderer(options.of(profile))
    except ValueError as error:
        raise click.BadParameter(f"{error}.", param_hint="--profile") from error


def ablations(profile: str, options: RenderOptions) -> Mapping[str, SpanRenderer]:
    """Give what makes the texts of a profile with one rule turned off, by the rule's name."""
    chosen = options.of(profile)
    found = chosen.words_profile()
    if found is None:
        return {}
    return {name: words_renderer(each, chosen) for name, each in without_rules(found).items()}


def none_ablated(profile: str) -> Mapping[str, SpanRenderer]:  # noqa: ARG001 - as `ablations`
    """Turn no rule off."""
    return {}
