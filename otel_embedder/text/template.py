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
POSITIONS = (*FIELDS, "attributes")
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

    @property
    def positions(self) -> frozenset[int]:
        """The positions that it has, of those in POSITIONS."""
        names = [name for _, name, _, _ in string.Formatter().parse(self.text)]
        return frozenset(int(name) for name in names if name is not None)


def parse_template(template: str) -> Template:
    """Read a template.

    Raises:
        ValueError: it has a field that does not exist, or half an attribute.

    """
    repeated = _REPEATED.search(template)
    parts = [*string.Formatter().parse(_REPEATED.sub("{attributes}", template, count=1))]
    for _, name, specification, conversion in parts:
        _check_field(name, specification, conversion)
    if all(name is None for _, name, _, _ in parts):
        raise ValueError(f"it needs a field, or every span reads the same; {KNOWN_FIELDS}")
    text = "".join(_escaped(literal) + _numbered(name) for literal, name, _, _ in parts)
    if repeated is None:
        return Template(text, "=", " ")
    return Template(text, repeated["between"], repeated["separator"])


def _check_field(name: str | None, specification: str | None, conversion: str | None) -> None:
    if name in {"k", "v"}:
        raise ValueError("attributes are written {k}={v} ..., once and with the three dots")
    if name is not None and name not in POSITIONS:
        raise ValueError(f"there is no field {{{name}}}; {KNOWN_FIELDS}")
    if specification or conversion:
        raise ValueError(f"{{{name}}} takes no format or conversion")


def _escaped(literal: str) -> str:
    return literal.replace("{", "{{").replace("}", "}}")


def _numbered(name: str | None) -> str:
    return "" if name is None else f"{{{POSITIONS.index(name)}}}"
