"""What may be chosen about the text; every choice is part of the text's version."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass

from otel_embedder.text.template import DEFAULT_TEMPLATE

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
# Raise it when the same span with the same options would get another text.
RENDERER_VERSION = 2


@dataclass(frozen=True, slots=True)
class RenderOptions:
    """What a user may choose about the text; every choice is part of the text's version.

    Attributes:
        template: see `template`.
        exact_durations: give durations to the nanosecond instead of rounded to R5.
        mask_values: put words for ids, addresses and times; see `masks`.
        volatile_keys: patterns (`fnmatch`) of attribute keys that are left out.
        secret_keys: words of keys whose values are hidden, wherever they stand; see `secrets`.
        mask_secrets: put a word for what looks like a secret, even if `mask_values` is off.

    """

    template: str = DEFAULT_TEMPLATE
    exact_durations: bool = False
    mask_values: bool = True
    volatile_keys: tuple[str, ...] = DEFAULT_VOLATILE_KEYS
    secret_keys: tuple[str, ...] = DEFAULT_SECRET_KEYS
    mask_secrets: bool = True

    def version(self) -> str:
        """Name the text that these options make: vectors compare only within one version."""
        if self == RenderOptions():
            return str(RENDERER_VERSION)
        chosen = json.dumps(asdict(self), sort_keys=True).encode()
        return f"{RENDERER_VERSION}.{hashlib.sha256(chosen).hexdigest()[:8]}"
