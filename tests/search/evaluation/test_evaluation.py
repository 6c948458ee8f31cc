from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from otel_embedder.annotation.annotator import Annotator
from otel_embedder.annotation.standing import Origin
from otel_embedder.otlp.spans import SpanIds
from otel_embedder.otlp.wire import parse_request
from otel_embedder.search.evaluation.evaluation import (
    ALL_FILES,
    Known,
    asked_of,
    compared_texts,
    evaluate,
)
from otel_embedder.search.evaluation.labels import Fault
from otel_embedder.search.evaluation.neighbours import Likeness, neighbours
from otel_embedder.search.evaluation.questions import Conditions, Question
from otel_embedder.search.evaluation.reading import CorpusReader
from otel_embedder.text.options import RenderOptions
from otel_embedder.text.renderer import Renderer
from tests.support.fakes import FAKE_MODEL, embedding_of
from tests.support.otlp_samples import request, span

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from otel_embedder.search.evaluation.measures import Measure
    from otel_embedder.search.evaluation.reading import Corpus

BY_NAME = Renderer(RenderOptions(template="{operation}"))
BY_SERVICE = Renderer(RenderOptions(template="{service}"))


def annotator() -> Annotator:
    return Annotator(
        Origin(FAKE_MODEL, "1"),
        encoding="array",
        prefix="embedding.",
        attach_text=False,
        max_remembered=1,
    )


def corpus(
    *spans: tuple[str, str, float],
    name: str = "shop",
    faults: Mapping[int, Fault] | None = None,
) -> Corpus:
    """Keep spans of a service, a name and milliseconds; each a trace of its number, from 0."""
    requests = []
    labelled = {}
    for number, (service, operation, milliseconds) in enumerate(spans):
        made = span(operation, milliseconds=milliseconds, trace_id=number.to_bytes(16))
        requests.append(parse_request(request(made, service=service).SerializeToString()))
        if faults and number in faults:
            labelled[SpanIds(made.trace_id, made.span_id)] = faults[number]
    reader = CorpusReader(
        {"name": BY_NAME, "service": BY_SERVICE},
        annotator=annotator(),
        faults=labelled,
        sample_size=100,
    )
    return reader.read(name, requests, lambda _: None)


def known(*corpora: Corpus, questions: Sequence[Question] = ()) -> Known:
    """Let each text be like itself alone, and its tokens be its characters, of which 4 are read."""
    texts = {text for each in corpora for text in each.distinct_texts()}
    texts |= {question.q for question in questions}
    return Known(
        {text: embedding_of(text).vector for text in texts},
        {text: len(text) for text in texts},
        max_tokens=4,
    )


def measures(
    *corpora: Corpus, questions: Sequence[Question] = (), cache_size: int = 10
) -> dict[tuple[str, str], Measure]:
    """Measure, and give what was measured by the name of its data and its own."""
    found = evaluate(
        {each.name: each for each in corpora},
        {each.name: asked_of(each, questions) for each in corpora},
        known(*corpora, questions=questions),
        [cache_size],
    )
    return {(measure.data, measure.name): measure for measure in found}


def of_name(words: str, name: str) -> Question:
    return Question(q=words, where=Conditions(name=name))


def test_a_question_is_judged_by_the_texts_of_its_answers() -> None:
    # Asked for the very text "pay", which is nearest; but not found by the service's name.
    made = corpus(("a", "pay", 1), ("a", "pay", 1), ("b", "cart", 1), ("c", "mail", 1))

    found = measures(made, questions=[of_name("pay", "pay")])

    assert found["shop", "R-precision, cosine"].values["name"] == 1
    assert found["shop", "R-precision, hybrid"].values["name"] == 1
    assert found["shop", "R-precision, catalogue"].values["name"] == 1
    assert found["shop", "R-precision, BM25"].values["name"] == 1
    # No text of services has the word, so that any of three may be the first.
    assert found["shop", "R-precision, BM25"].values["service"] == pytest.approx(1 / 3)


def test_r_precision_is_the_mean_over_questions() -> None:
    made = corpus(("a", "pay", 1), ("a", "cart", 1))
    questions = [of_name("pay", "pay"), of_name("cart", "pay")]

    measure = measures(made, questions=questions)["shop", "R-precision, cosine"]

    assert measure.values["name"] == 1 / 2
    assert measure.unit == "question"


def test_a_question_that_no_span_answers_does_not_count() -> None:
    made = corpus(("a", "pay", 1), ("a", "cart", 1))
    questions = [of_name("pay", "pay"), of_name("cart", "nothing")]

    assert measures(made, questions=questions)["shop", "R-precision, cosine"].values["name"] == 1
    assert ("shop", "R-precision, cosine") not in measures(made, questions=questions[1:])


# Spans 0 and 1 are of one injection, the others of one each; 0, 1 and 2 have one fault, 3 and 4
# another. All but the last read the same, and is at right angles to them.
INJECTIONS, FAULTS = np.array([0, 0, 1, 2, 3]), np.array([0, 0, 0, 1, 1])
LIKENESS = Likeness(np.eye(2), texts=np.array([0, 0, 0, 0, 1]), lasting=np.array([0.0, 0, 0, 3, 3]))


