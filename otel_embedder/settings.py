"""Everything that a user may choose, from one of five places.

A flag goes before an environment variable, that before a key of the YAML file,
that before OpenTelemetry's own variables, those before the default. Flag,
variable and key are one word: --next-hop, OTEL_EMBEDDER_NEXT_HOP, next_hop.
"""

from __future__ import annotations

import difflib
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import unquote, urlsplit

import yaml
from platformdirs import user_cache_path
from pydantic import (
    AfterValidator,
    BeforeValidator,
    ByteSize,
    Field,
    FilePath,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    ValidationError,
    ValidationInfo,
)
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from otel_embedder.annotation.settings import DEFAULT_PREFIX, Encoding
from otel_embedder.credentials.checks import (
    check_certificates,
    check_key_pair,
    check_token,
    read_tokens,
)
from otel_embedder.embedder.models.choice import DEFAULT_MODEL, Engine, check_engine, check_model
from otel_embedder.embedder.settings import OnFailure
from otel_embedder.errors import SettingsError
from otel_embedder.exporter.settings import Compression
from otel_embedder.receiver.addresses import addresses, check_address, check_host_and_port
from otel_embedder.telemetry.settings import LogFormat, LogLevel
from otel_embedder.text.options import DEFAULT_SECRET_KEYS, DEFAULT_VOLATILE_KEYS
from otel_embedder.text.secrets import Secrets
from otel_embedder.text.template import DEFAULT_TEMPLATE, parse_template

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails

ENVIRONMENT_PREFIX = "OTEL_EMBEDDER_"
MAX_MESSAGE_BYTES = 2**31 - 1  # gRPC's own
# Longer than anybody waits; gRPC takes infinity for the past.
MAX_SECONDS = 3_600.0


def _address(value: str) -> str:
    check_host_and_port(value)
    return value


def _addresses(value: str) -> str:
    for address in addresses(value):
        check_address(address)
    return value


def _address_or_nothing(value: str) -> str:
    return _address(value) if value else value


def _url(value: str) -> str:
    url = urlsplit(value)
    is_plain = url.path in {"", "/"} and not (url.query or url.fragment or url.username)
    if url.scheme not in {"http", "https"} or not url.hostname or not is_plain:
        raise ValueError("must be http://HOST:PORT, or https://HOST:PORT for TLS")
    _address(url.netloc)
    return value


def _template(value: str) -> str:
    parse_template(value)
    return value


def _engine(value: Engine) -> Engine:
    check_engine(value)
    return value


def _model(value: str, others: ValidationInfo) -> str:
    check_model(value, others.data.get("engine"))
    return value


def _certificate(value: Path) -> Path:
    if "-----BEGIN CERTIFICATE-----" not in value.read_text(encoding="utf-8", errors="replace"):
        raise ValueError("must be a PEM file with certificates")
    return value


def _certificates(value: Path) -> Path:
    check_certificates(value)
    return value


def _key(value: Path | None, others: ValidationInfo) -> Path | None:
    _check_pair("tls_certificate", others, value)
    return value


def _client_key(value: Path | None, others: ValidationInfo) -> Path | None:
    _check_pair("next_hop_client_certificate", others, value)
    return value


def _check_pair(field: str, others: ValidationInfo, key: Path | None) -> None:
    # A wrong certificate is complained of itself, and is not among the others.
    certificate = others.data.get(field, key)
    if certificate and not key:
        raise ValueError(f"must be given, as {field} is")
    if key and not certificate:
        raise ValueError(f"is of no use without {field}")
    if certificate and key and field in others.data:
        check_key_pair(certificate, key)


def _client_authority(value: Path | None, others: ValidationInfo) -> Path | None:
    if value:
        check_certificates(value)
        if others.data.get("tls_certificate", value) is None:
            raise ValueError("is of no use without tls_certificate and tls_key")
    return value


def _token_file(value: Path) -> Path:
    read_tokens(value)
    return value


def _token(value: SecretStr | None, others: ValidationInfo) -> SecretStr | None:
    if value is None:
        return value
    if others.data.get("bearer_token_file"):
        raise ValueError("is of no use beside bearer_token_file")
    # An empty one must not come to mean that none is wanted.
    check_token(value.get_secret_value().encode())
    return value


def _headers(value: object) -> object:
    """Read `key=value,key2=value2` with values URL-encoded, as OTEL_EXPORTER_OTLP_HEADERS."""
    if not isinstance(value, str):
        return value
    pairs = [pair.partition("=") for pair in value.split(",") if pair.strip()]
    if not all(equals for _, equals, _ in pairs):
        raise ValueError("must be KEY=VALUE,KEY=VALUE")
    return {key.strip(): unquote(text.strip()) for key, _, text in pairs}


