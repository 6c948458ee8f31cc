"""What a request may be written as; what is no OTLP is read where its option names it."""

from __future__ import annotations

from enum import Enum


class Form(Enum):
    """What a request is written as."""

    JSON = "OTLP/JSON"
    PROTOBUF = "OTLP protobuf"
    JAEGER = "Jaeger's JSON"
    ZIPKIN = "Zipkin's JSON"


# By the words of the option.
NAMED = {"jaeger": Form.JAEGER, "zipkin": Form.ZIPKIN}


def remedy(kind: str) -> str:
    """Say how to have that read which seems to be of this kind; "" where that is not possible."""
    return next(
        (f"; --form {name} reads it" for name, form in NAMED.items() if form.value == kind), ""
    )
