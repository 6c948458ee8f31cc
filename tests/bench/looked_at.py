"""What the way of the spans costs while somebody looks at the page and searches all the time.

Sidecars that differ in their page alone take turns with the same load: without one, with one that
nobody looks at, with one that is looked at and searched without a pause, with 50 searches at once.
What a span costs on its way is the CPU of the thread of the event loop, which a search has no part
in but by what both wait for; beside it the CPU of the whole process, searches included.

    python -m tests.bench.looked_at --texts 100000
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from itertools import cycle, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import grpc.aio
import httpx2
from rich.console import Console
from rich.table import Table

from otel_embedder.embedder.models.choice import DEFAULT_MODEL
from otel_embedder.embedder.models.weights import model_name
from otel_embedder.otlp.wire import parse_request
from otel_embedder.search.entries import Example, Examples
from otel_embedder.search.stores.sqlite import SqliteStore
from otel_embedder.text.options import RenderOptions
from tests.bench.catalogue import batches
from tests.bench.cpu import Cpu
from tests.bench.requests import same
from tests.support.processes import (
    EXPORT_METHOD,
    Sink,
    free_address,
    own_environment,
    running_sidecar,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    Export = grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]

SPANS_A_REQUEST = 64
AT_A_TIME = 4
WARM_UP_REQUESTS = 160
LOOKING = "looking"
QUESTIONS = ("payment times out", "word7 word21", "the cart store is away", "disk full")
MILLISECONDS, MICROSECONDS = 1e3, 1e6


@dataclass(frozen=True, slots=True)
class Contestant:
    """A sidecar.

    Attributes:
        name: what it is called in the table.
        pid: its process id, and the id of the thread of its event loop.
        address: where it takes spans.
        page: where its page is; empty if it has none.
        searches: how many are asked at once in its turn.

    """

    name: str
    pid: int
    address: str
    page: str
    searches: int


@dataclass(slots=True)
class Taken:
    """What a contestant took in its turns.

    Attributes:
        way: microseconds of CPU a span, of the event loop's thread.
        all: the same of the process.
        latencies: seconds of each request.
        spans: how many were accepted.

    """

    way: list[float] = field(default_factory=list)
    all: list[float] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)
    spans: int = 0


async def look(page: str, searches: int) -> None:
    """Listen to a page's news, and ask so many questions at once, again and again."""
    async with httpx2.AsyncClient(base_url=page, timeout=60) as client:
        await asyncio.gather(_listen(client), *(_search(client, n) for n in range(searches)))


async def _listen(client: httpx2.AsyncClient) -> None:
    async with client.stream("GET", "/api/v1/events") as stream:
        async for _ in stream.aiter_lines():
            pass


async def _search(client: httpx2.AsyncClient, number: int) -> None:
    for question in islice(cycle(QUESTIONS), number, None):
        answer = await client.get("/api/v1/search", params={"question": question})
        if not number:
            sys.stderr.write(f"{LOOKING} {answer.status_code}\n")


@contextmanager
def looked_at(contestant: Contestant) -> Iterator[None]:
    """Let another process look at a contestant's page, if that is its turn's part."""
    if not contestant.searches:
        yield
        return
    command = [sys.executable, "-m", "tests.bench.looked_at", "--look", contestant.page]
    command += [str(contestant.searches)]
    looking = subprocess.Popen(
        command, env=own_environment({}), stderr=subprocess.PIPE, encoding="utf-8"
    )
    try:
        assert looking.stderr is not None
        assert LOOKING in looking.stderr.readline()
        yield
    finally:
        looking.kill()
        looking.communicate()


def turn(contestant: Contestant, requests: Sequence[bytes], taken: Taken) -> None:
    """Let a contestant take requests."""
    with looked_at(contestant):
        before = Cpu.of(contestant.pid)
        latencies = asyncio.run(sent(contestant.address, requests))
        took = Cpu.of(contestant.pid).since(before)
    spans = len(requests) * SPANS_A_REQUEST
    taken.way.append(took.loop / spans * MICROSECONDS)
    taken.all.append(took.all / spans * MICROSECONDS)
    taken.latencies += latencies
    taken.spans += spans


