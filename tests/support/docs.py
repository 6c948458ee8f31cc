"""Tables of the documents, made from the code. `make docs` puts them in, `make check` compares."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_embedder.settings import Settings, default_text
from otel_embedder.telemetry.declarations import METRICS, NAMESPACE

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo


def settings_table() -> str:
    """Give one row a setting."""
    rows = [
        f"| `{name}` | {_default(name, field)} | {field.description} |"
        for name, field in Settings.model_fields.items()
    ]
    return "\n".join(["| setting | default | what it does |", "|---|---|---|", *rows])


def _default(name: str, field: FieldInfo) -> str:
    # It is another one on each machine.
    return "the user's cache directory" if name == "model_cache" else f"`{default_text(field)}`"


def metrics_table() -> str:
    """Give one row a metric."""
    rows = [
        f"| `{NAMESPACE}_{metric.name}` | {metric.kind} | {metric.description} |"
        for metric in METRICS
    ]
    return "\n".join(["| metric | kind | what it tells |", "|---|---|---|", *sorted(rows)])
