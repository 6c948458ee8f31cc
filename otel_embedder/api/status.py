"""How all is: what the page's *Now* shows, in words and numbers."""

from dataclasses import dataclass

from otel_embedder.search.asking.answers import Info
from otel_embedder.search.asking.json_types import Second


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that is not as it should be.

    Attributes:
        what: in a sentence.
        effect: what it does to spans, or to whoever looks.
        remedy: what to do, in a sentence.
        line: what to type for it; empty where there is nothing.
        tone: how bad it is: error, slow or info.

    """

    what: str
    effect: str
    remedy: str
    line: str
    tone: str


@dataclass(frozen=True, slots=True)
class Status:
    """How all is.

    Attributes:
        version: of otel-embedder.
        started: when this process began.
        model: whose vectors are compared.
        text_version: of texts that are compared.
        catalogue: what it holds.
        troubles: what is not as it should be, the worst first.

    """

    version: str
    started: Second
    model: str
    text_version: str
    catalogue: Info
    troubles: tuple[Trouble, ...]
