"""Two texts, how near they are, and what sets the spans apart that they describe."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

if TYPE_CHECKING:
    from collections.abc import Iterable

    from otel_embedder.embedder.embedding import Model
    from otel_embedder.text.renderer import Saying

# Whether the texts differ by it, have it masked, rounded or cut to the same
# words, or leave it out.
Effect = Literal["differs", "alike", "left out"]
EFFECTS: tuple[Effect, ...] = get_args(Effect)


class Side(NamedTuple):
    """One of the two that are compared.

    Attributes:
        text: how it reads.
        sayings: what it says, if it is a span.

    """

    text: str
    sayings: list[Saying] | None = None


class Difference(NamedTuple):
    """What two spans say otherwise.

    Attributes:
        name: an attribute's key, or the template's field in its braces.
        effect: what the texts make of it.
        first: what the first says, None if nothing.
        second: what the second says, None if nothing.

    """

    name: str
    effect: Effect
    first: Saying | None
    second: Saying | None


class Comparison(NamedTuple):
    """How two compare.

    Attributes:
        cosine: of their vectors; 1 is the same.
        model: whose vectors these are.
        differences: what they say otherwise; None unless both are spans.
        unknown: how many of the texts have no word that the model knows, and so a stand-in.

    """

    cosine: float
    model: str
    differences: list[Difference] | None
    unknown: int = 0


def compare(first: Side, second: Side, model: Model) -> Comparison:
    """Compare two texts, or two spans.

    Raises:
        EmbeddingError: the model failed.

    """
    one, other = model.encode([first.text, second.text])
    found = None
    if first.sayings is not None and second.sayings is not None:
        found = differences(first.sayings, second.sayings)
    unknown = sum(each.source != "model" for each in (one, other))
    return Comparison(float(one.vector @ other.vector), one.model, found, unknown)


def differences(first: Iterable[Saying], second: Iterable[Saying]) -> list[Difference]:
    """Give what two spans differ in: first what the texts show, last what they leave out."""
    firsts = {saying.name: saying for saying in first}
    seconds = {saying.name: saying for saying in second}
    found = [
        _difference(name, firsts.get(name), seconds.get(name))
        for name in firsts | seconds
        if not _is_same(firsts.get(name), seconds.get(name))
    ]
    return sorted(found, key=lambda difference: EFFECTS.index(difference.effect))


def _is_same(first: Saying | None, second: Saying | None) -> bool:
    return bool(first and second and first.encoded == second.encoded)


def _difference(name: str, first: Saying | None, second: Saying | None) -> Difference:
    return Difference(name, _effect(_words(first), _words(second)), first, second)


def _effect(first: str | None, second: str | None) -> Effect:
    if first != second:
        return "differs"
    return "left out" if first is None else "alike"


def _words(saying: Saying | None) -> str | None:
    return saying.words if saying else None
