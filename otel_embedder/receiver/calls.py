"""What the handlers of all signals share: what a call brings, and how it ends badly."""

from __future__ import annotations

import asyncio
import math
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NoReturn

from otel_embedder.errors import IncompleteRequestError, OtelEmbedderError
from otel_embedder.otlp.call import Call, Metadata
from otel_embedder.otlp.status import refusal
from otel_embedder.telemetry.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection

    from otel_embedder.receiver.messages import Context

log = get_logger()

REQUEST_FAILED = "request.failed"
REQUEST_INCOMPLETE = "request.incomplete"
# Metadata that belongs to one connection, not to the request.
HOP_BY_HOP = {"user-agent", "content-type", "te", "host"}
HOP_BY_HOP_PREFIXES = ("grpc-", ":")


@asynccontextmanager
async def ending_badly(context: Context) -> AsyncIterator[None]:
    """End the call with the status that fits, whatever is raised."""
    try:
        yield
    except IncompleteRequestError as error:
        # gRPC may have ended the call already, with a status that makes a Collector drop it.
        log.warning(REQUEST_INCOMPLETE, error=str(error))
        await _refuse(error, context)
    except OtelEmbedderError as error:
        await _refuse(error, context)
    except Exception as error:
        # It would become UNKNOWN, and the Collector would drop the spans.
        log.exception(REQUEST_FAILED)
        await _refuse(error, context)


async def _refuse(error: Exception, context: Context) -> NoReturn:
    answer = refusal(error)
    await context.abort(answer.code, answer.details, answer.trailing_metadata)


def call_of(context: Context, withheld: Collection[str]) -> Call:
    """Give what a request came with."""
    remaining = context.time_remaining()
    now = asyncio.get_running_loop().time()
    # The stubs forget that there may be no deadline.
    deadline = math.inf if remaining is None else now + remaining  # type: ignore[redundant-expr]
    return Call(deadline, passed_on(context, withheld))


def passed_on(context: Context, withheld: Collection[str]) -> Metadata:
    """Give the caller's own headers, such as a tenant's name, but for those withheld."""
    metadata = context.invocation_metadata() or ()
    kept = HOP_BY_HOP.union(withheld)
    return tuple(
        (key, value)
        for key, value in metadata
        if key not in kept and not key.startswith(HOP_BY_HOP_PREFIXES)
    )
