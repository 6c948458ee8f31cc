"""`otel-embedder eval`."""

from __future__ import annotations

import time
from collections import Counter
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from otel_embedder.annotation.annotator import annotator
from otel_embedder.cli.eval.groups import judge_groups
from otel_embedder.cli.eval.profiles import (
    DEFAULT_PROFILES,
    ablations,
    chosen_texts,
    none_ablated,
    profile_renderer,
)
from otel_embedder.cli.eval.report import SHOWN, SHOWN_CHANGES
from otel_embedder.cli.parts.arguments import (
    files_argument,
    form_option,
    output_option,
    tell_of_cut_off,
)
from otel_embedder.cli.parts.options import (
    MODEL_SETTINGS,
    TEXT_SETTINGS,
    settings_from,
    settings_options,
)
from otel_embedder.cli.parts.progress import progress_bar
from otel_embedder.embedder.bulk import BulkEmbedder, embedded
from otel_embedder.embedder.models.engines import load_model, model_choice
from otel_embedder.embedder.models.tokens import TokenCounter
from otel_embedder.files.trace_files import STDIN, TraceFiles
from otel_embedder.search.evaluation.changes import judge_changes
from otel_embedder.search.evaluation.evaluation import Known, asked_of, compared_texts, evaluate
from otel_embedder.search.evaluation.incidents import IncidentReader
from otel_embedder.search.evaluation.labels import read_labels, read_windows
from otel_embedder.search.evaluation.questions import read_questions
from otel_embedder.search.evaluation.reading import CorpusReader
from otel_embedder.text.options import render_options
from otel_embedder.text.rendering import new_renderer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from otel_embedder.embedder.embedding import Vector
    from otel_embedder.embedder.models.choice import ModelChoice
    from otel_embedder.files.named_forms import Form
    from otel_embedder.search.evaluation.evaluation import Asked
    from otel_embedder.search.evaluation.questions import Question
    from otel_embedder.search.evaluation.reading import Corpus
    from otel_embedder.settings import Settings

INPUT = click.Path(exists=True, dir_okay=False, path_type=Path)


# Which profiles are judged is said otherwise.
OTHER_TEXT_SETTINGS = tuple(name for name in TEXT_SETTINGS if name != "profile")


@click.command("eval")
@files_argument
@click.option(
    "--questions",
    "questions_file",
    type=INPUT,
    metavar="FILE",
    help="YAML: questions in plain words, and which spans answer each.",
)
@click.option(
    "--labels",
    "labels_files",
    type=INPUT,
    metavar="FILE",
    multiple=True,
    help="A table with tabs, gzip or not: which spans show which injected fault. May be repeated.",
)
@click.option(
    "--causes",
    "causes_file",
    type=INPUT,
    metavar="FILE",
    help="A table with tabs, gzip or not: trace_id, and the cause for which that trace failed. "
    "Groups of failures are judged by it, and nothing else.",
)
@click.option(
    "--profile",
    "profiles",
    metavar="NAME",
    multiple=True,
    default=DEFAULT_PROFILES,
    show_default=True,
    help="A text to judge: words, template or a YAML file of your own. The first is compared with "
    "each of the others. May be repeated.",
)
@click.option("--ablate", is_flag=True, help="Change each rule of the profiles by itself, too.")
@click.option(
    "--sample",
    "sample_size",
    type=click.IntRange(min=1),
    default=5_000,
    show_default=True,
    help="Spans of each file that questions are asked of, and that show faults, at most.",
)
@click.option(
    "--cache-size",
    "cache_sizes",
    type=click.IntRange(min=1),
    multiple=True,
    default=(10_000,),
    show_default=True,
    help="Texts whose vectors are remembered, to see how often that helps. May be repeated.",
)
@form_option
@output_option("Tables, or a line of JSON for each number.")
@settings_options(*OTHER_TEXT_SETTINGS, "attribute_prefix", *MODEL_SETTINGS)
def command(  # noqa: PLR0913 - an option is an argument
    *,
    files: Sequence[str],
    form: Form | None,
    questions_file: Path | None,
    labels_files: Sequence[Path],
    causes_file: Path | None,
    profiles: Sequence[str],
    ablate: bool,
    sample_size: int,
    cache_sizes: Sequence[int],
    output: str,
    **flags: object,
) -> None:
    """Judge texts on the spans in FILE...: what they find, and what they cost.

    With --questions it tells how much of what answers a question comes first
    (R-precision, by cosine, by words, and by both as `nearest` ranks); with
    --labels how often a faulty span's nearest has the same fault, of another
    injection, and where they tell windows, whether `changes` names the faulty
    service first, and how often it raises a false alarm; with --causes how well
    groups of failures agree with known causes; and always the tokens, the distinct
    texts and what a cache would save. Numbers in brackets are 95 % intervals.
    docs/text.md, docs/changes.md and docs/groups.md have the formats.

    Example: otel-embedder eval traces.jsonl.gz --questions questions.yaml
    """
    settings = settings_from(flags)
    named = _named(files)
    if causes_file is not None:
        judge_groups(named, causes_file, settings, form=form, output=output)
        return
    options = render_options(settings)
    chosen = chosen_texts(
        profiles,
        partial(profile_renderer, options=options),
        partial(ablations, options=options) if ablate else none_ablated,
    )
    for profile in chosen.profiles if ablate else ():
        if not chosen.changed[profile]:
            click.echo(f"{profile} has no rule that could be changed", err=True)
    questions = _questions(questions_file, [*named])
    reader = CorpusReader(
        chosen.renderers,
        annotator=annotator(settings, text_version=""),
        faults={span: fault for file in labels_files for span, fault in read_labels(file).items()},
        sample_size=sample_size,
    )
    incidents = {name: _incident_reader(labels_files, settings) for name in named}
    corpora = {
        name: _read(name, TraceFiles([file], on_cut_off=tell_of_cut_off, form=form), reader, each)
        for (name, file), each in zip(named.items(), incidents.values(), strict=True)
    }
    asked = {name: asked_of(corpus, questions[name]) for name, corpus in corpora.items()}
    _tell(corpora, asked)
    known = _known(corpora, asked, model_choice(settings))
    SHOWN[output](evaluate(corpora, asked, known, cache_sizes), chosen)
    for name, each in incidents.items():
        counted = each.incidents(now=time.time_ns())
        if counted.windows:
            SHOWN_CHANGES[output](name, [*judge_changes(name, counted)])


