"""What may be chosen about logs and metrics."""

from __future__ import annotations

from typing import Literal

LogFormat = Literal["console", "json"]
LogLevel = Literal["debug", "info", "warning", "error"]
