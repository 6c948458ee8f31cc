"""What there is to choose from, and what is chosen if nobody says."""

from typing import Literal

Encoding = Literal["array", "bytes", "base64"]
Engine = Literal["ctranslate2"]
OnFailure = Literal["fallback", "omit"]
Compression = Literal["none", "gzip"]
LogFormat = Literal["console", "json"]
LogLevel = Literal["debug", "info", "warning", "error"]

DEFAULT_MODEL = "all-MiniLM-L6-v2"

DEFAULT_VOLATILE_KEYS = (
    *("thread.*", "process.pid", "process.parent_pid", "*.port"),
    *("*.id", "*_id", "*.ids", "*.uuid", "*.guid"),
)