def _metadata(headers: dict[str, str]) -> dict[str, str]:
    """Make sure that gRPC takes the headers: it fails each call with what it does not."""
    lowered = {key.lower(): text for key, text in headers.items()}
    for key, text in lowered.items():
        if not re.fullmatch(r"[0-9a-z_.-]+", key) or key.startswith("grpc-"):
            raise ValueError(f"{key!r} is no name for a header: letters, digits, _ . and - are")
        if not re.fullmatch(r"[\x20-\x7e]*", text) or key.endswith("-bin"):
            raise ValueError(f"the value of {key} must be printable ASCII")
    return lowered


def _words(value: object) -> object:
    if not isinstance(value, str):
        return value
    return tuple(word.strip() for word in value.split(",") if word.strip())


class Settings(BaseSettings):
    """What a user may choose; each field says its unit and its effect."""

    model_config = SettingsConfigDict(
        env_prefix=ENVIRONMENT_PREFIX, frozen=True, extra="forbid", validate_default=True
    )

    config: FilePath | None = Field(None, description="YAML file with any of these settings.")

    listen: Annotated[str, AfterValidator(_addresses)] = Field(
        "127.0.0.1:4327",
        description="HOST:PORT or unix:PATH to receive OTLP/gRPC on; several with commas.",
    )
    # Each of these behind those that have a say in what it may be.
    tls_certificate: Annotated[FilePath, AfterValidator(_certificates)] | None = Field(
        None, description="PEM file of the certificate to show; a renewed one is picked up."
    )
    tls_key: Annotated[FilePath | None, AfterValidator(_key)] = Field(
        None, description="PEM file of its private key, without a password."
    )
    tls_client_authority: Annotated[FilePath | None, AfterValidator(_client_authority)] = Field(
        None, description="PEM file of the authorities that clients must have a certificate of."
    )
    listen_insecure: bool = Field(
        False, description="Let other hosts send without TLS, as within a pod or a safe network."
    )
    bearer_token_file: Annotated[FilePath, AfterValidator(_token_file)] | None = Field(
        None,
        description="File of the tokens, one a line, of which senders must bring one; a renewed "
        "file is picked up.",
    )
    bearer_token: Annotated[SecretStr | None, AfterValidator(_token)] = Field(
        None,
        description="The one token that senders must bring; as a flag it shows in the list of "
        "processes.",
    )
    max_receive_bytes: ByteSize = Field(
        ByteSize(64 * 1024 * 1024),
        ge=1024,
        le=MAX_MESSAGE_BYTES,
        description="Largest request taken in, decompressed; in bytes, or with a unit (64MiB).",
    )
    max_inflight_requests: PositiveInt = Field(
        256, description="Requests in flight at most; more are refused for a while."
    )
    max_inflight_bytes: ByteSize = Field(
        ByteSize(64 * 1024 * 1024),
        ge=1024,
        description="Bytes that the requests in flight have at most, decompressed; a request that "
        "is alone may have more.",
    )
    next_hop: Annotated[str, AfterValidator(_url)] = Field(
        "http://127.0.0.1:4337",
        description="http:// or https:// HOST:PORT to send the spans on to.",
    )
    next_hop_headers: Annotated[
        dict[str, str], NoDecode, BeforeValidator(_headers), AfterValidator(_metadata)
    ] = Field({}, description="KEY=VALUE,... to send along as gRPC metadata, values URL-encoded.")
    next_hop_compression: Compression = Field("none", description="none or gzip.")
    next_hop_certificate: Annotated[FilePath, AfterValidator(_certificate)] | None = Field(
        None, description="PEM file of the authorities to trust for https://, else the system's."
    )
    next_hop_client_certificate: Annotated[FilePath, AfterValidator(_certificates)] | None = Field(
        None, description="PEM file of the certificate to show to the next hop, if it wants one."
    )
    # Behind its certificate, which it has to fit.
    next_hop_client_key: Annotated[FilePath | None, AfterValidator(_client_key)] = Field(
        None, description="PEM file of that certificate's private key, not encrypted."
    )
    next_hop_timeout: PositiveFloat = Field(
        10.0, le=MAX_SECONDS, description="Seconds that one request to the next hop may take."
    )
    next_hop_keepalive: PositiveFloat = Field(
        310.0,
        ge=1,
        le=MAX_SECONDS,
        description="Seconds of silence, while a request waits for its answer, before a ping. Most "
        "servers hang up on whoever pings more often than every 300 s.",
    )
    next_hop_keepalive_timeout: PositiveFloat = Field(
        20.0,
        ge=1,
        le=MAX_SECONDS,
        description="Seconds without an acknowledgement, of a ping or of anything sent, after "
        "which the next hop is connected to anew.",
    )
    max_send_bytes: ByteSize = Field(
        ByteSize(4 * 1024 * 1024 - 4096),
        ge=1024,
        le=MAX_MESSAGE_BYTES,
        description="Largest request sent on, in bytes; a larger one is split between spans.",
    )

    engine: Annotated[Engine, AfterValidator(_engine)] = Field(
        "ctranslate2",
        description="What runs the model: ctranslate2, or sentence-transformers for any other.",
    )
    # Behind the engine, which has a say in what it may be.
    model: Annotated[str, AfterValidator(_model)] = Field(
        DEFAULT_MODEL,
        description="The default model, or a directory with a model's files. The other engine "
        "takes any name on the Hugging Face hub, too.",
    )
    model_cache: Path = Field(
        user_cache_path("otel-embedder"), description="Directory of converted models."
    )
    model_threads: PositiveInt | None = Field(
        None, description="Texts computed at the same time; as many as there are CPUs, if not set."
    )
    model_timeout: PositiveFloat = Field(
        30.0,
        le=MAX_SECONDS,
        description="Seconds that texts wait for the model to load, and after which a batch of 32 "
        "is taken to hang: then the model is loaded anew.",
    )
    preload: bool = Field(True, description="Load the model at start, else with the first text.")
    cache_size: int = Field(
        1000, ge=100, le=1_000_000, description="Texts whose vectors are remembered, 6 KB each."
    )
    max_queue_size: PositiveInt = Field(
        10_000, description="Texts that may wait for the model; others get no vector."
    )
    embed_timeout: PositiveFloat = Field(
        3.0,
        le=MAX_SECONDS,
        description="Seconds that a request may wait for vectors; less where its deadline is near.",
    )
    on_failure: OnFailure = Field(
        "fallback",
        description="Without a vector in time: attach a stand-in (fallback), or nothing (omit).",
    )

    encoding: Encoding = Field(
        "array", description="The vector as array of doubles, or float32 as bytes or base64."
    )
    attribute_prefix: str = Field(
        DEFAULT_PREFIX, min_length=1, description="What the names of our attributes begin with."
    )
    attach_text: bool = Field(False, description="Attach the text as well.")

    template: Annotated[str, AfterValidator(_template)] = Field(
        DEFAULT_TEMPLATE, description="How a span reads."
    )
    exact_durations: bool = Field(False, description="Give durations exactly, not rounded to R5.")
    mask_values: bool = Field(True, description="Put words for ids, addresses and times.")
    volatile_keys: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_words)] = Field(
        DEFAULT_VOLATILE_KEYS, description="Patterns of attribute keys to leave out, with commas."
    )
    secret_keys: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_words)] = Field(
        DEFAULT_SECRET_KEYS,
        description="Words of keys whose values are secret, with commas; each shows as <secret>.",
    )
    mask_secrets: bool = Field(
        True, description="Put <secret> for what looks like one, even without mask_values."
    )

    metrics_listen: Annotated[str, AfterValidator(_address_or_nothing)] = Field(
        "127.0.0.1:9464", description="HOST:PORT for Prometheus to scrape; empty for none."
    )
    shutdown_timeout: PositiveFloat = Field(
        20.0,
        le=MAX_SECONDS,
        description="Seconds that requests in flight have to finish after SIGTERM.",
    )
    log_format: LogFormat = Field("console", description="console or json.")
    log_level: LogLevel = Field("info", description="debug, info, warning or error.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic's signature
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic's signature
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order the sources, the strongest first."""
        file = str({**env_settings(), **init_settings()}.get("config", ""))
        return (
            init_settings,
            env_settings,
            InitSettingsSource(settings_cls, read_config(file)),
            InitSettingsSource(settings_cls, otlp_environment(os.environ)),
        )


# Their values are not repeated.
SECRET_FIELDS = {"next_hop_headers", "bearer_token"}


def default_text(field: FieldInfo) -> str:
    """Give a field's default as a user would write it; `none` where there is none."""
    default = field.default
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, tuple):
        return ",".join(default)
    return str(default or "none")


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


