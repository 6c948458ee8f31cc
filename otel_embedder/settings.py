"""Everything that a user may choose, from one of five places.

A flag goes before an environment variable, that before a key of the YAML file,
that before OpenTelemetry's own variables, those before the default. Flag,
variable and key are one word: --next-hop, OTEL_EMBEDDER_NEXT_HOP, next_hop.
What each may be, and what it is by default, its room knows.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, NamedTuple, NoReturn, TypeVar, cast

import yaml
from pydantic import Field, FilePath, ValidationError, ValidationInfo, field_validator

from otel_embedder.annotation.settings import AnnotationSettings
from otel_embedder.api.settings import PageSettings
from otel_embedder.errors import SettingsError
from otel_embedder.exporter.settings import NextHopSettings, TelemetrySettings
from otel_embedder.fields import RoomSettings, complaint
from otel_embedder.receiver.settings import ListenSettings, ServerSettings
from otel_embedder.search.settings import CatalogueSettings
from otel_embedder.telemetry.settings import LogSettings, MetricsSettings
from otel_embedder.text.hiding.secrets import Secrets
from otel_embedder.text.options import DEFAULT_SECRET_KEYS, TextSettings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails

ENVIRONMENT_PREFIX = "OTEL_EMBEDDER_"
# Their values are not repeated.
SECRET_FIELDS = {
    *("next_hop_headers", "telemetry_headers", "bearer_token", "http_token"),
    # Of many a webhook the address is the secret.
    *("group_webhook", "group_webhook_secret"),
}

Value = TypeVar("Value")


class FileSettings(RoomSettings):
    """The file that settings may stand in."""

    config: FilePath | None = Field(None, description="YAML file with any of these settings.")


class Settings(
    # In the reverse order of their fields, as pydantic collects them. A server's are those of
    # listening, at the beginning, and one more towards the end.
    LogSettings,
    ServerSettings,
    TelemetrySettings,
    MetricsSettings,
    PageSettings,
    CatalogueSettings,
    TextSettings,
    AnnotationSettings,
    NextHopSettings,
    ListenSettings,
    FileSettings,
):
    """What a user may choose, in all rooms."""

    @field_validator("*")
    @classmethod
    def _note(cls, value: Value, info: ValidationInfo) -> Value:
        """Let whoever validates know what is right even where something else is wrong."""
        if info.context is not None:
            info.context[info.field_name] = value
        return value


# Gives a problem for each pair of settings that are wrong together; each problem begins with the
# name of the one to change, and a colon.
Check = Callable[[Settings], list[str]]


def default_text(field: FieldInfo) -> str:
    """Give a field's default as a user would write it; `none` where there is none."""
    default = field.default
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, tuple):
        return ",".join(default)
    return str(default or "none")


class Given(NamedTuple):
    """A value that was given, and where, in the words of that place."""

    value: object
    place: str


# What a file that can't be read says of a setting. No setting may be that.
UNREAD = Given(object(), "")
NO_SUCH_SETTING = "there is no such setting"


def load_settings(flags: Mapping[str, object], checks: Sequence[Check] = ()) -> Settings:
    """Collect the settings from everywhere.

    Args:
        flags: those given on the command line, by the fields' names.
        checks: what must be right of several settings together.

    Raises:
        SettingsError: some are wrong; it lists them all.

    """
    given, problems = _given(flags)
    right: dict[str, object] = {}
    try:
        settings = Settings.model_validate(
            {name: value for name, (value, _) in given.items()}, context=right
        )
    except ValidationError as error:
        problems += _problems(error, given)
        settings = cast("Settings", _RightSettings(**right))
    for check in checks:
        # What asks for a wrong one can't tell anything yet.
        with suppress(_WrongSettingError):
            problems += [_in_its_words(problem, given) for problem in check(settings)]
    if problems:
        raise SettingsError(problems)
    return settings


class _WrongSettingError(Exception):
    """Raised when somebody asks for a setting that is wrong."""


class _RightSettings(SimpleNamespace):
    """Those of the settings that are right."""

    def __getattr__(self, name: str) -> NoReturn:
        raise _WrongSettingError(name)


def _given(flags: Mapping[str, object]) -> tuple[dict[str, Given], list[str]]:
    """Give what was given, the strongest of each; and what is wrong with the file of settings."""
    strong = {
        **_from_environment(os.environ),
        **{name: Given(value, _flag(name)) for name, value in flags.items()},
    }
    in_file, problems = _from_file(strong.get("config"))
    given = {**_from_exporter_variables(os.environ), **in_file, **strong}
    return given, problems + _other_protocol(given, os.environ)


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


# Kubernetes sets these in each pod for a Service that is named otel-embedder.
KUBERNETES_VARIABLE = re.compile(
    ENVIRONMENT_PREFIX
    + r"(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT|PORT_\d+_(TCP|UDP|SCTP)(_(ADDR|PORT|PROTO))?)"
)


def _from_environment(environment: Mapping[str, str]) -> dict[str, Given]:
    """Give what our variables say, misspelt ones too: those would do nothing."""
    return {
        name[len(ENVIRONMENT_PREFIX) :].lower(): Given(value, name)
        for name, value in environment.items()
        if name.upper().startswith(ENVIRONMENT_PREFIX) and not KUBERNETES_VARIABLE.fullmatch(name)
    }


def _from_file(config: Given | None) -> tuple[dict[str, Given], list[str]]:
    """Give what the file of settings says, and what is wrong with it as a whole."""
    if config is None:
        return {}, []
    file = Path(str(config.value))
    unread = dict.fromkeys(Settings.model_fields, UNREAD)
    if not file.is_file():  # which is said of `config` itself
        return unread, []
    try:
        return _read(file), []
    except ValueError as error:
        return unread, [f"{config.place}: {file} {error}"]


