"""What is read from encoded bytes, remembered by these bytes; and what is made of that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Key = TypeVar("Key")
Value = TypeVar("Value")
# What one kind of fragment may take in memory: some 10,000 of usual length.
MAX_REMEMBERED_BYTES = 8 * 1024 * 1024
ENTRY_BYTES = 512  # an entry's value, and Python's own share


class Bounded(dict[Key, Value], Generic[Key, Value]):
    """Values by key, in so many bytes of memory.

    When it is full it starts again: what recurs is soon back.
    """

    def __init__(self, size: Callable[[Key], int]) -> None:
        """Begin with nothing.

        Args:
            size: gives the bytes of a key.

        """
        super().__init__()
        self._size = size
        self._bytes_left = MAX_REMEMBERED_BYTES

    def memory(self) -> int:
        """Give what it takes in memory, in bytes."""
        return MAX_REMEMBERED_BYTES - self._bytes_left

    def remember(self, key: Key, value: Value) -> None:
        """Keep a value; if there is no room for it, make some."""
        if key in self:
            return  # it is paid for, and what is made of a key is always the same
        size = ENTRY_BYTES + self._size(key)
        if size > self._bytes_left:
            self.forget()
        if size <= self._bytes_left:
            self._bytes_left -= size
            self[key] = value

    def forget(self) -> None:
        """Make room."""
        self.clear()

    def clear(self) -> None:
        """Forget all."""
        super().clear()
        self._bytes_left = MAX_REMEMBERED_BYTES


class Made(Bounded[Key, Value]):
    """Looks keys up, and makes what it has not got.

    A dict with `__missing__`, because a hit then runs in C.
    """

    def __init__(self, make: Callable[[Key], Value], size: Callable[[Key], int]) -> None:
        """Begin with nothing.

        Args:
            make: gives a key's value.
            size: gives the bytes of a key.

        """
        super().__init__(size)
        self._make = make

    def __missing__(self, key: Key) -> Value:
        value = self._make(key)
        self.remember(key, value)
        return value


class Remembered(Made[bytes, Value], Generic[Value]):
    """Looks encoded bytes up, and reads those that it has not seen."""

    def __init__(self, read: Callable[[bytes], Value]) -> None:
        super().__init__(read, len)
