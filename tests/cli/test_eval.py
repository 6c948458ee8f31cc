from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from otel_embedder.cli import EXIT_FAILED, EXIT_OK, EXIT_USAGE, run
from otel_embedder.cli.eval.profiles import Chosen, chosen_texts
from otel_embedder.cli.eval.report import SHOWN
from otel_embedder.search.evaluation.evaluation import COSINE, DISTINCT
from otel_embedder.search.evaluation.measures import Shares, counted, measured
from otel_embedder.text.options import RenderOptions
from otel_embedder.text.renderer import Renderer
from tests.bench.shop import main as write_shop
from tests.support.otlp_samples import request, span
from tests.support.tiny_model import tiny_model_flags
from tests.support.traffic import WELL, Fault, traffic

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from opentelemetry.proto.trace.v1.trace_pb2 import Span

    from otel_embedder.annotation.work import SpanRenderer

SHOP_QUESTIONS = Path(__file__).parent.parent / "bench" / "shop.yaml"
COLUMNS = ("trace_id", "span_id", "fault_id", "fault_type", "fault_service", "symptom")
NAME_ONLY = ("--profile", "template", "--template", "{operation}")
BY_NAME = Renderer(RenderOptions(template="{operation}"))


@pytest.fixture(name="model", scope="module")
def _model(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    return tiny_model_flags(tmp_path_factory.mktemp("models"))


def numbered(number: int, name: str, milliseconds: float = 5) -> Span:
    """Give a span whose trace and span id are this number."""
    made = span(name, trace_id=number.to_bytes(16), milliseconds=milliseconds)
    made.span_id = number.to_bytes(8)
    return made


def write(path: Path, *spans: Span) -> Path:
    path.write_bytes(request(*spans).SerializeToString())
    return path


@pytest.fixture(name="file")
def _file(tmp_path: Path) -> Path:
    names = ("a", "b", "a", "c d")
    return write(tmp_path / "shop.v1.bin", *(numbered(*each) for each in enumerate(names)))


@pytest.fixture(name="questions")
def _questions(tmp_path: Path) -> Path:
    return write_questions(tmp_path / "questions.yaml", "- {q: b, where: {name: b}}")


def write_questions(path: Path, content: str) -> Path:
    path.write_text(content, encoding="utf-8")
    return path


def write_labels(path: Path, faults: Mapping[int, tuple[str, str]]) -> Path:
    """Label spans, known by their numbers, with an injection and the type of its fault."""
    rows = [
        (f"{number:032x}", f"{number:016x}", injection, type_, "bank", "1")
        for number, (injection, type_) in faults.items()
    ]
    path.write_text("".join("\t".join(row) + "\n" for row in (COLUMNS, *rows)), encoding="utf-8")
    return path


def values(out: str, data: str = "shop") -> dict[str, Any]:
    """Give what was measured of the first profile in a file, of lines of JSON."""
    lines = [json.loads(line) for line in out.splitlines()]
    first = lines[0]["profile"]
    return {
        line["measure"]: line["value"]
        for line in lines
        if (line["data"], line.get("profile")) == (data, first) and "less" not in line
    }


def test_texts_are_judged_by_questions_faults_and_costs(
    file: Path,
    questions: Path,
    model: Sequence[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    labels = write_labels(
        tmp_path / "labels.tsv", {0: ("1", "slow"), 2: ("2", "slow"), 3: ("3", "lost")}
    )
    flags = ("--questions", str(questions), "--labels", str(labels), "--cache-size", "2")

    code = run(["eval", str(file), *flags, "--output", "json", *NAME_ONLY, *model])

    out, err = capsys.readouterr()
    assert code == EXIT_OK
    assert err == "shop: 4 spans, 4 of them asked 1 questions, 3 with faults\n"
    assert values(out) == {
        "R-precision, cosine": 1,
        "R-precision, hybrid": 1,
        "R-precision, catalogue": 1,
        "R-precision, BM25": 1,
        "hit@1": 0.6667,
        "hit@1, duration beside": 0.6667,
        "P@10": 0.3333,  # each of the two alike has one of two for its fault
        "P@10, duration beside": 0.3333,
        "tokens a text": 3.3333,
        "texts cut off": 0,
        "hits of 2": 0.25,
        "hits of 2, second half": 0.5,
        "distinct texts": 3,
    }


def test_each_line_has_its_unit_and_its_interval(
    file: Path, questions: Path, model: Sequence[str], capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ("--questions", str(questions), "--output", "json", "--profile", "words", *model)
    run(["eval", str(file), *flags])

    first, *_, last = map(json.loads, capsys.readouterr().out.splitlines())
    assert first == {
        "data": "shop",
        "measure": "R-precision, cosine",
        "unit": "question",
        "profile": "words",
        "value": first["value"],
        "low": first["value"],  # of one question there is no other to be drawn
        "high": first["value"],
    }
    assert (last["measure"], last["unit"], last["low"]) == ("distinct texts", None, None)


def test_several_files_are_judged_each_and_together(
    file: Path, model: Sequence[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = write(tmp_path / "other.bin", numbered(7, "a"))
    questions = write_questions(
        tmp_path / "questions.yaml",
        "- {ds: shop, q: b, where: {name: b}}\n"
        "- {ds: other, q: none, where: {name: b}}\n"
        "- {ds: third, q: none, where: {name: b}}\n",
    )

    flags = ("--questions", str(questions), "--output", "json", *NAME_ONLY, *model)
    code = run(["eval", str(file), str(other), *flags])

    out, err = capsys.readouterr()
    assert code == EXIT_OK
    assert "1 questions are of third, which is not here\n" in err
    assert "other: no span answers 'none'\n" in err
    assert values(out)["R-precision, cosine"] == 1
    assert "R-precision, cosine" not in values(out, "other")
    assert values(out, "all files")["distinct texts"] == 4


def test_a_table_shows_what_was_measured(
    file: Path, questions: Path, model: Sequence[str], capsys: pytest.CaptureFixture[str]
) -> None:
    code = run(["eval", str(file), "--questions", str(questions), *NAME_ONLY, *model])

    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert code == EXIT_OK
    assert lines[:2] == [["shop"], ["template"]]
    assert ["R-precision,", "cosine", "1.000", "[1.000,", "1.000]"] in lines
    assert ["distinct", "texts", "3"] in lines


@pytest.mark.parametrize(
    ("questions", "problem"),
    [
        ("- {ds: bank, q: b, where: {name: b}}", "asks of bank, but not of shop"),
        ("- {q: b, where: {name: b}, ds: shop.v1}", "asks of shop.v1, but not of shop"),
    ],
)
def test_questions_of_other_files_are_told(
    questions: str, problem: str, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = write_questions(tmp_path / "questions.yaml", questions)

    assert run(["eval", str(file), "--questions", str(asked)]) == EXIT_USAGE
    assert problem in capsys.readouterr().err


def test_a_question_of_several_files_must_name_its_own(
    file: Path, questions: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = write(tmp_path / "other.bin", numbered(7, "a"))

    assert run(["eval", str(file), str(other), "--questions", str(questions)]) == EXIT_USAGE
    assert "'b' needs ds, the name of a file: shop, other" in capsys.readouterr().err


def test_files_of_one_name_are_told(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    same = write(tmp_path / "shop.bin", numbered(7, "a"))

    assert run(["eval", str(file), str(same)]) == EXIT_USAGE
    assert "have one name, shop" in capsys.readouterr().err


def test_a_profile_that_is_not_there_is_told(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["eval", str(file), "--profile", "poem"]) == EXIT_USAGE
    assert "poem can't be read: No such file or directory" in capsys.readouterr().err


def test_questions_that_are_wrong_are_told_by_line(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = write_questions(tmp_path / "questions.yaml", "- q: b\n  where: {title: b}")

    assert run(["eval", str(file), "--questions", str(asked)]) == EXIT_FAILED
    assert "line 2: where.title:" in capsys.readouterr().err


def test_labels_that_are_wrong_are_told_by_line(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = tmp_path / "labels.tsv"
    labels.write_text("trace_id\tspan_id\n", encoding="utf-8")

    assert run(["eval", str(file), "--labels", str(labels)]) == EXIT_FAILED
    assert f"{labels}, line 1: lacks the columns fault_id" in capsys.readouterr().err


def chosen(*profiles: str, rules: Mapping[str, Sequence[str]] | None = None) -> Chosen:
    rules = rules or {}

    def ablated(profile: str) -> dict[str, SpanRenderer]:
        return dict.fromkeys(rules.get(profile, ()), BY_NAME)

    return chosen_texts(profiles, lambda _: BY_NAME, ablated)


def test_a_profile_that_is_named_again_is_judged_once() -> None:
    assert chosen("words", "template", "words").profiles == ("words", "template")


def test_each_rule_that_is_turned_off_makes_a_text_of_its_own() -> None:
    texts = chosen("words", "template", rules={"words": ["codes", "kind"]})

    assert [*texts.renderers] == [*("words", "template", "words, codes", "words, kind")]
    assert texts.changed["words"] == {"codes": "words, codes", "kind": "words, kind"}
    assert texts.changed["template"] == {}


def shares(**values: Sequence[float]) -> dict[str, Shares]:
    return {name.replace("__", ", "): Shares.each(each) for name, each in values.items()}


def test_profiles_stand_side_by_side_with_their_differences(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    found = [
        measured(COSINE, "shop", "question", shares(words=[1, 1], template=[0.5, 0.5]), seed=1),
        counted(DISTINCT, "shop", {"words": 1000, "template": 3500}),
    ]

    SHOWN["table"](found, chosen("words", "template"))
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    SHOWN["json"](found, chosen("words", "template"))
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    assert lines[:2] == [["shop"], ["words", "template", "words", "-", "template"]]
    assert " ".join(lines[3]) == (
        "R-precision, cosine 1.000 [1.000, 1.000] .500 [.500, .500] +.500 [+.500, +.500]"
    )
    assert " ".join(lines[4]) == "distinct texts 1,000 3,500 -2,500"
    assert [(row["profile"], row.get("less"), row["value"]) for row in rows[:3]] == [
        ("words", None, 1),
        ("template", None, 0.5),
        ("words", "template", 0.5),
    ]


def test_a_rule_that_is_turned_off_is_compared_with_its_profile(
    capsys: pytest.CaptureFixture[str],
) -> None:
    texts = chosen("words", "template", rules={"words": ["codes"]})
    every = shares(words=[0.5, 0.5], template=[0, 0], words__codes=[0.25, 0.25])
    found = [measured(COSINE, "shop", "question", every, seed=1)]

    SHOWN["table"](found, texts)
    out = capsys.readouterr().out
    SHOWN["json"](found, texts)
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    assert out.splitlines()[-3].split() == ["nothing", ".500", "[.500,", ".500]"]
    assert out.splitlines()[-2].split() == ["codes", "-.250", "[-.250,", "-.250]"]
    assert "template, and what a change" not in out
    assert (rows[-1]["profile"], rows[-1]["less"]) == ("words, codes", "words")
    assert rows[-1]["value"] == -0.25


def test_a_file_without_spans_has_no_means(
    model: Sequence[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run(["eval", str(write(tmp_path / "shop.bin")), "--output", "json", *model])

    found = values(capsys.readouterr().out)
    assert (code, found["distinct texts"]) == (EXIT_OK, 0)
    assert found["tokens a text"] is None


def test_words_stand_beside_the_template_and_each_of_their_rules_is_changed(
    file: Path, model: Sequence[str], capsys: pytest.CaptureFixture[str]
) -> None:
    # What only the template knows is no matter of words.
    flags = ("--ablate", "--output", "json", "--template", "{operation}", *model)

    code = run(["eval", str(file), *flags])

    out, err = capsys.readouterr()
    assert (code, "template has no rule" in err) == (EXIT_OK, True)
    lines = [json.loads(line) for line in out.splitlines()]
    tokens = {
        (line["profile"], line.get("less")): line["value"]
        for line in lines
        if line["measure"] == "tokens a text"
    }
    assert tokens["template", None] < tokens["words", None]
    assert tokens["words", "template"] == pytest.approx(
        tokens["words", None] - tokens["template", None], abs=1e-3
    )
    assert tokens["words, without service", "words"] < 0


def test_a_profile_of_ones_own_is_judged(
    file: Path, model: Sequence[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "short.yaml"
    own.write_text("parts: [operation]\n", encoding="utf-8")

    code = run(["eval", str(file), "--profile", str(own), "--output", "json", *model])

    assert code == EXIT_OK
    assert values(capsys.readouterr().out)["distinct texts"] == 3


def test_a_profile_without_rules_is_told(
    file: Path, model: Sequence[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["eval", str(file), "--ablate", *NAME_ONLY, *model]) == EXIT_OK
    assert "template has no rule that could be changed\n" in capsys.readouterr().err


@pytest.mark.integration
def test_the_demo_s_shop_can_be_judged(
    model_cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    traces, labels = tmp_path / "shop.bin", tmp_path / "shop.tsv"
    write_shop(traces, labels)
    asked = ("--questions", str(SHOP_QUESTIONS), "--labels", str(labels), "--profile", "words")

    code = run(["eval", str(traces), *asked, "--model-cache", str(model_cache), "--output=json"])

    out, err = capsys.readouterr()
    assert code == EXIT_OK
    assert err == "shop: 2,400 spans, 2,400 of them asked 12 questions, 80 with faults\n"
    found = values(out)
    assert found["R-precision, cosine"] > 0.7
    assert found["hit@1"] > 0.9
    [named] = [
        line["value"]
        for line in map(json.loads, out.splitlines())
        if (line["measure"], line.get("baseline")) == ("service named, first", "all of its day")
    ]
    assert named == 1.0


@pytest.mark.integration
def test_questions_find_what_they_mean(
    model_cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ("charge credit card", "send confirmation mail", "write invoice to disk", "GET /cart")
    file = write(tmp_path / "shop.bin", *(numbered(*each) for each in enumerate(names)))
    questions = write_questions(
        tmp_path / "questions.yaml",
        "- {q: paying by card, where: {name: charge}}\n"
        "- {q: telling the customer by letter, where: {name: mail}}\n"
        "- {q: the basket is shown, where: {name: cart}}\n",
    )
    flags = ("--questions", str(questions), "--model-cache", str(model_cache))

    code = run(["eval", str(file), *flags, "--output", "json", *NAME_ONLY])

    found = values(capsys.readouterr().out)
    assert code == EXIT_OK
    assert found["R-precision, cosine"] == found["R-precision, hybrid"] == 1
    assert found["tokens a text"] == pytest.approx(5.25, abs=1)


@pytest.mark.parametrize("output", ["table", "json"])
def test_changes_are_judged_by_labels_of_windows(
    tmp_path: Path, model: Sequence[str], capsys: pytest.CaptureFixture[str], output: str
) -> None:
    rows = ["\t".join((*COLUMNS, "window"))]
    pieces = []
    for minute in range(5):
        window, fault = ("fault", Fault(900)) if minute == 4 else ("normal", WELL)
        for made in traffic([minute], fault, seed=minute):
            encoded = made.SerializeToString()
            pieces.append(len(encoded).to_bytes(4) + encoded)
            for each in made.resource_spans[0].scope_spans[0].spans:
                ids = (each.trace_id.hex(), each.span_id.hex())
                rows.append("\t".join((*ids, f"i{minute}", "cpu", "bank", "0", window)))
    (tmp_path / "shop.bin").write_bytes(b"".join(pieces))
    (tmp_path / "labels.tsv").write_text("\n".join(rows), encoding="utf-8")
    labels = ("--labels", str(tmp_path / "labels.tsv"))

    arguments = ("--profile", "words", *labels, "--output", output, *model)
    assert run(["eval", str(tmp_path / "shop.bin"), *arguments]) == EXIT_OK

    out = capsys.readouterr().out
    if output == "table":
        assert "shop: changes, by what a window is compared with" in out
        assert "service named" in out
    else:
        last = json.loads(out.splitlines()[-1])
        assert (last["measure"], last["baseline"]) == ("false alarms", "hour before")
        assert (last["value"], last["unit"]) == (0.0, "ordinary window")
