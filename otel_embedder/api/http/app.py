"""The page and the API, put together."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from importlib.resources import files
from importlib.util import find_spec
from typing import TYPE_CHECKING

from pydantic import TypeAdapter
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from otel_embedder.api.counting import counted
from otel_embedder.api.http import openapi
from otel_embedder.api.http.bodies import json_object, tagged
from otel_embedder.api.http.events import Events
from otel_embedder.api.http.groups import GroupRoutes
from otel_embedder.api.http.guard import Guard
from otel_embedder.api.http.problems import answer_error, answer_fault, problem
from otel_embedder.api.http.session import COOKIE, Session
from otel_embedder.api.http.static_files import StaticFiles
from otel_embedder.api.querying import values_of
from otel_embedder.api.questions import QUESTIONS
from otel_embedder.api.status import Status
from otel_embedder.errors import (
    OtelEmbedderError,
    QueryError,
    UnauthenticatedError,
)

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping

    from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
    from starlette.requests import Request
    from starlette.types import ASGIApp, Receive, Scope, Send

    from otel_embedder.api.counting import QuestionMetrics
    from otel_embedder.api.news import News
    from otel_embedder.api.pool import Pool
    from otel_embedder.api.questions import Question
    from otel_embedder.api.telling import Telling
    from otel_embedder.credentials.tokens import Tokens
    from otel_embedder.search.catalogue import Catalogue

V1 = "/api/v1"
LEAST_TO_COMPRESS = 1_000
COMPRESSION = 5
SESSION_SECONDS = 30 * 24 * 3_600

STATUS = TypeAdapter(Status)


@dataclass(frozen=True, slots=True)
class Site:
    """What the page and the API show.

    Attributes:
        catalogue: gives what is asked, or raises a StoreError.
        telling: tells how all is.
        news: looks for what has come.
        pool: runs what takes a while.
        closing: set when it is over.
        metrics: who counts questions.

    """

    catalogue: Callable[[], Catalogue]
    telling: Telling
    news: News
    pool: Pool
    closing: threading.Event
    metrics: QuestionMetrics


def new_app(site: Site, *, hosts: str, tokens: Tokens | None) -> ASGIApp:
    """Put the application together.

    Args:
        site: what it shows.
        hosts: by which names it may be asked for, with commas.
        tokens: of which whoever looks must bring one; None lets everybody in.

    """
    session = Session(tokens)
    routes = [
        *(
            Route(f"{V1}/{each.name}", partial(_ask, site, each), methods=["GET", "POST"])
            for each in QUESTIONS
        ),
        *GroupRoutes(site.catalogue, site.pool, site.metrics).routes(V1),
        Route(f"{V1}/status", partial(_status, site)),
        Route(f"{V1}/events", Events(site.news, site.pool, site.closing).answer),
        Route(f"{V1}/session", partial(_begin, session), methods=["POST"]),
        Route(f"{V1}/session", _end, methods=["DELETE"]),
        Route(f"{V1}/openapi.json", _document),
        Route("/healthz", _alive),
        Route("/readyz", partial(_ready, site)),
    ]
    tools = _tools(site)
    app = Starlette(
        routes=[*routes, *([] if tools is None else [Route("/mcp", _Tools(tools))])],
        lifespan=lambda _: nullcontext() if tools is None else tools.run(),
        middleware=[
            Middleware(GZipMiddleware, minimum_size=LEAST_TO_COMPRESS, compresslevel=COMPRESSION)
        ],
        exception_handlers={
            OtelEmbedderError: answer_error,
            HTTPException: partial(_elsewhere, StaticFiles(files("otel_embedder.api") / "static")),
            Exception: answer_fault,
        },
    )
    names = {name.strip().lower() for name in hosts.split(",") if name.strip()}
    return Guard(app, hosts=names, session=session, metrics=site.metrics)


def _tools(site: Site) -> StreamableHTTPSessionManager | None:
    """Give the tools for assistants, where their extra is installed."""
    if find_spec("mcp") is None:
        return None
    from mcp.server.streamable_http_manager import (  # noqa: PLC0415
        StreamableHTTPSessionManager,
    )

    from otel_embedder.api.tools import new_server  # noqa: PLC0415

    server = new_server(site.catalogue, site.pool, site.metrics)
    # No sessions: each call stands for itself, and nothing is kept for who never comes back.
    return StreamableHTTPSessionManager(server, json_response=True, stateless=True)


class _Tools:
    """The tools, as an application that Starlette does not look into."""

    def __init__(self, tools: StreamableHTTPSessionManager) -> None:
        self._tools = tools

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer an assistant."""
        await self._tools.handle_request(scope, receive, send)


async def _ask(site: Site, question: Question, request: Request) -> Response:
    with counted(site.metrics, "http"):
        values = await _values(question, request)
        said = await site.pool.run(lambda: question.ask_as_json(site.catalogue(), values))
    return tagged(request, said)


async def _values(question: Question, request: Request) -> Mapping[str, object]:
    """Give what is asked for: what stands behind the address, or an object of JSON.

    Raises:
        QueryError: something is said twice.
        MalformedRequestError: it is no JSON.

    """
    values = values_of(question.query, request.query_params.multi_items())
    if request.method != "POST":
        return values
    in_body = await json_object(request)
    for name in in_body.keys() & values.keys():
        raise QueryError(f"{name}: is to be said once", field=name)
    return {**values, **in_body}


async def _status(site: Site, request: Request) -> Response:
    status = await site.pool.run(site.telling.status)
    return tagged(request, STATUS.dump_json(status))


async def _begin(session: Session, request: Request) -> Response:
    """Give the page a cookie for a token."""
    token = (await json_object(request)).get("token")
    cookie = await session.cookie_for(token) if isinstance(token, str) else None
    if cookie is None:
        raise UnauthenticatedError("this token is not good here: look at `http_token_file`")
    answer = Response(status_code=HTTPStatus.NO_CONTENT)
    answer.set_cookie(
        COOKIE,
        cookie,
        max_age=SESSION_SECONDS,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return answer


async def _end(_: Request) -> Response:
    answer = Response(status_code=HTTPStatus.NO_CONTENT)
    answer.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return answer


async def _document(request: Request) -> Response:
    return tagged(request, openapi.encoded())


async def _alive(_: Request) -> Response:
    return JSONResponse({"status": "alive"})


async def _ready(site: Site, _: Request) -> Response:
    await site.pool.run(site.telling.status)
    return JSONResponse({"status": "ready"})


async def _elsewhere(static: StaticFiles, request: Request, error: Exception) -> Response:
    """Answer what no path above is of: the page's files, and what is not there."""
    if not isinstance(error, HTTPException):
        raise error
    if error.status_code == HTTPStatus.NOT_FOUND and request.method in {"GET", "HEAD"}:
        file = static.answer(request)
        if file is not None:
            return file
    return problem(error.status_code, f"{request.method} {request.url.path}: {error.detail}")
