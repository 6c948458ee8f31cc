"""What may be chosen about the next hop."""

from __future__ import annotations

from typing import Literal

Compression = Literal["none", "gzip"]
