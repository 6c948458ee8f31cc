"""A shop that lives on while one looks at the page, and in which something breaks after a while.

It has a past, so that there is something to compare with: two hours at the pace that it goes on
at, and a day before that in which each of its usual faults happened, so that none of them is new.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from itertools import cycle
from random import Random
from typing import TYPE_CHECKING

import structlog
from rich.console import Console

from otel_embedder.api.settings import DEFAULT_LISTEN
from otel_embedder.cli.demo.shop import FAULTS, Shop
from otel_embedder.cli.demo.sink import sinking
from otel_embedder.search.times import DAY, HOUR, MINUTE, NANOSECONDS
from otel_embedder.settings import load_settings
from otel_embedder.sidecar.checks import CHECKS
from otel_embedder.sidecar.sidecar import running
from otel_embedder.sidecar.stopping import stop_on_signals
from otel_embedder.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from otel_embedder.cli.demo.shop import Fault

SEED = 7
PURCHASE_SECONDS = 2
PAST_SECONDS = 2 * HOUR
LONG_AGO_SECONDS, SELDOM_SECONDS = DAY + 2 * HOUR, 10 * MINUTE
USUALLY_FAULTY_ONE_IN, ANSWERED_ONE_IN = 60, 4
# No purchase takes as long: it is over when it is told of.
LONGEST_SECONDS = 6
# As many as the SDK keeps for sure before they are sent.
FLUSHED_PURCHASES = 1_000
CATALOGUE_SECONDS = 1.0


class Life:
    """What goes wrong in a shop."""

    def __init__(self, incident: Fault) -> None:
        """Prepare; nothing but the usual goes wrong yet."""
        self._incident = incident
        self._usual = [fault for fault in FAULTS if fault is not incident]
        self._random = Random(SEED)  # noqa: S311 - a shop, not a secret
        self.is_broken = False

    def past(self) -> Iterator[tuple[int, Fault | None]]:
        """Give how many seconds ago a purchase was, and what went wrong in it; the first first."""
        faults = cycle([*self._usual, *[None] * len(FAULTS)])
        for ago in range(LONG_AGO_SECONDS, PAST_SECONDS, -SELDOM_SECONDS):
            yield ago, next(faults)
        for ago in range(PAST_SECONDS, 0, -PURCHASE_SECONDS):
            yield ago, self.fault()

    def fault(self) -> Fault | None:
        """Give what goes wrong in the next purchase."""
        if self.is_broken and self._random.randrange(ANSWERED_ONE_IN):
            return self._incident
        if self._random.randrange(USUALLY_FAULTY_ONE_IN):
            return None
        return self._random.choice(self._usual)


async def live_on(
    directory: str, flags: Mapping[str, object], service: str, *, begins_after: float
) -> None:
    """Run sidecar, sink, page and shop until somebody ends it.

    Args:
        directory: where the catalogue may be.
        flags: settings of the page that were given.
        service: who breaks.
        begins_after: seconds until it does.

    Raises:
        SettingsError: a setting is wrong.
        ListenError: the page's address can't be had.

    """
    # What the parts log would stand between the lines of the story.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("error"))
    console = Console(stderr=True)
    stop = stop_on_signals()
    life = Life(next(fault for fault in FAULTS if fault.service == service))
    async with sinking(lambda _: None) as backend:
        settings = load_settings(
            {
                "http_listen": DEFAULT_LISTEN,
                **flags,
                "listen": "127.0.0.1:0",
                "next_hop": f"http://127.0.0.1:{backend}",
                "metrics_listen": "",
                "catalogue": f"sqlite:///{directory}/shop.db",
                "catalogue_interval": CATALOGUE_SECONDS,
            },
            CHECKS,
        )
        console.print("The sidecar starts, and a small shop gets a day's past ...")
        async with running(settings, Metrics()) as port:
            shop = Shop(f"127.0.0.1:{port}", Random(SEED))  # noqa: S311 - a shop, not a secret
            try:
                await asyncio.to_thread(_remember, shop, life, stop)
                console.print(f"The page is at [bold]http://{settings.http_listen}/[/]")
                console.print(
                    f"In {begins_after:g} s the {service} service breaks. Ctrl-C ends it."
                )
                await _live(shop, life, stop, console, begins_after)
            finally:
                await asyncio.to_thread(shop.close)


def _remember(shop: Shop, life: Life, stop: asyncio.Event) -> None:
    """Let the shop have lived until now, unless it is to `stop`."""
    now = time.time_ns()
    for number, (ago, fault) in enumerate(life.past(), 1):
        if stop.is_set():
            return
        shop.purchase(fault, at=now - (ago + LONGEST_SECONDS) * NANOSECONDS)
        if number % FLUSHED_PURCHASES == 0:
            shop.flush()


async def _live(
    shop: Shop, life: Life, stop: asyncio.Event, console: Console, begins_after: float
) -> None:
    """Let it live on until `stop`."""
    breaks_at = time.monotonic() + begins_after
    while not stop.is_set():
        if not life.is_broken and time.monotonic() >= breaks_at:
            life.is_broken = True
            console.print(f"{time.strftime('%H:%M:%S')}: it breaks. Look at Changes and Errors.")
        at = time.time_ns() - LONGEST_SECONDS * NANOSECONDS
        await asyncio.to_thread(shop.purchase, life.fault(), at=at)
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), PURCHASE_SECONDS)
