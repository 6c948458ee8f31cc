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


class Made(dict[Key, Value], Generic[Key, Value]):
    """Looks keys up, and makes what it has not got.

    A dict with `__missing__`, because a hit then runs in C. When it is full it
    starts again: what recurs is soon back.

    Attributes:
        bytes_left: what may still be remembered takes at most so much.

    """

    def __init__(self, make: Callable[[Key], Value], size: Callable[[Key], int]) -> None:
        """Begin with nothing.

        Args:
            make: gives a key's value.
            size: gives the bytes of a key.

        """
        super().__init__()
        self._make = make
        self._size = size
        self.bytes_left = MAX_REMEMBERED_BYTES

    def __missing__(self, key: Key) -> Value:
        value = self._make(key)
        if self.cost(key) > self.bytes_left:
            self.forget()
        self.remember(key, value)
        return value

    def cost(self, key: Key) -> int:
        """Give what an entry takes in memory, in bytes."""
        return ENTRY_BYTES + self._size(key)

    def forget(self) -> None:
        """Make room."""
        self.clear()

    def clear(self) -> None:
        """Forget all."""
        super().clear()
        self.bytes_left = MAX_REMEMBERED_BYTES

    def remember(self, key: Key, value: Value) -> None:
        """Keep what was made of a key, if there is room."""
        cost = self.cost(key)
        if cost <= self.bytes_left:
            self.bytes_left -= cost
            self[key] = value


class Remembered(Made[bytes, Value], Generic[Value]):
    """Looks encoded bytes up, and reads those that it has not seen."""

    def __init__(self, read: Callable[[bytes], Value]) -> None:
        super().__init__(read, len)