def _named(files: Sequence[str]) -> dict[str, str]:
    """Give the files by the names by which questions know them: without folder and endings."""
    named: dict[str, str] = {}
    for file in files:
        name = "stdin" if file == STDIN else Path(file).name.split(".")[0]
        if name in named:
            raise click.UsageError(f"{named[name]} and {file} have one name, {name}: rename one.")
        named[name] = file
    return named


def _questions(file: Path | None, names: Sequence[str]) -> dict[str, list[Question]]:
    """Give the questions by the name of the file that they are asked of."""
    asked: dict[str, list[Question]] = {name: [] for name in names}
    others: Counter[str] = Counter()
    for question in read_questions(file) if file else ():
        if question.ds is None and len(names) > 1:
            raise click.UsageError(
                f"{file}: {question.q!r} needs ds, the name of a file: {', '.join(names)}."
            )
        name = question.ds or names[0]
        if name in asked:
            asked[name].append(question)
        else:
            others[name] += 1
    if file and not any(asked.values()):
        raise click.UsageError(
            f"{file} asks of {', '.join(others)}, but not of {', '.join(names)}: ds must be the "
            "name of a file, without folder and endings."
        )
    for name, count in others.items():
        click.echo(f"{count:,} questions are of {name}, which is not here", err=True)
    return asked


def _incident_reader(labels_files: Sequence[Path], settings: Settings) -> IncidentReader:
    renderer = new_renderer(render_options(settings))
    windows = {ids: each for file in labels_files for ids, each in read_windows(file).items()}
    return IncidentReader(windows, renderer, annotator(settings, renderer.text_version))


def _read(name: str, traces: TraceFiles, reader: CorpusReader, incidents: IncidentReader) -> Corpus:
    with traces.naming_faults(), progress_bar(f"Reading {name}") as advance:
        requests = incidents.passing(traces.requests(), now=time.time_ns())
        return reader.read(name, requests, advance)


def _tell(corpora: Mapping[str, Corpus], asked: Mapping[str, Sequence[Asked]]) -> None:
    """Tell what there is to judge by."""
    for name, corpus in corpora.items():
        questions = [each for each in asked[name] if each.answers.any()]
        click.echo(
            f"{name}: {len(corpus.traces):,} spans, {len(corpus.sample):,} of them asked "
            f"{len(questions):,} questions, {len(corpus.symptoms):,} with faults",
            err=True,
        )
        for each in asked[name]:
            if not each.answers.any():
                click.echo(f"{name}: no span answers {each.question.q!r}", err=True)


def _known(
    corpora: Mapping[str, Corpus], asked: Mapping[str, Sequence[Asked]], choice: ModelChoice
) -> Known:
    """Let the model embed what is compared, and count the tokens of all texts."""
    counter = TokenCounter(choice)
    every = [*{text for corpus in corpora.values() for text in corpus.distinct_texts()}]
    compared = {text for corpus in corpora.values() for text in compared_texts(corpus)}
    compared |= {each.question.q for questions in asked.values() for each in questions}
    vectors: dict[str, Vector] = {}
    with (
        BulkEmbedder(load_model(choice), threads=choice.threads, max_texts=1) as embedder,
        progress_bar("Embedding texts", total=len(compared)) as advance,
    ):
        for text, embedding in embedded(sorted(compared), embedder, window=embedder.window):
            vectors[text] = embedding.vector
            advance(1)
    return Known(vectors, dict(zip(every, counter.counts(every), strict=True)), counter.max_tokens)
