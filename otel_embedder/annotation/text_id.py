"""An id that spans share which read alike: an exact key for stores that know nothing of vectors."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from otel_embedder.annotation.standing import Origin

DIGITS = 16
_IS_ONE = re.compile(rf"[0-9a-f]{{{DIGITS}}}", re.ASCII).fullmatch


def text_id(origin: Origin, text: str) -> str:
    """Give 16 hex digits of SHA-256 over model, text version and text.

    The model is the one that is to embed the text, also where a stand-in had to do: whoever reads
    alike has one id, before, during and after an outage.

    Args:
        origin: what a vector of ours says of itself.
        text: the text.

    """
    said = f"{origin.model}\0{origin.text_version}\0{text}"
    # Half a surrogate, as JSON may have it, is no reason to have no id.
    return hashlib.sha256(said.encode("utf-8", "surrogatepass")).hexdigest()[:DIGITS]


def is_text_id(value: object) -> bool:
    """Tell whether an attribute's value is such an id."""
    return isinstance(value, str) and _IS_ONE(value) is not None
