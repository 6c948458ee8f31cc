"""What there is to choose from, and what is chosen if nobody says."""

import re
from typing import Literal

Encoding = Literal["array", "bytes", "base64"]
Engine = Literal["ctranslate2", "sentence-transformers"]
OnFailure = Literal["fallback", "omit"]
Compression = Literal["none", "gzip"]
LogFormat = Literal["console", "json"]
LogLevel = Literal["debug", "info", "warning", "error"]

DEFAULT_MODEL = "all-MiniLM-L6-v2"
DEFAULT_MODEL_NAMES = (DEFAULT_MODEL, f"sentence-transformers/{DEFAULT_MODEL}")
# What a model may be called on the Hugging Face hub, such as BAAI/bge-small-en-v1.5.
HUB_NAME = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?")

# What the engine of that name needs. It brings torch, so few have it.
REFERENCE_PACKAGE = "sentence_transformers"
REFERENCE_REMEDY = (
    "sentence-transformers is not installed: pip install 'otel-embedder[sentence-transformers]'"
)

DEFAULT_PREFIX = "embedding."

DEFAULT_VOLATILE_KEYS = (
    *("thread.*", "process.pid", "process.parent_pid", "*.port"),
    *("*.id", "*_id", "*.ids", "*.uuid", "*.guid"),
)
