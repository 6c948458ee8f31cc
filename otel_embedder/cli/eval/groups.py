"""Groups of failures judged on files: whether they agree with causes that somebody knows."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import click

from otel_embedder.cli.parts.arguments import tell_of_cut_off
from otel_embedder.cli.parts.progress import progress_bar
from otel_embedder.cli.parts.tables import new_table, show
from otel_embedder.files.trace_files import TraceFiles
from otel_embedder.search.evaluation.causes import read_causes
from otel_embedder.search.evaluation.grouping import judged
from otel_embedder.search.recording.recorder import Bounds, Recorder
from otel_embedder.text.options import render_options
from otel_embedder.text.rendering import new_renderer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from otel_embedder.files.named_forms import Form
    from otel_embedder.search.evaluation.grouping import GroupingScore
    from otel_embedder.search.groups.failed import FailedTrace
    from otel_embedder.settings import Settings

# A file that holds more is judged by what of it is read up to here.
BOUNDS = Bounds(8_000_000, 2**31, 1_000_000, 2**30)


def judge_groups(
    files: Mapping[str, str], causes: Path, settings: Settings, *, form: Form | None, output: str
) -> None:
    """Print how well groups agree with causes, for each file by its name."""
    known = read_causes(causes)
    scores = {
        name: judged(_failures(name, file, settings, form), known) for name, file in files.items()
    }
    if output == "json":
        for name, score in scores.items():
            told = {"data": name, "v_measure": score.v_measure, **score._asdict()}
            click.echo(json.dumps(told))
    else:
        _show(scores)


def _failures(name: str, file: str, settings: Settings, form: Form | None) -> list[FailedTrace]:
    renderer = new_renderer(render_options(settings))
    recorder = Recorder(name, renderer, bounds=BOUNDS, is_file=True)
    now = time.time_ns()
    traces = TraceFiles([file], on_cut_off=tell_of_cut_off, form=form)
    with traces.naming_faults(), progress_bar(f"Reading {name}") as advance:
        for request in traces.requests():
            for resource in request.resources:
                scopes = resource.scopes
                spans = [span.encoded for scope in scopes for span in scope.spans]
                nothing: list[None] = [None] * len(spans)
                recorder.take(resource.resource, spans, nothing, nothing, now=now)
            advance(request.spans)
    batch = recorder.flush(now)
    return [] if batch is None else [*batch.failures]


def _show(scores: Mapping[str, GroupingScore]) -> None:
    table = new_table(
        *("", "traces", "causes", "groups", "homogeneity", "completeness", "V", "order agreement"),
        title="Groups of failures against known causes",
    )
    for name, score in scores.items():
        shares = score.homogeneity, score.completeness, score.v_measure, score.order_agreement
        counts = (f"{count:,}" for count in (score.traces, score.causes, score.groups))
        table.add_row(name, *counts, *(f"{share:.3f}" for share in shares))
        click.echo(
            f"{name}: {score.unlabelled:,} more traces failed, for causes that are not in the "
            f"table; {score.absent:,} that are in it did not fail",
            err=True,
        )
    show(table)
