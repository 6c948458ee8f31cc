"""The template of a span's text: where service, operation, status, duration and attributes go.

``{service} {operation} {status} in {duration_ms}ms attributes: {k}={v} ...``

What stands from ``{k}`` to ``...`` is repeated for each attribute; what stands
between ``{v}`` and ``...`` separates them.
"""

from __future__ import annotations

import re
import string
from dataclasses import dataclass

DEFAULT_TEMPLATE = "{service} {operation} {status} in {duration_ms}ms attributes: {k}={v} ..."

FIELDS = ("service", "operation", "status", "duration_ms")
KNOWN_FIELDS = f"there are {', '.join(f'{{{field}}}' for field in FIELDS)} and {{k}}={{v}} ..."
_REPEATED = re.compile(r"\{k\}(?P<between>[^{}]*)\{v\}(?P<separator>[^{}]*?)\.\.\.")


@dataclass(frozen=True, slots=True)
class Template:
    """A parsed template.

    Attributes:
        text: for `str.format`, with the FIELDS and `attributes` by position.
        between: what stands between an attribute's key and its value.
        separator: what stands between two attributes.

    """

    text: str
    between: str
    separator: str


def parse_template(template: str) -> Template:
    """Read a template.

    Raises:
        ValueError: it has a field that does not exist, or half an attribute.

    """
    repeated = _REPEATED.search(template)
    text = _REPEATED.sub("{attributes}", template, count=1)
    _check_fields(text)
    if "{" not in text:
        raise ValueError(f"it needs a field, or every span reads the same; {KNOWN_FIELDS}")
    for position, name in enumerate((*FIELDS, "attributes")):
        text = text.replace(f"{{{name}}}", f"{{{position}}}")
    if repeated is None:
        return Template(text, "=", " ")
    return Template(text, repeated["between"], repeated["separator"])


def _check_fields(text: str) -> None:
    for _, name, specification, conversion in string.Formatter().parse(text):
        if name in {"k", "v"}:
            raise ValueError("attributes are written {k}={v} ..., once and with the three dots")
        if name is not None and name not in {*FIELDS, "attributes"}:
            raise ValueError(f"there is no field {{{name}}}; {KNOWN_FIELDS}")
        if specification or conversion:
            raise ValueError(f"{{{name}}} takes no format or conversion")
