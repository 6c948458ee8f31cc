"""Messages that are read into one object, again and again.

Protobuf keeps what a message holds in an arena of its own. After each 10,000 blocks of these that
were freed its library gives all free memory back to the system, whatever the next request takes: a
sidecar that reads each span into a new message faults its heap in anew with every few requests.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Generic, TypeVar

from google.protobuf.message import Message

if TYPE_CHECKING:
    from collections.abc import Callable

MessageType = TypeVar("MessageType", bound=Message)

# What was read before is kept in the arena as well, so it has an end.
TIMES = 256


class Reused(Generic[MessageType]):
    """Reads messages of a kind; each thread has its own."""

    def __init__(self, kind: Callable[[], MessageType]) -> None:
        self._own = _Own(kind)

    def read(self, encoded: bytes) -> MessageType:
        """Give a message, which is another one as soon as the next is read.

        Raises:
            google.protobuf.message.DecodeError: these bytes are none of its kind.

        """
        return self._own.read(encoded)

    def reader(self) -> Callable[[bytes], MessageType]:
        """Give this thread's own `read`, for a loop."""
        return self._own.read


class _Own(threading.local, Generic[MessageType]):
    """What a thread has of its own, as one thing: to look one up takes longer than to read one."""

    def __init__(self, kind: Callable[[], MessageType]) -> None:
        self.read = _Reader(kind).read


class _Reader(Generic[MessageType]):
    __slots__ = ("_kind", "_left", "_message", "_parse")

    def __init__(self, kind: Callable[[], MessageType]) -> None:
        self._kind = kind
        self._left = 0

    def read(self, encoded: bytes) -> MessageType:
        if not self._left:
            self._message, self._left = self._kind(), TIMES
            self._parse = self._message.ParseFromString
        self._left -= 1
        self._parse(encoded)
        return self._message