async def sent(address: str, requests: Sequence[bytes]) -> list[float]:
    """Send requests, some at a time; give the seconds of each. A refusal would end the run."""
    waiting, latencies = iter(requests), []
    async with grpc.aio.insecure_channel(address) as channel:
        export: Export = channel.unary_unary(EXPORT_METHOD)

        async def send() -> None:
            for request in waiting:
                began = time.perf_counter()
                await export(request, timeout=60)
                latencies.append(time.perf_counter() - began)

        await asyncio.gather(*(send() for _ in range(AT_A_TIME)))
    return latencies


def filled(file: Path, texts: int) -> None:
    """Make a catalogue of made-up texts, as if the sidecar had seen and embedded them now."""
    store = SqliteStore(file)
    now = Examples.of(Example(bytes(16), bytes(8), time.time_ns(), None))
    version, model = RenderOptions().version(), model_name(DEFAULT_MODEL)
    for batch in batches(texts):
        own = [
            replace(
                each,
                text_version=version,
                examples=now,
                embedded=each.embedded and replace(each.embedded, model=model),
            )
            for each in batch.texts
        ]
        store.write(replace(batch, texts=own))
    store.close()


@contextmanager
def contestants(folder: Path, sink: str, texts: int) -> Iterator[list[Contestant]]:
    """Run the sidecars, each with a catalogue of so many texts."""
    kinds = {
        "without a page": None,
        "nobody looks": 0,
        "searched all the time": 1,
        "50 at once": 50,
    }
    filled(folder / "made.db", texts)
    with ExitStack() as running:
        found = []
        for number, (name, searches) in enumerate(kinds.items()):
            file, page = folder / f"{number}.db", free_address()
            shutil.copy(folder / "made.db", file)
            settings = ["--catalogue", f"sqlite:///{file}", "--catalogue-interval", "2"]
            if searches is not None:
                settings += ["--http-listen", page]
            sidecar = running.enter_context(running_sidecar(sink, settings=settings))
            sidecar.wait_for_model()
            where = "" if searches is None else f"http://{page}/"
            found.append(Contestant(name, sidecar.pid, sidecar.address, where, searches or 0))
        yield found


def measure(texts: int, rounds: int, count: int) -> Table:
    """Measure, and give a table."""
    requests = [*islice(cycle(same(SPANS_A_REQUEST)), count)]
    with (
        TemporaryDirectory() as folder,
        Sink() as sink,
        contestants(Path(folder), sink.address, texts) as every,
    ):
        for each in every:
            turn(each, requests[:WARM_UP_REQUESTS], Taken())
        sink.requests.clear()
        taken = {each.name: Taken() for each in every}
        for number in range(rounds):
            for each in every[:: 1 if number % 2 else -1]:
                turn(each, requests, taken[each.name])
        lost = sum(each.spans for each in taken.values()) - sum(map(spans_in, sink.requests))
    return shown(taken, f"{texts:,} texts; {lost:,} spans lost")


def spans_in(request: bytes) -> int:
    """Give how many spans a request has."""
    return parse_request(request).spans


def shown(taken: dict[str, Taken], title: str) -> Table:
    """Give what was measured, each beside the first."""
    columns = ("way, µs a span", "times", "process, µs a span", "p50, ms", "p99, ms", "added p99")
    table = Table("page", *columns, title=title)
    first = next(iter(taken.values()))
    base_way, base_p99 = statistics.median(first.way), _percentile(first.latencies, 99)
    for name, each in taken.items():
        way, p99 = statistics.median(each.way), _percentile(each.latencies, 99)
        ratios = [one / other for one, other in zip(each.way, first.way, strict=True)]
        table.add_row(
            name,
            f"{way:.2f}",
            f"{statistics.median(ratios):.3f} ({way / base_way:.3f})",
            f"{statistics.median(each.all):.2f}",
            f"{_percentile(each.latencies, 50) * MILLISECONDS:.1f}",
            f"{p99 * MILLISECONDS:.1f}",
            f"{(p99 - base_p99) * MILLISECONDS:+.1f}",
        )
    return table


def _percentile(values: Sequence[float], percent: int) -> float:
    return statistics.quantiles(values, n=100)[percent - 1]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.looked_at", description=__doc__)
    parser.add_argument("--texts", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--requests", type=int, default=800, help="of 64 spans, a turn")
    parser.add_argument("--look", nargs=2, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.look:
        page, searches = asked.look
        asyncio.run(look(page, int(searches)))
        return
    Console().print(measure(asked.texts, asked.rounds, asked.requests))


if __name__ == "__main__":
    main()
