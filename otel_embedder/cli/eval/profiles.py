"""The texts that can be judged, by name, and the same with a rule changed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import click

from otel_embedder.text.options import TEMPLATE, WORDS, RenderOptions
from otel_embedder.text.profiles.ablations import ablations as ablated_profiles
from otel_embedder.text.rendering import new_renderer
from otel_embedder.text.secrets import Secrets
from otel_embedder.text.words_renderer import WordsRenderer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from otel_embedder.annotation.work import SpanRenderer

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
        profile: its name, or the path of its file.
        options: what else was chosen; of that what this profile knows.

    Raises:
        click.BadParameter: there is no such profile.

    """
    try:
        return new_renderer(_options(profile, options))
    except ValueError as error:
        raise click.BadParameter(
            f"{error}; it is words, template, or the path of a file.", param_hint="--profile"
        ) from error


def ablations(profile: str, options: RenderOptions) -> Mapping[str, SpanRenderer]:
    """Give what makes the texts of a profile with one rule changed, by the change.

    A text by the template has no rules that could be.
    """
    chosen = _options(profile, options)
    words = chosen.words_profile()
    if words is None:
        return {}
    secrets = Secrets(chosen.secret_keys, by_look=chosen.mask_secrets)
    return {
        change: WordsRenderer(each, secrets, change)
        for change, each in ablated_profiles(words).items()
    }


def none_ablated(_: str) -> Mapping[str, SpanRenderer]:
    """Change no rule."""
    return {}


def _options(profile: str, options: RenderOptions) -> RenderOptions:
    """Give the options of a profile: only the template knows all that may be chosen."""
    if profile == TEMPLATE:
        return replace(options, profile=TEMPLATE)
    return RenderOptions(
        secret_keys=options.secret_keys, mask_secrets=options.mask_secrets, profile=profile
    )