def test_neighbours_are_those_of_other_injections() -> None:
    found = neighbours(LIKENESS, INJECTIONS, FAULTS, weight=0)

    assert found == pytest.approx(
        np.array(
            [
                [1 / 2, 1 / 3],  # 2 and 3 are equal, and 4 is the third
                [1 / 2, 1 / 3],
                [2 / 3, 2 / 4],
                [0, 1 / 4],  # 0, 1 and 2, and only then 4
                [1 / 4, 1 / 4],  # nobody is like it
            ]
        )
    )


def test_durations_beside_the_text_tell_apart_what_reads_the_same() -> None:
    found = neighbours(LIKENESS, INJECTIONS, FAULTS, weight=0.5)

    # 0, 1 and 2 took a thousandth of the time of 3 and 4: half a likeness less. For 3 a text that
    # is the same still weighs more.
    assert found[:, 0] == pytest.approx([1, 1, 1, 0, 1])


def test_faults_are_judged_over_injections() -> None:
    faults = {
        number: Fault(f"injection {injection}", "slow", f"service {fault}")
        for number, (injection, fault) in enumerate(zip(INJECTIONS, FAULTS, strict=True))
    }
    reads = [
        ("a", name, lasting) for name, lasting in zip("xxxxy", (1, 1, 1, 1000, 1000), strict=True)
    ]

    found = measures(corpus(*reads, ("a", "z", 1), faults=faults))

    assert found["shop", "hit@1"].values["name"] == pytest.approx(
        # Vectors of the fake are nearly at right angles, so that 4's nearest is any of four.
        (1 / 2 + 1 / 2 + 2 / 3 + 0 + 1 / 4) / 5
    )
    assert found["shop", "hit@1, duration beside"].values["name"] == pytest.approx(4 / 5)
    assert found["shop", "P@10"].values["name"] == pytest.approx(
        (1 / 3 + 1 / 3 + 2 / 4 + 1 / 4 + 1 / 4) / 5
    )
    assert found["shop", "hit@1"].unit == "injection"


def test_one_injection_has_nobody_to_be_like() -> None:
    found = measures(corpus(("a", "x", 1), ("a", "y", 1), faults={0: Fault("1", "slow", "a")}))

    assert ("shop", "hit@1") not in found


def test_texts_are_counted_once_and_spans_each_time() -> None:
    # Texts of 2, 8 and 5 tokens, of which 4 are read; and two of 1.
    made = corpus(
        *(
            (service, name, 1)
            for service, name in zip("aabb", ("ab", "abcdefgh", "ab", "abcde"), strict=True)
        )
    )

    found = measures(made, cache_size=1)

    assert found["shop", "distinct texts"].values == {"name": 3, "service": 2}
    assert found["shop", "tokens a text"].values == {"name": 5, "service": 1}
    assert found["shop", "texts cut off"].values == {"name": 2 / 3, "service": 0}
    assert found["shop", "hits of 1"].values == {"name": 0, "service": 1 / 2}
    assert found["shop", "hits of 1, second half"].values == {"name": 0, "service": 1 / 2}


def test_the_second_half_finds_what_the_first_has_seen() -> None:
    found = measures(corpus(*(("a", name, 1) for name in ("x", "y", "x", "y"))))

    assert found["shop", "hits of 10"].values["name"] == 1 / 2
    assert found["shop", "hits of 10, second half"].values["name"] == 1


def test_files_are_measured_each_and_all_together() -> None:
    one = corpus(("a", "pay", 1), ("a", "cart", 1))
    other = corpus(("a", "pay", 1), ("a", "pay", 1), name="other")

    found = measures(one, other, questions=[of_name("pay", "pay"), of_name("pay", "cart")])

    cosine = {data: each.values["name"] for (data, name), each in found.items() if "cosine" in name}
    # The other file has no answer to the second question.
    assert cosine == {"shop": 1 / 2, "other": 1, ALL_FILES: 2 / 3}
    hits = {
        data: each.values["name"] for (data, name), each in found.items() if name == "hits of 10"
    }
    assert hits == {"shop": 0, "other": 1 / 2, ALL_FILES: 1 / 4}
    assert found[ALL_FILES, "distinct texts"].values["name"] == 3


def test_a_file_alone_is_measured_once() -> None:
    assert {data for data, _ in measures(corpus(("a", "pay", 1)))} == {"shop"}


def test_a_file_without_spans_is_no_error() -> None:
    found = measures(corpus(), questions=[of_name("pay", "pay")])

    assert found["shop", "distinct texts"].values["name"] == 0


def test_vectors_are_needed_of_texts_that_are_compared() -> None:
    reader = CorpusReader({"name": BY_NAME}, annotator=annotator(), faults={}, sample_size=2)
    spans = [span(name, trace_id=name.encode() * 16) for name in "abcde"]

    made = reader.read("x", [parse_request(request(*spans).SerializeToString())], lambda _: None)

    assert sorted(compared_texts(made)) == sorted(
        BY_NAME.render(each.encoded, "").content for each in made.sample
    )
    assert len(made.sample) == 2
