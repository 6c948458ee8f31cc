"""Texts judged by whether questions find their spans, faults their like, and by what they cost."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from otel_embedder.otlp.facts import span_facts
from otel_embedder.search.evaluation.catalogued import AskedCatalogue
from otel_embedder.search.evaluation.measures import (
    Shares,
    counted,
    lru_hits,
    measured,
    r_precision,
)
from otel_embedder.search.evaluation.neighbours import Likeness, neighbours
from otel_embedder.search.ranking import (
    DURATION_WEIGHT,
    WORDS_WEIGHT,
    WordIndex,
    decades,
)

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Mapping, Sequence

    from otel_embedder.embedder.embedding import Vector
    from otel_embedder.search.evaluation.measures import Flags, Integers, Measure
    from otel_embedder.search.evaluation.questions import Question
    from otel_embedder.search.evaluation.reading import Corpus, Positioned, Texts

SEED = 13
ALL_FILES = "all files"

COSINE, HYBRID, BM25 = "R-precision, cosine", "R-precision, hybrid", "R-precision, BM25"
CATALOGUE = "R-precision, catalogue"
HIT, HIT_BESIDE = "hit@1", "hit@1, duration beside"
AMONG, AMONG_BESIDE = "P@10", "P@10, duration beside"
TOKENS, CUT_OFF, DISTINCT = "tokens a text", "texts cut off", "distinct texts"
QUESTION, INJECTION, TRACE = "question", "injection", "trace"


class Key(NamedTuple):
    """What a measure is called, and what its units are."""

    name: str
    unit: str


class Found(NamedTuple):
    """What was found of one measure: of each kind of text, by its name."""

    key: Key
    shares: dict[str, Shares]


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """A question, and what answers it.

    Attributes:
        question: the question.
        answers: which spans of the sample do; shape (sampled spans,).

    """

    question: Question
    answers: Flags


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """What a model makes of texts and questions.

    Attributes:
        vectors: of the texts that are compared, and of questions; each (dimension,), unit length.
        tokens: how many tokens each text has, before it is cut off.
        max_tokens: beyond how many a text is cut off.

    """

    vectors: Mapping[str, Vector]
    tokens: Mapping[str, int]
    max_tokens: int


def asked_of(corpus: Corpus, questions: Sequence[Question]) -> list[Asked]:
    """Give each question with its answers in a file's sample, of which there may be none."""
    spans = [(span.service, span_facts(span.encoded)) for span in corpus.sample]
    return [
        Asked(each, np.array([each.where.hold(*span) for span in spans], np.bool_))
        for each in questions
    ]


def compared_texts(corpus: Corpus) -> Iterator[str]:
    """Give the texts of which vectors are needed, some more than once."""
    positions = _positions([*corpus.sample, *corpus.symptoms])
    for texts in corpus.texts.values():
        for number in np.unique(texts.of_spans[positions]):
            yield texts.texts[number]


def evaluate(
    corpora: Mapping[str, Corpus],
    asked: Mapping[str, Sequence[Asked]],
    known: Known,
    cache_sizes: Sequence[int],
) -> list[Measure]:
    """Measure texts, file by file, and then of all files together.

    Args:
        corpora: what was kept of each file, by its name.
        asked: what is asked of each; questions without an answer are not looked at.
        known: what the model makes of texts and questions.
        cache_sizes: how many texts are remembered, to see how often that helps.

    """
    found: dict[str, list[Found]] = {
        name: [
            *_questions(corpus, asked[name], known),
            *_faults(corpus, known),
            *_texts(corpus, known, cache_sizes),
        ]
        for name, corpus in corpora.items()
    }
    if len(corpora) > 1:
        found[ALL_FILES] = _joined([each for every in found.values() for each in every])
    counts = _distinct(corpora)
    measures = []
    for data, every in found.items():
        measures += [measured(key.name, data, key.unit, shares, seed=SEED) for key, shares in every]
        measures.append(counted(DISTINCT, data, counts[data]))
    return measures


def _joined(found: Sequence[Found]) -> list[Found]:
    parts: dict[Key, list[dict[str, Shares]]] = defaultdict(list)
    for key, shares in found:
        parts[key].append(shares)
    return [
        Found(key, {text: Shares.joined([part[text] for part in every]) for text in every[0]})
        for key, every in parts.items()
    ]


def _distinct(corpora: Mapping[str, Corpus]) -> dict[str, dict[str, float]]:
    """Give how many distinct texts there are of each kind in each file, and in all."""
    counts = {
        name: {text: float(len(each.texts)) for text, each in corpus.texts.items()}
        for name, corpus in corpora.items()
    }
    totals: dict[str, float] = defaultdict(float)
    for every in counts.values():
        for text, count in every.items():
            totals[text] += count
    return {**counts, ALL_FILES: totals}


