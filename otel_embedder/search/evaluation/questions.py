"""Questions in plain words, and which spans answer each: a YAML file.

Which spans those are is said by conditions on what a span says, never on its
text: so that any text can be judged by them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Literal

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from otel_embedder.errors import UnreadableFileError
from otel_embedder.fields import complaint

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from otel_embedder.otlp.facts import SpanFacts


def _pattern(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"is no regular expression: {error}") from error
    return value


Pattern = Annotated[str, AfterValidator(_pattern)]
Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class Conditions(BaseModel):
    """What a span must be like: each condition that is given must hold.

    Attributes:
        service: a regular expression for the whole name of its service.
        name: a regular expression that is found in its name.
        status: UNSET, OK or ERROR.
        attr: of each pair of regular expressions there must be an attribute: the first is for
            its whole key, the second is found in its value, which is JSON unless it is a string.
        text: a regular expression that is found in the status message, the names of events and
            the values of their attributes, a line or more each; a dot matches the end of a line.
        min_ms: milliseconds that it took at least.
        any: alternatives, of which one must hold.

    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    service: Pattern | None = None
    name: Pattern | None = None
    status: Literal["UNSET", "OK", "ERROR"] | None = None
    attr: dict[Pattern, Pattern] = Field(default={}, min_length=1)
    text: Pattern | None = None
    min_ms: float | None = Field(None, ge=0)
    any: list[Conditions] = Field(default=[], min_length=1)

    @model_validator(mode="after")
    def _is_not_empty(self) -> Conditions:
        if not self.model_dump(exclude_defaults=True):
            raise ValueError("must have a condition, or every span would be an answer")
        return self

    def hold(self, service: str, span: SpanFacts) -> bool:
        """Tell whether a span of a service is like this."""
        return (
            _matches(self.service, service)
            and _is_found(self.name, span.name)
            and self.status in {None, span.status}
            and all(_has(span, key, value) for key, value in self.attr.items())
            and (self.text is None or _is_found(self.text, _said(span)))
            and (self.min_ms is None or (span.milliseconds or 0) >= self.min_ms)
            and (not self.any or any(each.hold(service, span) for each in self.any))
        )


class Question(BaseModel):
    """A question, and which spans answer it.

    Attributes:
        q: its words.
        ds: the name of the file that it is asked of, without folder and endings; not needed
            where there is only one file.
        where: which spans answer it.
        split: whatever parts the questions, such as `dev`; not looked at.
        intent: what kind of question it is, such as `para`; not looked at.

    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    q: Words
    ds: Words | None = None
    where: Conditions
    split: str | None = None
    intent: str | None = None


QUESTIONS = TypeAdapter(Annotated[list[Question], Field(min_length=1)])


def read_questions(file: Path) -> list[Question]:
    """Read a file of questions.

    Raises:
        UnreadableFileError: it is none; names every line and field that is wrong.

    """
    document: yaml.Node | None = None
    try:
        loader = yaml.SafeLoader(file.read_text(encoding="utf-8"))
        document = loader.get_single_node()
        content = loader.construct_document(document) if document else None
        return QUESTIONS.validate_python(content)
    except OSError as error:
        raise UnreadableFileError(f"{file} can't be read: {error.strerror}") from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else "?"
        raise UnreadableFileError(f"{file}, line {line}: is not YAML: {error.problem}") from error
    except ValidationError as error:
        problems = "\n  ".join(_problems(error, document))
        raise UnreadableFileError(f"{file} is no file of questions:\n  {problems}") from error
    except (yaml.YAMLError, ValueError) as error:
        raise UnreadableFileError(f"{file} is not a text file of YAML") from error


def _problems(error: ValidationError, document: yaml.Node | None) -> Iterator[str]:
    for detail in error.errors():
        place = detail["loc"]
        # Of a number of a list people know the line; of a key that is wrong, that it is a key.
        fields = [str(part) for part in place if isinstance(part, str)]
        message = complaint(detail)
        yield f"line {_line(document, place)}: {'.'.join(fields) or 'questions'}: {message}"


def _line(node: yaml.Node | None, place: Sequence[str | int]) -> int:
    """Give the line of what is at a place in a document, or of what it should be in."""
    line = node.start_mark.line + 1 if node else 1
    for part in place:
        match node:
            case yaml.SequenceNode() if isinstance(part, int) and part < len(node.value):
                node = node.value[part]
                line = node.start_mark.line + 1
            case yaml.MappingNode():
                found = {key.value: (key, value) for key, value in node.value}
                if part not in found:
                    return line
                key, node = found[part]
                line = key.start_mark.line + 1
            case _:
                return line
    return line


def _matches(pattern: str | None, value: str) -> bool:
    return pattern is None or re.fullmatch(pattern, value) is not None


def _is_found(pattern: str | None, value: str) -> bool:
    return pattern is None or re.search(pattern, value, re.DOTALL) is not None


def _has(span: SpanFacts, key_pattern: str, value_pattern: str) -> bool:
    return any(
        re.fullmatch(key_pattern, key) and re.search(value_pattern, value)
        for key, value in span.attributes
    )


def _said(span: SpanFacts) -> str:
    """Give what is searched for `text`."""
    said = [span.message]
    for event in span.events:
        said += (event.name, *(value for _, value in event.attributes))
    return "\n".join(said)
