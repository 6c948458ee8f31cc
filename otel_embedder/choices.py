"""What there is to choose from, and what is chosen if nobody says."""

import re
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, get_args

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

# Words of a key, however it is spelt: api.key is apiKey, API_KEY and x-api-key, too.
DEFAULT_SECRET_KEYS = (
    *("*authorization", "bearer", "jwt", "*cookie", "*cookies", "*session", "*sessionid"),
    *("*sessid", "sid", "*password", "*passwords", "*passwd", "*passphrase", "*pwd", "pass"),
    *("*secret", "*secrets", "*token", "*credential", "*credentials", "api.key", "*apikey"),
    *("access.key", "*accesskey", "account.key", "*accountkey", "auth.key", "encryption.key"),
    *("functions.key", "master.key", "private.key", "*privatekey", "shared.key", "signing.key"),
    *("ssh.key", "subscription.key", "connection.string", "connection.strings"),
    *("*connectionstring", "dsn", "sig", "signature", "otp", "cvc", "cvv"),
)


def check_engine(engine: str) -> None:
    """Make sure that there is such an engine here.

    Raises:
        ValueError: there is not.

    """
    if engine not in get_args(Engine):
        raise ValueError(f"must be {' or '.join(get_args(Engine))}")
    if engine == "sentence-transformers" and find_spec(REFERENCE_PACKAGE) is None:
        raise ValueError(REFERENCE_REMEDY)


def check_model(model: str, engine: str | None) -> None:
    """Make sure that an engine may have such a model; whether it loads is seen when it does.

    Raises:
        ValueError: it may not.

    """
    # What a directory holds is looked at when the model loads: it may come later.
    if model in DEFAULT_MODEL_NAMES or Path(model).is_dir():
        return
    # A wrong engine is complained of itself; what it would have taken nobody knows.
    if engine == "ctranslate2":
        raise ValueError(
            f"must be {DEFAULT_MODEL} or an existing directory; others are for the engine "
            "sentence-transformers"
        )
    if not HUB_NAME.fullmatch(model):
        raise ValueError("must be a name on the Hugging Face hub, or an existing directory")
