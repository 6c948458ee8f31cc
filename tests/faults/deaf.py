"""Ways not to listen to a process that tells of itself."""

from __future__ import annotations

import os
import select
from contextlib import suppress
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Heard = Callable[[IO[str]], Iterator[str]]

# Hears what a file says, as long as there is whoever writes it.
THROUGH_A_FILE = """tail --pid=$$ --sleep-interval=0.1 -n +1 -F "$0" >&2 2>/dev/null &
exec "$@" 2>>"$0"
"""


def until(part: str) -> Heard:
    """Hang up behind the line that holds this, as `head` does, or a log shipper that dies."""

    def heard(stream: IO[str]) -> Iterator[str]:
        for line in stream:
            yield line
            if part in line:
                return

    return heard


def unread_after(part: str) -> Heard:
    """Read no more behind the line that holds this: what is written then has no room."""

    def heard(stream: IO[str]) -> Iterator[str]:
        yield from until(part)(stream)
        _fill(stream)
        hung_up = select.poll()
        hung_up.register(stream, 0)
        hung_up.poll()

    return heard


def _fill(pipe: IO[str]) -> None:
    writer = os.open(f"/proc/self/fd/{pipe.fileno()}", os.O_WRONLY | os.O_NONBLOCK)
    try:
        with suppress(BlockingIOError):
            while True:
                os.write(writer, b"\n")
    finally:
        os.close(writer)
