"""From spans, services and texts to replicas, cores, memory and network.

The formula stands in docs/scale.md. Its numbers were measured by `make bench`, and stand in
docs/costs.md; a test holds these here to those there.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

# Microseconds of CPU a span whose text is known, though not its bytes; and a request.
SPAN_MICROSECONDS = {"array": 13.0, "bytes": 12.5, "base64": 12.5}
REQUEST_MICROSECONDS = 1287
# Two cores embed so many new texts a second.
TEXTS_A_SECOND = 677
CORES_OF_THAT = 2
# What our attributes add to a span on the wire.
ADDED_BYTES = {"array": 4402, "bytes": 1714, "base64": 2226}

# What a process has after 10,000 spans, with a cache of 1,000 texts, and what one more text takes.
RESIDENT_BYTES = 182_000_000
REMEMBERED_TEXTS = 1_000
TEXT_BYTES = 6_000
# At the worst: 64 MiB in flight, half as much being sent, twice; three models that hang.
INFLIGHT_BYTES, INFLIGHT_TIMES = 64 * 2**20, 2
WORST_BYTES = INFLIGHT_TIMES * INFLIGHT_BYTES + 3 * 100_000_000

# What a catalogue takes at rest, by itself and a text of it, and more of both if there is a page;
# by `python -m tests.bench.catalogue_memory`. At the worst its store hangs: 64 MiB wait to be read,
# 128 MiB to be written.
CATALOGUE_BYTES, CATALOGUE_TEXT_BYTES = 34_000_000, 200
PAGE_BYTES, PAGE_TEXT_BYTES = 53_000_000, 1_900
CATALOGUE_WORST_BYTES = (64 + 128) * 2**20

# Of a core, or of all: the rest is for bursts, and for another replica's share when that is gone.
BUSY = 0.7
# A second: some 1 Gbit/s.
BYTES_TO_SPARE = 10**8
# Minutes of distinct texts that a cache should hold, so that what comes each minute stays in it.
REMEMBERED_MINUTES = 2


@dataclass(frozen=True, slots=True)
class Load:
    """What is to be borne.

    Attributes:
        spans: a second.
        services: that they come from, at least 1.
        texts: distinct ones a minute.
        span_bytes: of a span, as it comes.
        request_spans: of a request, as it comes.
        encoding: of the vectors.
        cores: that one replica may have, at least 1.
        catalogue: texts that each keeps; 0 is none.
        has_page: whether each shows them.

    """

    spans: int
    services: int
    texts: int
    span_bytes: int
    request_spans: int
    encoding: str
    cores: int
    catalogue: int = 0
    has_page: bool = False


@dataclass(frozen=True, slots=True)
class Size:
    """What bears it.

    Attributes:
        replicas: sidecars.
        cores: of each, on average, with what bursts need.
        cache_size: the setting, of each.
        resident_bytes: of each, at rest.
        limit_bytes: of each, at the worst.
        bytes_in: a second, of all together.
        bytes_out: a second, of all together.
        passing_cores: that passing spans on keeps busy, of all together.
        model_cores: that the model keeps busy at most, of all together.

    """

    replicas: int
    cores: float
    cache_size: int
    resident_bytes: int
    limit_bytes: int
    bytes_in: int
    bytes_out: int
    passing_cores: float
    model_cores: float


def size_of(load: Load) -> Size:
    """Say what bears a load, with spans routed by service."""
    each = SPAN_MICROSECONDS[load.encoding] + REQUEST_MICROSECONDS / load.request_spans
    passing = load.spans * each / 1e6
    model = load.texts / 60 * CORES_OF_THAT / TEXTS_A_SECOND
    # One process passes spans on by one core, whatever it has for the model.
    replicas = max(1, ceil(passing / BUSY), ceil((passing + model) / (load.cores * BUSY)))
    cache_size = max(REMEMBERED_TEXTS, ceil(load.texts * REMEMBERED_MINUTES / replicas))
    resident = RESIDENT_BYTES + TEXT_BYTES * (cache_size - REMEMBERED_TEXTS)
    resident += catalogue_bytes(load.catalogue, has_page=load.has_page)
    return Size(
        replicas=replicas,
        cores=(passing + model) / replicas / BUSY,
        cache_size=cache_size,
        resident_bytes=resident,
        limit_bytes=resident + WORST_BYTES + (CATALOGUE_WORST_BYTES if load.catalogue else 0),
        bytes_in=load.spans * load.span_bytes,
        bytes_out=load.spans * (load.span_bytes + ADDED_BYTES[load.encoding]),
        passing_cores=passing,
        model_cores=model,
    )


def catalogue_bytes(texts: int, *, has_page: bool) -> int:
    """Say what a catalogue of so many texts takes at rest; of none, nothing."""
    if not texts:
        return 0
    own = CATALOGUE_BYTES + CATALOGUE_TEXT_BYTES * texts
    return own + (PAGE_BYTES + PAGE_TEXT_BYTES * texts if has_page else 0)


def told(load: Load) -> str:
    """Say what bears a load, in words."""
    size = size_of(load)
    resident, limit = size.resident_bytes / 1e6, size.limit_bytes / 1e6
    incoming, outgoing = size.bytes_in / 1e6, size.bytes_out / 1e6
    passing, model = size.passing_cores, size.model_cores
    lines = [
        f"{load.spans:,} spans/s of {load.services:,} services, {load.texts:,} texts a minute",
        "",
        f"replicas {size.replicas}, spans routed by service",
        f"cores    {size.cores:.2f} each; busy in all: {passing:.2f} passing, {model:.2f} model",
        f"memory   {resident:.0f} MB each, limit {limit:.0f} MB; cache_size {size.cache_size}",
        f"network  {incoming:.1f} MB/s in, {outgoing:.1f} MB/s out, in all",
        *remarks(load, size),
    ]
    return "\n".join(lines)


def remarks(load: Load, size: Size) -> list[str]:
    """Say what the numbers don't."""
    said = []
    if size.replicas == 1:
        said.append("Two of them, if no Collector should wait while one is replaced.")
    if size.replicas > load.services:
        said.append(
            "A service is one replica's, and there are fewer: a sidecar for each Collector."
        )
    if load.encoding == "array" and size.bytes_out > BYTES_TO_SPARE:
        said.append("`--encoding bytes` sends less than half, to whoever can read it.")
    return ["", *said] if said else []
