"""The page, served for real over a shop that was made up, to be looked at with a browser."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pydantic import TypeAdapter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from otel_embedder.api.http.app import Site, new_app
from otel_embedder.api.http.serving import serving
from otel_embedder.api.news import News
from otel_embedder.api.pool import Pool
from otel_embedder.api.status import Moment, Sidecar, Trouble
from otel_embedder.api.telling import Telling
from otel_embedder.search.groups.found import FreshGroups
from otel_embedder.search.stores.memory import MemoryStore
from otel_embedder.telemetry.metrics import Metrics
from tests.support import page_answers
from tests.support.made_up import Seen, write
from tests.support.sites import a_catalogue

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from starlette.types import ASGIApp, Receive, Scope, Send

    from otel_embedder.credentials.tokens import Tokens
    from otel_embedder.search.asking.answers import Points
    from otel_embedder.search.asking.browsing import MapQuery
    from otel_embedder.search.catalogue import Catalogue
    from tests.support.page_answers import Json

V1 = "/api/v1/"
FRESH = TypeAdapter(FreshGroups)
MINUTE = 60
HOUR = 3_600
SHOP = (
    ("payment", "POST /v1/charges", "CLIENT", "charge card bank", 41.0),
    ("payment", "acquire connection", "INTERNAL", "connection pool wait", 0.4),
    ("checkout", "PlaceOrder", "SERVER", "place order", 120.0),
    ("catalog", "ListProducts", "SERVER", "list products", 4.1),
    ("shipping", "GET /quote", "CLIENT", "quote carrier rates", 88.0),
    ("cart", "SET", "CLIENT", "store basket in redis", 1.2),
    ("invoices", "RenderPdf", "INTERNAL", "render invoice as pdf", 1_820.0),
)
# How many minutes ago each of the ways was seen first.
BEGAN = (120, 100, 80, 60, 40, 5)
WAYS = ("once", "again after timeout", "for a guest", "with a coupon", "abroad", "at night")


def the_shop() -> list[list[Seen]]:
    """Give what a shop did in each of the last 120 minutes; each of its ways began at a time."""
    now = int(time.time())
    return [_minute(now - MINUTE * ago, ago) for ago in range(120, 0, -1)]


def _minute(at: int, ago: int) -> list[Seen]:
    seen = []
    for place, (service, operation, kind, words, milliseconds) in enumerate(SHOP):
        for turn, way in enumerate(WAYS):
            if ago > BEGAN[turn]:
                continue
            said = Seen(
                f"{words} {way} {service}",
                service=service,
                operation=operation,
                kind=kind,
                status="ERROR" if turn == 1 else "UNSET",
                milliseconds=(milliseconds, milliseconds * 1.3),
                at=at,
                spans=1 + (ago * (place + 3)) % 5 if turn == 1 else 20 + (ago * (turn + 2)) % 7,
                number=1_000 * place + 10 * turn + 1,
            )
            seen.append(said)
    return seen


class FakeWatch:
    """Watches a sidecar that does well, but for its next hop."""

    def moment(self) -> Moment:
        return Moment(42.0, 0.0, 0.981, 0, 3, 212_000_000, 2.1, 6.4, 18.0)

    def sidecar(self) -> Sidecar:
        since = int(time.time()) - HOUR
        moments = (*(self.moment() for _ in range(59)), self.moment())
        return Sidecar("127.0.0.1:4317", "tempo:4317", 512, since, MINUTE, moments)

    def troubles(self) -> tuple[Trouble, ...]:
        return (
            Trouble(
                "The next hop is slow to answer.",
                "It took 480 ms. No span is lost: the Collector is asked to wait.",
                "If it lasts, give the next hop more memory or replicas.",
                "otel-embedder health",
                "slow",
            ),
        )


@dataclass(slots=True)
class Answers:
    """What the page is told of changes and groups, and what it has decided.

    Attributes:
        groups: as the API gives them.
        changes: as the API gives them.
        told: each decision: what, of which group, and what was said with it.

    """

    groups: list[Json] = field(default_factory=lambda: [*page_answers.GROUPS])
    changes: Json = field(
        default_factory=lambda: page_answers.changes_answer(
            [page_answers.SLOW_BANK, page_answers.NEW_RETRY], [page_answers.PERHAPS]
        )
    )
    told: list[tuple[str, str, Json]] = field(default_factory=list)

    def answer(self, path: str, states: Sequence[str], said: Json) -> Response:
        """Answer as the API would."""
        what, *rest = path.split("/")
        if what == "changes":
            return JSONResponse(self.changes)
        if not rest:
            found = [each for each in self.groups if not states or each["state"] in states]
            return JSONResponse(page_answers.groups_answer(found))
        if len(rest) > 1:
            self._decide(rest[0], rest[1], said)
            return Response(status_code=204)
        found = [group for group in self.groups if group["id"] == rest[0]]
        if not found:
            return JSONResponse({"detail": f"there is no group {rest[0]}"}, 404)
        return JSONResponse(found[0])

    def fresh(self) -> FreshGroups:
        """Tell which groups are new, or have come again."""
        fresh = [each for each in self.groups if each["state"] in {"new", "regressed"}]
        groups = [{**each, "since": each["first_seen"]} for each in fresh]
        return FRESH.validate_python({"total": len(fresh), "groups": groups})

    def _decide(self, id_: str, word: str, said: Json) -> None:
        self.told.append((word, id_, said))
        states = {"mute": "muted", "resolve": "resolved", "reopen": "ongoing"}
        more = {"note": said["text"]} if word == "note" else {}
        if word in states:
            more = {"state": states[word]}
        self.groups = [{**each, **more} if each["id"] == id_ else each for each in self.groups]


@dataclass(frozen=True, slots=True)
class Told:
    """What news are of: texts of one, failures perhaps of another.

    Attributes:
        points: gives texts as points.
        fresh: gives the groups that are new.

    """

    points: Callable[[MapQuery], Points]
    fresh: Callable[[], FreshGroups]


@dataclass(slots=True)
class PageSite:
    """A page that can be taken away and brought back.

    Attributes:
        thread: where all of ours is called: Playwright has its event loop in a test's own.
        store: of the catalogue that it shows.
        answers: what it is told of changes and groups; None: what the catalogue knows of them.
        tokens: of which whoever looks must bring one.
        watch: how the sidecar does, if there is one.
        catalogue: makes what is asked of the store.
        url: where it is.

    """

    thread: ThreadPoolExecutor
    store: MemoryStore
    answers: Answers | None
    tokens: Tokens | None = None
    watch: FakeWatch | None = None
    catalogue: Callable[[MemoryStore], Catalogue] = a_catalogue
    url: str = ""
    _parts: ExitStack = field(default_factory=ExitStack)

    def start(self) -> None:
        """Serve it, at the same address as before."""
        self.thread.submit(self._start).result()

    def stop(self) -> None:
        """Take it away."""
        self.thread.submit(self._parts.close).result()

    def see(self, *seen: Seen) -> None:
        """Put more into its catalogue."""
        if not seen:
            return
        self.thread.submit(write, self.store, *seen).result()

    def _start(self) -> None:
        catalogue = self.catalogue(self.store)
        closing = threading.Event()
        pool = self._parts.enter_context(Pool(threads=2, waiting=32))
        telling = Telling(lambda: catalogue, "sqlite:///shop.db", self.watch)
        fresh = catalogue.fresh if self.answers is None else self.answers.fresh
        told = Told(catalogue.points, fresh)
        news = News(telling.beat, lambda: told)
        site = Site(lambda: catalogue, telling, news, pool, closing, Metrics())
        app = new_app(site, hosts="localhost", tokens=self.tokens)
        port = self.url.rstrip("/").rpartition(":")[2] or "0"
        address = f"127.0.0.1:{port}"
        served = self._parts.enter_context(serving(self._with_answers(app), address, None))
        self._parts.callback(closing.set)
        self.url = f"http://127.0.0.1:{served}/"

    def _with_answers(self, app: ASGIApp) -> ASGIApp:
        async def answering(scope: Scope, receive: Receive, send: Send) -> None:
            path = scope.get("path", "").removeprefix(V1)
            if self.answers is None or not path.startswith(("groups", "changes")):
                await app(scope, receive, send)
                return
            request = Request(scope, receive)
            said = await request.json() if scope["method"] == "POST" else {}
            states = request.query_params.getlist("state")
            await self.answers.answer(path, states, said)(scope, receive, send)

        return answering


@contextmanager
def page_site(
    seen: Sequence[Seen] | None = None,
    *,
    answers: Answers | None = None,
    tokens: Tokens | None = None,
    watch: FakeWatch | None = None,
    catalogue: Callable[[MemoryStore], Catalogue] = a_catalogue,
) -> Iterator[PageSite]:
    """Serve the page over these texts, or over a shop's."""
    with ThreadPoolExecutor(1) as thread:
        store = thread.submit(MemoryStore).result()
        site = PageSite(thread, store, answers, tokens, watch, catalogue)
        for minute in the_shop() if seen is None else [seen]:
            site.see(*minute)
        site.start()
        yield site
        site.stop()