def otlp_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    """Give the settings that OTEL_EXPORTER_OTLP_[TRACES_]* variables stand for."""
    values: dict[str, Any] = {
        field: value
        for field, variable in OTLP_VARIABLES.items()
        if (value := _otlp_variable(variable, environment))
    }
    if "next_hop" in values and "://" not in values["next_hop"]:
        is_insecure = _otlp_variable("INSECURE", environment).lower() == "true"
        values["next_hop"] = f"{'http' if is_insecure else 'https'}://{values['next_hop']}"
    with suppress(KeyError, ValueError):  # what is no number, validation complains of
        values["next_hop_timeout"] = float(values["next_hop_timeout"]) / MILLISECONDS_PER_SECOND
    return values


def _otlp_variable(variable: str, environment: Mapping[str, str]) -> str:
    """Give what a variable of the exporter's is set to, the signal's own first."""
    own = environment.get(f"OTEL_EXPORTER_OTLP_TRACES_{variable}")
    return own or environment.get(f"OTEL_EXPORTER_OTLP_{variable}", "")


def read_config(file: str) -> dict[str, Any]:
    """Give the settings in a YAML file; none if there is no such file, which validation tells.

    Raises:
        SettingsError: it holds something else.

    """
    if not Path(file).is_file():
        return {}
    try:
        content = yaml.safe_load(Path(file).read_text(encoding="utf-8")) or {}
    except yaml.MarkedYAMLError as error:
        # Not the line itself, which may hold a secret.
        line = error.problem_mark.line + 1 if error.problem_mark else "?"
        problem = f"config: {file}, line {line} is not YAML: {error.problem}"
        raise SettingsError([problem]) from error
    except (yaml.YAMLError, ValueError) as error:
        raise SettingsError([f"config: {file} is not a text file of YAML"]) from error
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise SettingsError([f"config: {file} must hold the names of settings and their values"])
    if "config" in content:
        raise SettingsError([f"config: {file} can't name another file"])
    return content


