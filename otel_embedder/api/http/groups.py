"""One group of failures over HTTP: what it is, and what somebody decides about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import TypeAdapter
from starlette.responses import Response
from starlette.routing import Route

from otel_embedder.api.counting import counted
from otel_embedder.api.http.bodies import JSON, json_object, tagged
from otel_embedder.api.querying import query_of
from otel_embedder.search.asking.deciding import DECISIONS
from otel_embedder.search.groups.found import FoundGroup

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from otel_embedder.api.counting import QuestionMetrics
    from otel_embedder.api.pool import Pool
    from otel_embedder.search.asking.deciding import Decision
    from otel_embedder.search.catalogue import Catalogue

GROUP = TypeAdapter(FoundGroup)


class GroupRoutes:
    """Answers for one group."""

    def __init__(
        self, catalogue: Callable[[], Catalogue], pool: Pool, metrics: QuestionMetrics
    ) -> None:
        """Answer.

        Args:
            catalogue: gives what is asked, or raises a StoreError.
            pool: has the threads.
            metrics: who counts.

        """
        self._catalogue = catalogue
        self._pool = pool
        self._metrics = metrics

    def routes(self, prefix: str) -> list[Route]:
        """Give the routes."""
        decisions = [
            Route(f"{prefix}/groups/{{id}}/{word}", self._deciding(kind), methods=["POST"])
            for word, kind in DECISIONS.items()
        ]
        return [Route(f"{prefix}/groups/{{id}}", self._show), *decisions]

    async def _show(self, request: Request) -> Response:
        name = request.path_params["id"]
        with counted(self._metrics, "http"):
            found = await self._pool.run(lambda: self._catalogue().group(name))
        return tagged(request, GROUP.dump_json(found))

    def _deciding(self, kind: type[Decision]) -> Callable[[Request], object]:
        async def decide(request: Request) -> Response:
            name = request.path_params["id"]
            with counted(self._metrics, "http"):
                decision = query_of(kind, await json_object(request))
                found = await self._pool.run(lambda: self._catalogue().decide(name, decision))
            return Response(GROUP.dump_json(found), media_type=JSON)

        return decide