def _read(file: Path) -> dict[str, Given]:
    """Read a YAML file of settings.

    Raises:
        ValueError: it can't be read, or holds something else.

    """
    try:
        content, lines = _parsed(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"can't be read: {error.strerror}") from error
    except yaml.MarkedYAMLError as error:
        # Not the line itself, which may hold a secret.
        line = error.problem_mark.line + 1 if error.problem_mark else "?"
        raise ValueError(f"is not YAML in line {line}: {error.problem}") from error
    except (yaml.YAMLError, ValueError) as error:
        raise ValueError("is not a text file of YAML") from error
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise ValueError("must hold the names of settings and their values")
    if "config" in content:
        raise ValueError("can't name another file")
    return {
        key: Given(value, f"{file}, line {lines[key]}: {key}") for key, value in content.items()
    }


def _parsed(text: str) -> tuple[object, dict[str, int]]:
    """Give what a YAML document holds, and the line of each of its keys."""
    loader = yaml.SafeLoader(text)
    document = loader.get_single_node()
    content = loader.construct_document(document) if document else None
    if not content or not isinstance(document, yaml.MappingNode):
        return content or {}, {}
    return content, {key.value: key.start_mark.line + 1 for key, _ in document.value}


# What of OpenTelemetry's exporter variables applies here, the signal's own first.
# Source: the OpenTelemetry specification, "OpenTelemetry Protocol Exporter".
OTLP_VARIABLES = {
    "next_hop": "ENDPOINT",
    "next_hop_headers": "HEADERS",
    "next_hop_compression": "COMPRESSION",
    "next_hop_certificate": "CERTIFICATE",
    "next_hop_client_certificate": "CLIENT_CERTIFICATE",
    "next_hop_client_key": "CLIENT_KEY",
    "next_hop_timeout": "TIMEOUT",
}
MILLISECONDS_PER_SECOND = 1_000


def _from_exporter_variables(environment: Mapping[str, str]) -> dict[str, Given]:
    """Give the settings that OTEL_EXPORTER_OTLP_[TRACES_]* variables stand for."""
    said = {field: _said(variable, environment) for field, variable in OTLP_VARIABLES.items()}
    given = {field: Given(value, name) for field, (value, name) in said.items() if value}
    if "next_hop" in given:
        endpoint, name = said["next_hop"]
        given["next_hop"] = Given(_with_scheme(endpoint, environment), name)
    with suppress(ValueError):  # what is no number, validation complains of
        milliseconds, name = said["next_hop_timeout"]
        given["next_hop_timeout"] = Given(float(milliseconds) / MILLISECONDS_PER_SECOND, name)
    return given


def _other_protocol(given: Mapping[str, Given], environment: Mapping[str, str]) -> list[str]:
    """Tell if the next hop is an exporter's that speaks another protocol than ours."""
    protocol, name = _said("PROTOCOL", environment)
    _, endpoint = _said(OTLP_VARIABLES["next_hop"], environment)
    if protocol in {"", "grpc"} or "next_hop" not in given or given["next_hop"].place != endpoint:
        return []
    problem = (
        f"{name} is {protocol!r}: only grpc is spoken here; let {endpoint} be where the next hop "
        f"takes OTLP/gRPC, mostly port 4317, and {name} grpc, or give next_hop"
    )
    return [problem]


def _said(variable: str, environment: Mapping[str, str]) -> tuple[str, str]:
    """Give what a variable of the exporter's is set to, the signal's own first, and its name."""
    own, general = f"OTEL_EXPORTER_OTLP_TRACES_{variable}", f"OTEL_EXPORTER_OTLP_{variable}"
    name = own if environment.get(own) else general
    return environment.get(name, ""), name


def _with_scheme(endpoint: str, environment: Mapping[str, str]) -> str:
    if "://" in endpoint:
        return endpoint
    is_insecure = _said("INSECURE", environment)[0].lower() == "true"
    return f"{'http' if is_insecure else 'https'}://{endpoint}"


def _problems(error: ValidationError, given: Mapping[str, Given]) -> Iterator[str]:
    """Say what is wrong with each setting, as far as it could be read."""
    for detail in error.errors():
        field = str(detail["loc"][0])
        if given.get(field) is not UNREAD:
            yield f"{_place_and_value(field, given)}: {_message(field, detail)}"


def _place_and_value(field: str, given: Mapping[str, Given]) -> str:
    if field not in given or field in SECRET_FIELDS or field not in Settings.model_fields:
        return _place(field, given)
    value, place = given[field]
    # A URL may have a secret in it.
    return f"{place} is {Secrets(DEFAULT_SECRET_KEYS, by_look=True).hidden(repr(value))}"


def _place(field: str, given: Mapping[str, Given]) -> str:
    """Name a field as it was named where it was set; in all its spellings, where it was not."""
    if field in given:
        return given[field].place
    words = [_flag(field), f"{ENVIRONMENT_PREFIX}{field.upper()}"]
    if field in OTLP_VARIABLES:
        words.append(f"OTEL_EXPORTER_OTLP_{OTLP_VARIABLES[field]}")
    return f"{field} ({', '.join(words)})"


def _message(field: str, detail: ErrorDetails) -> str:
    if field in Settings.model_fields:
        return complaint(detail)
    near = difflib.get_close_matches(field, Settings.model_fields, n=1)
    return f"there is no such setting; did you mean {near[0]}?" if near else NO_SUCH_SETTING


def _in_its_words(problem: str, given: Mapping[str, Given]) -> str:
    """Name the field that a problem begins with as it was named where it was set."""
    field, colon, rest = problem.partition(":")
    return f"{_place(field, given)}{colon}{rest}"
