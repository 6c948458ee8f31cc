"""Keys of attributes, and patterns of them."""

from __future__ import annotations

import re
from fnmatch import translate
from typing import TYPE_CHECKING

from otel_embedder.text.wording.words import parted

if TYPE_CHECKING:
    from collections.abc import Iterable

NEVER = r"(?!)"  # a pattern that matches nothing


def any_of(patterns: Iterable[str]) -> re.Pattern[str]:
    """Give what matches whatever one of some patterns (`fnmatch`) does."""
    return re.compile("|".join(map(translate, patterns)) or NEVER)


def key_words(key: str) -> str:
    """Give a key as patterns of keys see it: in lower case, with underscores between words."""
    return parted(key, "_").replace("-", "_").lower()