def load_settings(flags: Mapping[str, object]) -> Settings:
    """Collect the settings from everywhere.

    Args:
        flags: those given on the command line, by the fields' names.

    Raises:
        SettingsError: some are wrong; it lists them all.

    """
    problems = _unknown_variables(os.environ)
    try:
        settings = Settings(**flags)  # type: ignore[arg-type]  # flags are text until validated
    except ValidationError as error:
        problems += [_problem(detail) for detail in error.errors()]
    except SettingsError as error:
        problems += error.problems
    else:
        if not problems:
            return settings
    raise SettingsError(problems)


def _problem(detail: ErrorDetails) -> str:
    """Name the field in all its spellings, and what is wrong with it."""
    field = str(detail["loc"][0])
    message = detail["msg"].removeprefix("Value error, ")
    if field not in Settings.model_fields:
        return f"{field}: there is no such setting{_suggestion(field)}"
    words = [f"--{field.replace('_', '-')}", f"{ENVIRONMENT_PREFIX}{field.upper()}"]
    if field in OTLP_VARIABLES:
        words.append(f"OTEL_EXPORTER_OTLP_{OTLP_VARIABLES[field]}")
    spellings = f"{field} ({', '.join(words)})"
    if field in SECRET_FIELDS:
        return f"{spellings}: {message}"
    # So may a URL.
    shown = Secrets(DEFAULT_SECRET_KEYS, by_look=True).hidden(repr(detail["input"]))
    return f"{spellings}: {message}; it is {shown}"


# Kubernetes sets these in each pod for a Service that is named otel-embedder.
KUBERNETES_VARIABLE = re.compile(
    ENVIRONMENT_PREFIX
    + r"(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT|PORT_\d+_(TCP|UDP|SCTP)(_(ADDR|PORT|PROTO))?)"
)


def _unknown_variables(environment: Mapping[str, str]) -> list[str]:
    """Find variables that look like ours and are not: a misspelt one would do nothing."""
    fields = {
        name: name.removeprefix(ENVIRONMENT_PREFIX).lower()
        for name in environment
        if name.startswith(ENVIRONMENT_PREFIX) and not KUBERNETES_VARIABLE.fullmatch(name)
    }
    return [
        f"{name}: there is no such setting{_suggestion(field)}"
        for name, field in fields.items()
        if field not in Settings.model_fields
    ]


def _suggestion(field: str) -> str:
    near = difflib.get_close_matches(field, Settings.model_fields, n=1)
    return f"; did you mean {near[0]}?" if near else ""
