"""What the handlers of all signals share: what a call brings, and how it ends badly."""

from __future__ import annotations

import asyncio
import math
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NoReturn

from otel_embedder.errors import IncompleteRequestError, OtelEmbedderError
from otel_embedder.otlp.call import Call
from otel_embedder.otlp.status import refusal
from otel_embedder.telemetry.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection

    from otel_embedder.otlp.call import Metadata
    from otel_embedder.receiver.hops import Hops
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


class Calls:
    """Makes of each call what the next stage must know of it."""

    def __init__(self, hops: Hops, *, withheld: Collection[str] = ()) -> None:
        """Prepare for calls.

        Args:
            hops: what recognises a request that was here before.
            withheld: the callers' headers that are meant for this sidecar alone.

        """
        self._hops = hops
        self._not_passed_on = HOP_BY_HOP.union(withheld)

    @asynccontextmanager
    async def taken(self, context: Context) -> AsyncIterator[Call]:
        """Give what a call brings besides its message; end it with the status that fits.

        What has been here before is refused at once: none of its message is read.
        """
        async with ending_badly(context):
            yield self._call(context)

    def _call(self, context: Context) -> Call:
        """Give what a call brings.

        Raises:
            LoopError: it has been here before.

        """
        return Call(_deadline(context), self._hops.with_own(self._passed_on(context)))

    def _passed_on(self, context: Context) -> Metadata:
        """Give the caller's own headers, such as a tenant's name, but for those withheld."""
        metadata = context.invocation_metadata() or ()
        return tuple(
            (key, value)
            for key, value in metadata
            if key not in self._not_passed_on and not key.startswith(HOP_BY_HOP_PREFIXES)
        )


def _deadline(context: Context) -> float:
    """Give the event loop's time at which the caller stops waiting."""
    remaining = context.time_remaining()
    # The stubs forget that there may be no deadline.
    if remaining is None:
        return math.inf
    return asyncio.get_running_loop().time() + remaining
