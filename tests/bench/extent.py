"""How much to measure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Extent:
    """How much to measure.

    Attributes:
        rounds: turns of each contestant.
        requests: of 512 spans in each turn.
        fresh: requests of a kind that are sent but once, in all turns together.
        texts: to embed, and to render.
        starts: of a sidecar.
        minute: seconds for which a started sidecar is watched.
        seconds: for which a load is held.
        cache: how many texts caches have that are compared.

    """

    rounds: int
    requests: int
    fresh: int
    texts: int
    starts: int
    minute: float
    seconds: float
    cache: tuple[int, ...]


FULL = Extent(
    rounds=5,
    requests=100,
    fresh=50,
    texts=1_000,
    # Medians of five differ from each other by as much as a catalogue may take.
    starts=11,
    minute=60,
    seconds=20,
    cache=(1_000, 10_000, 100_000, 1_000_000),
)
QUICK = Extent(
    rounds=2,
    requests=20,
    fresh=6,
    texts=100,
    starts=1,
    minute=3,
    seconds=3,
    cache=(1_000, 10_000, 30_000),
)
