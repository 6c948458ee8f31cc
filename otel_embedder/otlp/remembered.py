"""What is read from encoded bytes, remembered by these bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Value = TypeVar("Value")
# What one kind of fragment may take in memory: some 10,000 of usual length.
MAX_REMEMBERED_BYTES = 8 * 1024 * 1024
ENTRY_BYTES = 512  # an entry's value, and Python's own share


class Remembered(dict[bytes, Value], Generic[Value]):
    """Looks encoded bytes up, and reads those that it has not seen.

    A dict with `__missing__`, because a hit then runs in C. When it is full it
    starts again: what recurs is soon back.
    """

    def __init__(self, read: Callable[[bytes], Value]) -> None:
        super().__init__()
        self._read = read
        self._bytes_left = MAX_REMEMBERED_BYTES

    def __missing__(self, encoded: bytes) -> Value:
        value = self._read(encoded)
        size = ENTRY_BYTES + len(encoded)
        if size > self._bytes_left:
            self.clear()
            self._bytes_left = MAX_REMEMBERED_BYTES
        if size <= self._bytes_left:
            self._bytes_left -= size
            self[encoded] = value
        return value
