"""What may be chosen about embedding."""

from __future__ import annotations

from typing import Literal

OnFailure = Literal["fallback", "omit"]
