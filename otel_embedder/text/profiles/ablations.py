"""A profile with each of its rules turned off by itself, to see what the rule is worth."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from otel_embedder.text.profiles.profile import Part, Profile


def ablations(profile: Profile) -> dict[str, Profile]:
    """Give a profile without each rule that it has, by what is changed."""
    changes: dict[str, dict[str, object]] = {
        **{f"without {part}": {"parts": _without(profile, part)} for part in profile.parts},
        "codes without words": {"codes": _bare_codes(profile), "error_codes": {}},
        "operation first": {"parts": _first(profile, "operation")},
        "error behind": {"parts": _last(profile, "error")},
        "without masks": {"masks": False},
        "without glosses": {"glosses": {}},
        "queries whole": {"queries": ()},
        "URLs whole": {"paths": ()},
        "no key left out": {"leave_out": ()},
        "no key kept": {"keep": ()},
        "silent values told": {"silent": ()},
        "duration: series": {"duration": "series"},
    }
    changed = {name: profile.model_copy(update=change) for name, change in changes.items()}
    return {name: each for name, each in changed.items() if each != profile}


def _without(profile: Profile, part: Part) -> tuple[Part, ...]:
    return tuple(each for each in profile.parts if each != part) or profile.parts


def _first(profile: Profile, part: Part) -> tuple[Part, ...]:
    return (part, *_without(profile, part)) if part in profile.parts else profile.parts


def _last(profile: Profile, part: Part) -> tuple[Part, ...]:
    return (*_without(profile, part), part) if part in profile.parts else profile.parts


def _bare_codes(profile: Profile) -> tuple[object, ...]:
    return tuple(codes.model_copy(update={"words": {}}) for codes in profile.codes)
