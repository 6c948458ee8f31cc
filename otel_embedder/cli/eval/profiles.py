"""The texts that can be judged, by name, and the same with a rule changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from otel_embedder.text.options import TEMPLATE, WORDS
from otel_embedder.text.profiles.ablations import ablations as changed_profiles
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
        changed: of each profile, the names of its texts with one rule changed, by the change.
        renderers: make all of these texts, by their names.

    """

    profiles: tuple[str, ...]
    changed: dict[str, dict[str, str]]
    renderers: dict[str, SpanRenderer]


def chosen_texts(
    names: Sequence[str],
    renderer: Callable[[str], SpanRenderer],
    ablated: Callable[[str], Mapping[str, SpanRenderer]],
) -> Chosen:
    """Give the texts of profiles, and those of each with one rule changed.

    Args:
        names: the profiles'; what is named again is the same.
        renderer: gives what makes the texts of a profile.
        ablated: gives what makes them with one rule changed, by the change.

    """
    names = tuple(dict.fromkeys(names))
    renderers = {name: renderer(name) for name in names}
    changed: dict[str, dict[str, str]] = {}
    for name in names:
        changes = ablated(name)
        changed[name] = {change: f"{name}, {change}" for change in changes}
        renderers |= {changed[name][change]: each for change, each in changes.items()}
    return Chosen(names, changed, renderers)


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
        raise click.BadParameter(
            f"{error}; it is words, template, or the path of a file.", param_hint="--profile"
        ) from error


def ablations(profile: str, options: RenderOptions) -> Mapping[str, SpanRenderer]:
    """Give what makes the texts of a profile with one rule changed, by the change.

    A text by the template has no rules that could be.
    """
    chosen = options.of(profile)
    found = chosen.words_profile()
    if found is None:
        return {}
    return {
        change: words_renderer(each, chosen) for change, each in changed_profiles(found).items()
    }


def none_ablated(_: str) -> Mapping[str, SpanRenderer]:
    """Change no rule."""
    return {}
