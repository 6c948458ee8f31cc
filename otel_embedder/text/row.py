"""What is counted of a span: what it does, however it went and however long it took.

A failing span and a good one of the same operation have the same row. So what is only known once
a span has ended is not in it: its duration, its status, and attributes that tell of either.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from otel_embedder.text.masking.masks import mask
from otel_embedder.text.values import decode
from otel_embedder.text.wording.keys import any_of, key_words

if TYPE_CHECKING:
    from otel_embedder.text.hiding.secrets import Secrets

MAX_OPERATION_CHARACTERS = 256

_OUTCOMES = any_of(
    [
        *("error", "error[._]*", "*.error", "*.error[._]*"),
        *("exception", "exception[._]*", "*.exception", "*.exception[._]*"),
        *("*status_code", "*statuscode", "*status.code", "*grpc*status", "otel.status*"),
        *("*response_code", "*responsecode", "*response.code", "*status_text", "*status_message"),
        *("*retry_count", "*resend_count"),
    ]
)


class SpanRow(NamedTuple):
    """What is counted of a span.

    Attributes:
        operation: its name for people, without secrets and ids; empty where it has none.
        kind: SERVER, CLIENT, ...; empty where it has none.
        words: what its text says of operation, kind and attributes, but for those of its outcome.
        status: UNSET, OK or ERROR.

    """

    operation: str
    kind: str
    words: str
    status: str


def operation_name(name: bytes, secrets: Secrets) -> str:
    """Give a span's name as people know it, without secrets and ids."""
    return mask(decode(name, secrets.hidden))[:MAX_OPERATION_CHARACTERS].strip()


def tells_outcome(key: str) -> bool:
    """Tell whether an attribute of this key says how its span went."""
    return bool(_OUTCOMES.match(key_words(key)))
