"""Errors as HTTP answers: a status, and a problem in JSON that says what to do (RFC 9457)."""

from __future__ import annotations

import json
import math
from http import HTTPStatus
from typing import TYPE_CHECKING

from starlette.responses import Response

from otel_embedder.errors import (
    BusyError,
    EmbeddingError,
    ForeignSiteError,
    GroupError,
    IncompleteRequestError,
    MalformedRequestError,
    OtelEmbedderError,
    QueryError,
    RequestTooLargeError,
    StoreError,
    UnauthenticatedError,
    UnknownEntryError,
    UnknownGroupError,
)
from otel_embedder.telemetry.logs import get_logger

if TYPE_CHECKING:
    from starlette.requests import Request

log = get_logger()

REQUEST_FAILED = "api.failed"

# The first that fits.
STATUSES: tuple[tuple[type[OtelEmbedderError], HTTPStatus], ...] = (
    (QueryError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (MalformedRequestError, HTTPStatus.BAD_REQUEST),
    (UnknownEntryError, HTTPStatus.NOT_FOUND),
    (UnknownGroupError, HTTPStatus.NOT_FOUND),
    (GroupError, HTTPStatus.CONFLICT),
    (UnauthenticatedError, HTTPStatus.UNAUTHORIZED),
    (ForeignSiteError, HTTPStatus.FORBIDDEN),
    (RequestTooLargeError, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    (IncompleteRequestError, HTTPStatus.REQUEST_TIMEOUT),
    (BusyError, HTTPStatus.SERVICE_UNAVAILABLE),
    (StoreError, HTTPStatus.SERVICE_UNAVAILABLE),
    (EmbeddingError, HTTPStatus.SERVICE_UNAVAILABLE),
)


def problem(status: int, detail: str, **more: str) -> Response:
    """Give a problem as an answer."""
    said = {"title": HTTPStatus(status).phrase, "status": int(status), "detail": detail, **more}
    # In ASCII: what is said again of a request may have half a surrogate in it.
    return Response(json.dumps(said), status, media_type="application/problem+json")


def problem_of(error: OtelEmbedderError) -> Response:
    """Give the answer that fits an error of ours."""
    status = next(
        (status for kind, status in STATUSES if isinstance(error, kind)),
        HTTPStatus.INTERNAL_SERVER_ERROR,
    )
    more = {"field": error.field} if isinstance(error, QueryError) and error.field else {}
    answer = problem(status, str(error), **more)
    if isinstance(error, BusyError):
        answer.headers["Retry-After"] = str(math.ceil(error.retry_after))
    if isinstance(error, UnauthenticatedError):
        answer.headers["WWW-Authenticate"] = "Bearer"
    return answer


def answer_error(_: Request, error: Exception) -> Response:
    """Answer an error of ours, as Starlette asks for it."""
    if not isinstance(error, OtelEmbedderError):
        raise error
    return problem_of(error)


def answer_fault(_: Request, error: Exception) -> Response:
    """Answer a fault of ours: what it was is told in the log only."""
    log.error(REQUEST_FAILED, exc_info=error)
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "a fault of ours; the log tells of it")
