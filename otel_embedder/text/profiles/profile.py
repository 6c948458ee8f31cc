"""A profile: what a text of words consists of. One comes with the package; users write others."""

from __future__ import annotations

import hashlib
import re
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Annotated, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator

from otel_embedder.fields import complaint

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pydantic_core import ErrorDetails

# libyaml is ten times as fast, but not in each build of PyYAML.
FastLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

Part = Literal["status", "codes", "error", "service", "operation", "kind", "attributes", "duration"]
Duration = Literal["none", "words", "series"]

MAX_FILE_BYTES = 1024 * 1024
MAX_WORDS = 200
# Any that has a stand-in has one of these.
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-|[a-z]/\d")


def _flat(value: object) -> object:
    """Give a list of lists as one list: they are lines of a file."""
    if not isinstance(value, list):
        return value
    return [each for line in value for each in (line if isinstance(line, list) else [line])]


def _text(value: object) -> object:
    """Let a number of YAML stand for its digits."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Text = Annotated[str, BeforeValidator(_text)]
Texts = Annotated[tuple[Text, ...], BeforeValidator(_flat)]
Pattern = Annotated[Text, Field(min_length=1)]
Patterns = Annotated[tuple[Pattern, ...], BeforeValidator(_flat)]
Words = dict[Text, Text]
Count = Annotated[int, Field(ge=0, le=MAX_WORDS)]


class _Chosen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=False)


class Vocabulary(_Chosen):
    """Attributes, by patterns of their keys, and words for their values."""

    keys: Patterns
    words: Words


class Profile(_Chosen):
    """The choices; profiles/words.yaml says what each is.

    Attributes:
        name: `words`, or the file's name.

    """

    name: str = Field("", exclude=True)
    parts: Annotated[tuple[Part, ...], Field(min_length=1)]
    statuses: Words
    kinds: Words
    leave_out: Patterns
    keep: Patterns
    silent: Texts
    values: tuple[Vocabulary, ...]
    codes: tuple[Vocabulary, ...]
    error_codes: Words
    queries: Patterns
    paths: Patterns
    glosses: Words
    masks: bool
    duration: Duration
    error_words: Count
    attribute_words: Count
    attributes_words: Count

    @field_validator("parts")
    @classmethod
    def _each_once(cls, parts: tuple[Part, ...]) -> tuple[Part, ...]:
        for number, part in enumerate(parts):
            if part in parts[:number]:
                raise ValueError(f"{part} stands there twice")
        return parts

    def has_stand_ins(self) -> bool:
        """Tell whether one id may stand for another: it has words for none, and shows none."""
        return self.masks and not _ID.search(self.model_dump_json())

    def digest(self) -> str:
        """Give 8 hex digits that are the same for the same choices only."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:8]


def built_in(name: str) -> str:
    """Give a profile that comes with the package, as a file."""
    return resources.files(__package__).joinpath(f"{name}.yaml").read_text(encoding="utf-8")


@cache
def words_profile() -> Profile:
    """Give the profile `words`."""
    choices = FastLoader(built_in("words")).get_single_data()
    return Profile.model_validate({"name": "words", **choices})


def read_profile(path: Path) -> Profile:
    """Read a profile of the user's own; what it leaves out is as in `words`.

    Raises:
        ValueError: it can't be read, or says what no profile can; it tells all that is wrong.

    """
    choices, lines = _parsed(path)
    usual = words_profile().model_dump()
    try:
        return Profile.model_validate({**usual, **choices, "name": path.stem})
    except ValidationError as error:
        raise ValueError(f"{path}: {'; '.join(_problems(error, lines))}") from error


def _parsed(path: Path) -> tuple[dict[str, object], dict[str, int]]:
    """Give what a file chooses, and the line of each choice."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ValueError(f"{path} can't be read: {error.strerror}") from error
    if len(content) > MAX_FILE_BYTES:
        raise ValueError(f"{path} is larger than {MAX_FILE_BYTES} bytes")
    try:
        loader = yaml.SafeLoader(content)
        document = loader.get_single_node()
        choices = loader.construct_document(document) if document else {}
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else "?"
        raise ValueError(f"{path} is not YAML in line {line}: {error.problem}") from error
    except (yaml.YAMLError, ValueError) as error:
        raise ValueError(f"{path} is not a text file of YAML") from error
    if not isinstance(document, yaml.MappingNode | None) or not isinstance(choices, dict):
        raise ValueError(  # noqa: TRY004 - it is a file's content
            f"{path} must hold choices such as `duration: none`; {REMEDY}"
        )
    pairs = document.value if document else ()
    return {str(key): value for key, value in choices.items()}, {
        str(key.value): key.start_mark.line + 1 for key, _ in pairs
    }


REMEDY = "`otel-embedder profile show words` prints a profile to begin with"


def _problems(error: ValidationError, lines: dict[str, int]) -> Iterator[str]:
    for details in error.errors():
        name, *rest = map(str, details["loc"])
        place = ".".join([name, *rest])
        yield f"line {lines.get(name, '?')}: {place}: {_problem(details)}"


def _problem(details: ErrorDetails) -> str:
    if details["type"] == "extra_forbidden":
        return f"there is no such choice; {REMEDY}"
    return complaint(details)
