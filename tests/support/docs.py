"""The tables of the README, made from the code. `make docs` puts them in, `make check` compares."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_embedder.settings import Settings, default_text
from otel_embedder.telemetry.metrics import NAMESPACE, Metrics

if TYPE_CHECKING:
    from collections.abc import Iterator

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
    metrics = Metrics()
    metrics.watch_queue(lambda: 0)
    rows = [
        f"| `{name}` | {kind} | {description} |" for name, kind, description in _metrics(metrics)
    ]
    return "\n".join(["| metric | kind | what it tells |", "|---|---|---|", *sorted(rows)])


def _metrics(metrics: Metrics) -> Iterator[tuple[str, str, str]]:
    for family in metrics.registry.collect():
        if family.name.startswith(NAMESPACE):
            suffix = "_total" if family.type == "counter" else ""
            yield family.name + suffix, family.type, family.documentation
