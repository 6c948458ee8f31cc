"""Settings as flags, for the commands that take some of them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal, TypeVar, get_args, get_origin

import click
from click.shell_completion import CompletionItem

from otel_embedder.settings import ENVIRONMENT_PREFIX, Settings, default_text, load_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pydantic.fields import FieldInfo

    from otel_embedder.settings import Check

Command = TypeVar("Command", bound="Callable[..., object]")

TEXT_SETTINGS = (
    *("profile", "template", "exact_durations", "mask_values", "volatile_keys"),
    *("secret_keys", "mask_secrets"),
)
MODEL_SETTINGS = ("engine", "model", "model_cache", "model_threads")

# What a shell completes the names of.
PATH_SETTINGS = {
    "config": "file",
    "next_hop_certificate": "file",
    "next_hop_client_certificate": "file",
    "next_hop_client_key": "file",
    "tls_certificate": "file",
    "tls_key": "file",
    "tls_client_authority": "file",
    "bearer_token_file": "file",
    "http_certificate": "file",
    "http_key": "file",
    "http_token_file": "file",
    "profile": "file",
    "model": "dir",
    "model_cache": "dir",
}


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
    return click.option(
        declaration,
        name,
        default=None,
        help=f"{field.description} {notes}",
        shell_complete=partial(_values, field),
    )


def _values(
    field: FieldInfo, _: click.Context, parameter: click.Parameter, begun: str
) -> list[CompletionItem[str]]:
    """Give the values that a shell may complete: choices, or a path, which it does itself."""
    if parameter.name in PATH_SETTINGS:
        return [CompletionItem(begun, type=PATH_SETTINGS[parameter.name])]
    choices = get_args(field.annotation) if get_origin(field.annotation) is Literal else ()
    return [CompletionItem(choice) for choice in choices if choice.startswith(begun)]


def settings_from(flags: dict[str, object], checks: Sequence[Check] = ()) -> Settings:
    """Collect the settings, of which these were given as flags; `checks` look at several together.

    Raises:
        SettingsError: some are wrong; it lists them all.

    """
    given = {name: value for name, value in flags.items() if value is not None}
    return load_settings(given, checks)