def _questions(corpus: Corpus, asked: Sequence[Asked], known: Known) -> Iterator[Found]:
    answerable = [each for each in asked if each.answers.any()]
    if not answerable:
        return
    positions = _positions(corpus.sample)
    found = {
        text: np.array([*_r_precisions(texts, positions, answerable, known)])
        for text, texts in corpus.texts.items()
    }
    for column, name in enumerate((COSINE, HYBRID, CATALOGUE, BM25)):
        shares = {text: Shares.each(values[:, column]) for text, values in found.items()}
        yield Found(Key(name, QUESTION), shares)


def _r_precisions(
    texts: Texts, positions: Integers, asked: Sequence[Asked], known: Known
) -> Iterator[tuple[float, ...]]:
    """Give the R-precision of each question by cosine, by both, by both as a catalogue answers.

    The last is that by words alone.

    Args:
        texts: how the spans of a file read.
        positions: which of these spans are asked.
        asked: the questions.
        known: what the model makes of them.

    """
    numbers, of_sample = np.unique(texts.of_spans[positions], return_inverse=True)
    candidates = [texts.texts[number] for number in numbers]
    words, vectors = WordIndex(candidates), _vectors(candidates, known)
    catalogue = AskedCatalogue(candidates, known.vectors)
    for each in asked:
        relevant = np.zeros(len(candidates), np.bool_)
        relevant[of_sample[each.answers]] = True
        cosines = vectors @ known.vectors[each.question.q]
        shares = words.shares(each.question.q)
        found = catalogue.scores(each.question.q)
        scores = (cosines, cosines + WORDS_WEIGHT * shares, found, shares)
        yield tuple(r_precision(score, relevant) for score in scores)


def _faults(corpus: Corpus, known: Known) -> Iterator[Found]:
    injections = _numbered([symptom.fault.injection for symptom in corpus.symptoms])
    faults = _numbered([symptom.fault[1:] for symptom in corpus.symptoms])
    total = len(np.unique(injections))
    if total in {0, 1}:  # there is no other one that it could be like
        return
    likeness = {text: _likeness(corpus, texts, known) for text, texts in corpus.texts.items()}
    for names, weight in (((HIT, AMONG), 0), ((HIT_BESIDE, AMONG_BESIDE), DURATION_WEIGHT)):
        found = {
            text: neighbours(each, injections, faults, weight=weight)
            for text, each in likeness.items()
        }
        for column, name in enumerate(names):
            shares = {
                text: Shares.grouped(values[:, column], injections, total)
                for text, values in found.items()
            }
            yield Found(Key(name, INJECTION), shares)


def _likeness(corpus: Corpus, texts: Texts, known: Known) -> Likeness:
    """Give how alike the spans are in which faults show."""
    positions = _positions(corpus.symptoms)
    numbers, of_symptoms = np.unique(texts.of_spans[positions], return_inverse=True)
    vectors = _vectors([texts.texts[number] for number in numbers], known)
    lasting = np.array([decades(symptom.milliseconds) for symptom in corpus.symptoms])
    return Likeness(vectors @ vectors.T, of_symptoms, lasting)


def _texts(corpus: Corpus, known: Known, cache_sizes: Sequence[int]) -> Iterator[Found]:
    traces, total = corpus.traces, int(corpus.traces.max(initial=-1)) + 1
    half = len(traces) // 2
    tokens: dict[str, Shares] = {}
    cut_off: dict[str, Shares] = {}
    hits: dict[int, dict[str, Flags]] = {size: {} for size in cache_sizes}
    for text, texts in corpus.texts.items():
        lengths = np.array([known.tokens[each] for each in texts.texts], np.int64)
        _, first = np.unique(texts.of_spans, return_index=True)
        tokens[text] = Shares.grouped(lengths, traces[first], total)
        cut_off[text] = Shares.grouped(lengths > known.max_tokens, traces[first], total)
        for size in cache_sizes:
            hits[size][text] = lru_hits(texts.of_spans.tolist(), size)
    yield Found(Key(TOKENS, TRACE), tokens)
    yield Found(Key(CUT_OFF, TRACE), cut_off)
    for size, by_text in hits.items():
        for name, spans in (("", slice(None)), (", second half", slice(half, None))):
            yield Found(
                Key(f"hits of {size:,}{name}", TRACE),
                {
                    text: Shares.grouped(each[spans], traces[spans], total)
                    for text, each in by_text.items()
                },
            )


def _positions(spans: Sequence[Positioned]) -> Integers:
    return np.array([span.position for span in spans], np.int64)


def _numbered(things: Sequence[Hashable]) -> Integers:
    """Give each thing the number of the first that is equal, among those that differ."""
    known: dict[Hashable, int] = {}
    return np.array([known.setdefault(thing, len(known)) for thing in things], np.int64)


def _vectors(texts: Sequence[str], known: Known) -> Vector:
    """Give the vectors of texts: shape (texts, dimension)."""
    return np.array([known.vectors[text] for text in texts], np.float32)
