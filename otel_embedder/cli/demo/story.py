"""A minute's answer to "what is this for?": a shop lives, one thing breaks, and it is asked why.

Everything is real but the clock: the shop's spans come from the OpenTelemetry
SDK through its own exporter, the sidecar embeds them and fills its catalogue, a
sink over gRPC keeps what comes out, and the catalogue alone answers in the end.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING

import structlog
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from otel_embedder.annotation.annotator import annotator
from otel_embedder.annotation.standing import Standing
from otel_embedder.cli.changes.report import report
from otel_embedder.cli.demo.shop import FAULTS, Shop
from otel_embedder.cli.demo.sink import sinking
from otel_embedder.cli.parts.catalogues import opened
from otel_embedder.cli.parts.tables import cell
from otel_embedder.embedder.bulk import BulkEmbedder
from otel_embedder.embedder.models.engines import load_model, model_choice
from otel_embedder.embedder.models.weights import model_name
from otel_embedder.otlp.wire import parse_request
from otel_embedder.search.asking.queries import ChangesQuery, GroupsQuery, SearchQuery
from otel_embedder.search.catalogue import Catalogue
from otel_embedder.search.links import trace_link
from otel_embedder.search.spans import spans_of
from otel_embedder.search.times import MINUTE, NANOSECONDS
from otel_embedder.settings import load_settings
from otel_embedder.sidecar.sidecar import running
from otel_embedder.telemetry.metrics import Metrics
from otel_embedder.text.options import render_options
from otel_embedder.text.rendering import new_renderer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_embedder.cli.demo.shop import Fault
    from otel_embedder.embedder.embedding import Model
    from otel_embedder.search.asking.answers import Answer, Hit
    from otel_embedder.search.changes.answers import Changes
    from otel_embedder.search.groups.found import FoundGroup
    from otel_embedder.settings import Settings

SEED = 7
# What the shop lives through, by its own clock: a purchase every so many seconds, in some of which
# something goes wrong, and in the last minutes the bank does not answer most of the time.
MINUTES, BROKEN_MINUTES = 60, 10
PURCHASE_SECONDS = 15
FAULTY_ONE_IN, ANSWERED_ONE_IN = 20, 4
BROKEN, *OTHER_FAULTS = FAULTS
NEAREST = 3
QUESTION = "payment times out talking to the bank"


async def demonstrate(directory: str) -> None:
    """Run sidecar, sink and shop, break one thing, and print what the catalogue answers.

    Args:
        directory: where the catalogue may be.

    """
    # What the parts log would stand between the lines of the story.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("warning"))
    console = Console()
    started = time.monotonic()
    metrics = Metrics()
    came: list[bytes] = []
    async with sinking(came.append) as backend:
        settings = load_settings(
            {
                "listen": "127.0.0.1:0",
                "next_hop": f"http://127.0.0.1:{backend}",
                "metrics_listen": "",
                "catalogue": f"sqlite:///{directory}/shop.db",
            }
        )
        console.print("The sidecar starts, and with it the model ...")
        model = await asyncio.to_thread(lambda: load_model(model_choice(settings)))
        async with running(settings, metrics) as port:
            console.print("A small shop lives for an hour, and one thing breaks ...\n")
            sent = await asyncio.to_thread(_live, f"127.0.0.1:{port}", time.time_ns())
    changes, failures, answer = await asyncio.to_thread(_ask, settings, model)
    console.print(f"[bold]What changed in the last {BROKEN_MINUTES} minutes?[/]\n")
    for line in report(changes, console.width):
        console.print(cell(line))
    console.print("[bold]Which failures are new since then?[/]\n")
    for failure in failures:
        told = f"{failure.service}: {failure.title} ({failure.count} traces, {failure.id})"
        console.print(cell(told))
    console.print("\n[bold]Show me such traces:[/]", cell(answer.asked))
    console.print(_table(answer.hits))
    spans, with_vectors = _counted(came, settings)
    computed = metrics.value("embedded_texts_total", source="model")
    console.print(
        f"{sent} spans in, {spans} out, {with_vectors} of them with the model's vector. "
        f"The model ran for {computed:.0f} texts only: a hit rate of {1 - computed / sent:.0%}. "
        f"{time.monotonic() - started:.1f} s in all."
    )


def _counted(requests: Sequence[bytes], settings: Settings) -> tuple[int, int]:
    """Give how many spans the sink has, and how many of them with the model's vector."""
    renderer = new_renderer(render_options(settings))
    attributes = annotator(settings, renderer.text_version)
    spans = [span for span, _ in spans_of(map(parse_request, requests), renderer)]
    return len(spans), sum(attributes.standing(span) is Standing.CURRENT for span in spans)


def _ask(settings: Settings, model: Model) -> tuple[Changes, list[FoundGroup], Answer]:
    """Ask the catalogue that the sidecar has left."""
    text_version = render_options(settings).version()
    with (
        opened(str(settings.catalogue), readonly=True) as store,
        BulkEmbedder(model, threads=1, max_texts=1) as embedder,
    ):
        catalogue = Catalogue(
            store,
            embedder,
            model=model_name(settings.model),
            text_version=text_version,
            link=trace_link(settings.trace_link),
        )
        changes = catalogue.changes(ChangesQuery(window=timedelta(minutes=BROKEN_MINUTES)))
        # The window is of whole minutes: it began some time within the one before.
        begin = changes.window.since - MINUTE
        failing = catalogue.groups(GroupsQuery(since=datetime.fromtimestamp(begin, UTC))).groups
        new = [each for each in failing if each.first_seen >= begin * NANOSECONDS]
        return changes, new, catalogue.search(SearchQuery(question=QUESTION, count=NEAREST))


def _live(endpoint: str, now: int) -> int:
    """Let the shop live until now; give the number of spans that it made."""
    random = Random(SEED)  # noqa: S311 - a shop, not a secret
    shop = Shop(endpoint, random)
    try:
        return sum(
            shop.purchase(_fault(random, seconds_left), at=now - seconds_left * NANOSECONDS)
            for seconds_left in range(MINUTES * MINUTE, 0, -PURCHASE_SECONDS)
        )
    finally:
        shop.close()


def _fault(random: Random, seconds_left: int) -> Fault | None:
    """Give what goes wrong in a purchase that begins so long before the end."""
    if seconds_left < BROKEN_MINUTES * MINUTE and random.randrange(ANSWERED_ONE_IN):
        return BROKEN
    return None if random.randrange(FAULTY_ONE_IN) else random.choice(OTHER_FAULTS)


def _table(hits: Sequence[Hit]) -> Table:
    table = Table("cosine", "spans", "text", "trace", box=SIMPLE)
    for hit in hits:
        [example, *_] = hit.examples
        table.add_row(f"{hit.cosine:.2f}", str(hit.spans), cell(hit.text), example.trace_id)
    return table
