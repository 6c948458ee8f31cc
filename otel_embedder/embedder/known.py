"""What is known of recent texts, and how often that was of use."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Collection

Value = TypeVar("Value")


class CacheInfo(NamedTuple):
    """How a cache does.

    Attributes:
        hits: texts asked for whose vectors were known.
        misses: texts asked for whose vectors were not.
        maxsize: how many vectors are remembered at most.
        currsize: how many are now.

    """

    hits: int
    misses: int
    maxsize: int
    currsize: int


class Known(Generic[Value]):
    """An LRU cache keyed by the text, which counts its hits and misses."""

    def __init__(self, *, max_texts: int) -> None:
        # The one that nobody asked for the longest is the first.
        self._values: OrderedDict[str, Value] = OrderedDict()
        self._max_texts = max_texts
        self._hits = 0
        self._misses = 0

    def look_up(self, contents: Collection[str]) -> list[Value | None]:
        """Give what is known of each text, in order, None where nothing is; count both."""
        values = [*map(self._values.get, contents)]
        for content, value in zip(contents, values, strict=True):
            if value is not None:
                self._values.move_to_end(content)
        misses = values.count(None)
        self._misses += misses
        self._hits += len(values) - misses
        return values

    def remember(self, content: str, value: Value) -> None:
        """Know this of a text, and forget the one that nobody asked for the longest."""
        self._values[content] = value
        self._values.move_to_end(content)
        if len(self._values) > self._max_texts:
            self._values.popitem(last=False)

    def recall(self, content: str, value: Value) -> bool:
        """Know this of a text that was asked for before all others; tell whether there is room.

        What is known of it already stays.
        """
        if content in self._values:
            return True
        if len(self._values) >= self._max_texts:
            return False
        self._values[content] = value
        self._values.move_to_end(content, last=False)
        return True

    def info(self) -> CacheInfo:
        """Tell how it does."""
        return CacheInfo(self._hits, self._misses, self._max_texts, len(self._values))
