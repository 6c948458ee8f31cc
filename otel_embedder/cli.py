"""The command line: what each command is called, takes and prints."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

import click

from otel_embedder import __version__
from otel_embedder.embedder.conversion import converted_model
from otel_embedder.embedder.weights import find_weights
from otel_embedder.errors import OtelEmbedderError, SettingsError
from otel_embedder.otlp_file import read_requests
from otel_embedder.render import Renderer
from otel_embedder.service import annotator, render_options, serve
from otel_embedder.settings import ENVIRONMENT_PREFIX, Settings, default_text, load_settings
from otel_embedder.telemetry import configure_logs
from otel_embedder.wire import parse_request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from io import BufferedReader

    from pydantic.fields import FieldInfo

Command = TypeVar("Command", bound="Callable[..., object]")

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells have it

TEXT_SETTINGS = ("template", "exact_durations", "mask_values", "volatile_keys", "attribute_prefix")
MODEL_SETTINGS = ("model", "model_cache")


def run(arguments: Sequence[str] | None = None) -> int:
    """Run a command; give the exit code: 0 done, 1 failed, 2 wrong usage or settings."""
    try:
        main.main(arguments, prog_name="otel-embedder", standalone_mode=False)
    except click.exceptions.Abort:
        return EXIT_INTERRUPTED
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except SettingsError as error:
        _complain([f"bad settings ({len(error.problems)}):", *error.problems])
        return EXIT_USAGE
    except OtelEmbedderError as error:
        _complain([str(error)])
        return EXIT_FAILED
    return EXIT_OK


def _complain(lines: Sequence[str]) -> None:
    click.echo("otel-embedder: " + "\n  ".join(lines), err=True)


def settings_options(*names: str) -> Callable[[Command], Command]:
    """Give a command a flag for each of these settings, and for the file of them."""

    def decorate(command: Command) -> Command:
        for name in reversed(("config", *names)):
            command = _option(name, Settings.model_fields[name])(command)
        return command

    return decorate


def _option(name: str, field: FieldInfo) -> Callable[[Command], Command]:
    flag = "--" + name.replace("_", "-")
    declaration = f"{flag}/--no-{flag[2:]}" if field.annotation is bool else flag
    notes = f"[env: {ENVIRONMENT_PREFIX}{name.upper()}; default: {default_text(field)}]"
    # No value is given by default, so that variable, file and default can speak.
    return click.option(declaration, name, default=None, help=f"{field.description} {notes}")


def _settings(flags: dict[str, object]) -> Settings:
    return load_settings({name: value for name, value in flags.items() if value is not None})


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__)
def main() -> None:
    """Put vectors on OpenTelemetry spans, beside the Collector."""
    configure_logs("console", "info")


@main.command("serve")
@settings_options(*(name for name in Settings.model_fields if name != "config"))
def serve_command(**flags: object) -> None:
    """Receive spans over OTLP/gRPC, attach vectors, send them on.

    Example: otel-embedder serve --next-hop http://127.0.0.1:4337
    """
    settings = _settings(flags)
    configure_logs(settings.log_format, settings.log_level)
    asyncio.run(serve(settings))


@main.command("render")
@click.argument("file", type=click.File("rb"))
@settings_options(*TEXT_SETTINGS)
def render_command(file: BufferedReader, **flags: object) -> None:
    """Print the text of each span in FILE, a line each; - is stdin.

    FILE holds OTLP/JSON lines or OTLP protobuf, as a Collector's file exporter
    writes them, or gzip of either.

    Example: otel-embedder render traces.jsonl.gz
    """
    for text in rendered(file, _settings(flags)):
        click.echo(text)


def rendered(file: BufferedReader, settings: Settings) -> Iterator[str]:
    """Give the text of each span in a file, whether it carries a vector or not."""
    renderer = Renderer(render_options(settings))
    attributes = annotator(settings, renderer.text_version)
    for encoded in read_requests(file):
        for resource, scope in parse_request(encoded).scopes():
            service = renderer.service(resource.resource)
            for span in scope.spans:
                yield renderer.render(attributes.stripped(span), service).content


@main.group("model")
def model_group() -> None:
    """See to the model's files."""


@model_group.command("path")
@settings_options(*MODEL_SETTINGS)
def path_command(**flags: object) -> None:
    """Print where the official files of the model are.

    Example: otel-embedder model path
    """
    click.echo(find_weights(_settings(flags).model).directory)


@model_group.command("convert")
@settings_options(*MODEL_SETTINGS)
def convert_command(**flags: object) -> None:
    """Convert the model, unless that is done, and print where it is.

    Done when an image is built, it saves each start the second that it takes.

    Example: otel-embedder model convert --model-cache /models
    """
    settings = _settings(flags)
    click.echo(converted_model(settings.model, settings.model_cache))


@main.command("demo")
def demo_command() -> None:
    """Search a small shop's traces by meaning: sidecar, sink and shop in one go.

    Example: otel-embedder demo
    """
    try:
        # Needs the OpenTelemetry SDK, which nothing else here does.
        from otel_embedder.demo import demonstrate  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise click.ClickException(
            f"the demo needs {error.name}: pip install 'otel-embedder[demo]'"
        ) from error
    asyncio.run(demonstrate())
