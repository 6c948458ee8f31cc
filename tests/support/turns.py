"""How often others have their turn on the event loop beside what a test does."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Others:
    """Somebody else on the event loop.

    Attributes:
        turns: how many they have had.

    """

    turns = 0

    async def run(self) -> None:
        while True:
            self.turns += 1
            await asyncio.sleep(0)


@contextmanager
def others_beside() -> Iterator[Others]:
    """Let others have turns as often as they are let; count them."""
    others = Others()
    task = asyncio.create_task(others.run())
    try:
        yield others
    finally:
        task.cancel()
