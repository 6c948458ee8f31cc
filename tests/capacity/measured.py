"""What several sidecars make of the simulation's traffic, each a process: `make capacity-run`.

They stand behind a real Collector: one that chooses by service or by trace, or one that gives each
request to the next. As root, since a name stands for all of them.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

from tests.capacity.routing import traffic
from tests.support.gateway import Replica, balancing, taking_turns, write_hosts
from tests.support.otlp_samples import new_span, request
from tests.support.processes import Sink, resident_bytes, send

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager

    from tests.capacity.routing import Sample
    from tests.support.processes import Collector

SPANS = 20_000
# Sent together; the next when these have come, so that what is computed is remembered by then.
ROUND = 200
# The same in each run: by their addresses services are shared out.
PORT = "24327"
# Long, for a stand-in would be looked up once more: how fast it goes is not asked here.
TIMEOUT = "60s"
PATIENT = ("--embed-timeout", "20", "--model-timeout", "60")
CONSONANTS, VOWELS = "bdfghjklmnprstvz", "aeiou"
MEGABYTE = 1_000_000


class Case(NamedTuple):
    """So many sidecars, of which each remembers so many texts."""

    name: str
    way: str
    replicas: int
    max_texts: int


# All but the last two remember as much in all.
CASES = (
    Case("one", "service", 1, 2_000),
    Case("4, by service", "service", 4, 500),
    Case("4, by trace", "trace", 4, 500),
    Case("4, in turn", "turn", 4, 500),
    Case("4, by trace", "trace", 4, 2_000),
    Case("4, in turn", "turn", 4, 2_000),
)


def collector(way: str, hosts: Path, port: str) -> AbstractContextManager[Collector]:
    """Give the Collector that shares spans out in this way."""
    if way == "turn":
        return taking_turns(hosts, port=port, timeout=TIMEOUT)
    key = {"trace": "traceID"}.get(way, way)
    return balancing(hosts, port=port, routing_key=key, timeout=TIMEOUT)


@dataclass(frozen=True, slots=True)
class Measured:
    """What became of the traffic.

    Attributes:
        spans: that were sent, and came.
        embedded: texts that the models computed, all together.
        stood_in: spans without a vector of the model.
        resident: memory of each sidecar at the end, in bytes.
        busiest: the largest part of the spans that one of them got, of 1.

    """

    spans: int
    embedded: int
    stood_in: int
    resident: Sequence[int]
    busiest: float

    @property
    def hit_rate(self) -> float:
        """Give the part of the spans whose text was known, of 1."""
        return 1 - self.embedded / self.spans


def measured(case: Case, spans: int, *, settings: Sequence[str] = (), port: str = PORT) -> Measured:
    """Send the traffic through a Collector to sidecars of their own with these settings."""
    own = ("--cache-size", str(case.max_texts), *PATIENT)
    addresses = [f"127.0.0.{number + 2}" for number in range(case.replicas)]
    with TemporaryDirectory() as directory, Sink() as sink, ExitStack() as stack:
        hosts = Path(directory, "hosts")
        write_hosts(hosts, addresses)
        replicas = [Replica(f"{address}:{port}", sink, (*own, *settings)) for address in addresses]
        running = [stack.enter_context(replica.running()) for replica in replicas]
        sender = stack.enter_context(collector(case.way, hosts, port))
        for sent in requests(spans):
            send(sender.address, [sent])
            sink.wait_for_all([sent])
        got = [replica.counted("receiver_accepted_spans_total") for replica in replicas]
        return Measured(
            spans=spans,
            embedded=sum(replica.texts("model") for replica in replicas),
            stood_in=sum(replica.counted("fallback_spans_total") for replica in replicas),
            resident=[resident_bytes(sidecar.pid) for sidecar in running],
            busiest=max(got) / spans,
        )


def requests(spans: int) -> Iterator[bytes]:
    """Give the simulation's traffic as requests, each of many services."""
    samples = [*traffic(spans)]
    for first in range(0, spans, ROUND):
        # Requests that are joined are one request.
        yield b"".join(map(one_request, samples[first : first + ROUND]))


def one_request(sample: Sample) -> bytes:
    span = new_span(in_words(sample.text))
    span.trace_id = (sample.trace + 1).to_bytes(16)
    return request(span, service=in_words(sample.service)).SerializeToString()


def in_words(text: str) -> str:
    """Give a text with words in the place of its numbers: what is embedded has no numbers."""
    return " ".join(word(int(part)) if part.isdecimal() else part for part in text.split())


def word(number: int) -> str:
    """Give a word of two syllables or more that stands for a number."""
    syllables = len(CONSONANTS) * len(VOWELS)
    letters, number = "", number + syllables
    while number:
        number, digit = divmod(number, syllables)
        consonant, vowel = divmod(digit, len(VOWELS))
        letters = CONSONANTS[consonant] + VOWELS[vowel] + letters
    return letters


HEAD = ("sidecars", "each remembers", "hit rate", "for the model", "memory", "the busiest has")


def rows(cases: Sequence[Case] = CASES) -> Iterator[str]:
    """Give the table line by line, as each case is measured."""
    yield f"| {' | '.join(HEAD)} |"
    yield "|---" * len(HEAD) + "|"
    for case in cases:
        came = measured(case, SPANS)
        late = f" ({came.stood_in} spans did not wait for it)" if came.stood_in else ""
        resident = " + ".join(f"{each / MEGABYTE:.0f}" for each in came.resident)
        yield (
            f"| {case.name} | {case.max_texts:,} texts | {came.hit_rate:.1%} "
            f"| {came.embedded:,} texts{late} | {resident} MB "
            f"| {came.busiest:.0%} of the spans |"
        )


if __name__ == "__main__":
    for row in rows():
        print(row, flush=True)  # noqa: T201 - measured, to be read
