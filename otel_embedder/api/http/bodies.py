"""What HTTP requests bring, and what they take back: JSON."""

from __future__ import annotations

import hashlib
import json
from http import HTTPStatus
from typing import TYPE_CHECKING

from starlette.responses import Response

from otel_embedder.errors import MalformedRequestError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

JSON = "application/json"


async def json_object(request: Request) -> Mapping[str, object]:
    """Give the object of JSON that a request brings.

    Raises:
        MalformedRequestError: it brings something else.

    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != JSON:
        raise MalformedRequestError(f"the body must be an object of JSON, and say {JSON}")
    try:
        found = json.loads(await request.body())
    except (ValueError, RecursionError) as error:
        raise MalformedRequestError("the body is no JSON: an object is wanted") from error
    if not isinstance(found, dict):
        raise MalformedRequestError("the body is no object of JSON")
    return found


def tagged(request: Request, content: bytes) -> Response:
    """Give JSON, or nothing to whoever has it already."""
    headers = {"ETag": f'W/"{hashlib.blake2b(content, digest_size=12).hexdigest()}"'}
    headers["Cache-Control"] = "no-cache, private"
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    return Response(content, headers=headers, media_type=JSON)
