"""What may be chosen about the attributes."""

from __future__ import annotations

from typing import Literal

Encoding = Literal["array", "bytes", "base64"]
DEFAULT_PREFIX = "embedding."
