"""How many may listen at once, and that each who goes makes room."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, cast

import pytest

from otel_embedder.api.http.events import MAX_STREAMS, Events
from otel_embedder.api.news import News
from otel_embedder.api.pool import Pool
from otel_embedder.api.telling import Telling
from otel_embedder.errors import BusyError
from otel_embedder.search.stores.memory import MemoryStore
from tests.support.sites import a_catalogue

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.requests import Request
    from starlette.types import Message, Scope


@pytest.fixture
def events() -> Iterator[Events]:
    catalogue = a_catalogue(MemoryStore())
    telling = Telling(lambda: catalogue, "memory", None)
    with Pool(threads=1, waiting=MAX_STREAMS) as pool:
        yield Events(News(telling.beat, lambda: catalogue), pool, threading.Event())


async def never() -> Message:
    return await asyncio.Future[dict[str, object]]()


async def gone() -> Message:
    return {"type": "http.disconnect"}


async def nowhere(message: Message) -> None:
    """Send it to nobody."""


async def test_of_many_who_come_together_no_more_may_listen_than_there_is_room_for(
    events: Events,
) -> None:
    request = cast("Request", None)
    scope: Scope = {"type": "http", "asgi": {"spec_version": "2.0"}}
    answers = [await events.answer(request) for _ in range(MAX_STREAMS)]
    with pytest.raises(BusyError, match="listen already"):
        await events.answer(request)

    await answers.pop()(scope, gone, nowhere)  # before it was told anything

    answers.append(await events.answer(request))
    with pytest.raises(BusyError):
        await events.answer(request)
    listening = [asyncio.create_task(each(scope, never, nowhere)) for each in answers]
    await asyncio.sleep(0)
    for each in listening:
        each.cancel()
    await asyncio.gather(*listening, return_exceptions=True)
    assert await events.answer(request)
