"""What the settings of several rooms have in common: what they are, an address, a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

# Longer than anybody waits; gRPC takes infinity for the past.
MAX_SECONDS = 3_600.0
MAX_MESSAGE_BYTES = 2**31 - 1  # gRPC's own

MAX_PORT = 65_535


class EmptyForNone:
    """Marks a field that may be given as an empty text, which stands for none of what it is."""


class RoomSettings(BaseModel):
    """What may be chosen in one room; each field says its unit and its effect."""

    # A field may be wrong for what another says, even if it was left as it is.
    # Most rooms' settings are only parts of all settings, and need no validator of their own.
    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, defer_build=True)

    @field_validator("*", mode="before")
    @classmethod
    def _is_given(cls, value: object, info: ValidationInfo) -> object:
        """Take no empty variable for a path or a name, nor what pydantic would make of others."""
        field = cls.model_fields[info.field_name or ""]
        is_empty = isinstance(value, str) and not any(map(_is_seen, value))
        may_be_empty = any(isinstance(mark, EmptyForNone) for mark in field.metadata)
        if (is_empty and not may_be_empty) or (value is None and field.default is not None):
            raise ValueError("must have a value; leave it out for the default")
        if isinstance(value, bytes) or (isinstance(value, bool) and field.annotation is not bool):
            raise ValueError("must be text or a number, as in docs/settings.md")
        return value


def complaint(detail: ErrorDetails) -> str:
    """Give what pydantic says of a value that is wrong: in our words, where a check is ours."""
    return detail["msg"].removeprefix("Value error, ")


def _is_seen(character: str) -> bool:
    return character.isprintable() and not character.isspace()


def check_host_and_port(address: str) -> None:
    """Make sure that an address is HOST:PORT.

    Raises:
        ValueError: it is not.

    """
    host, colon, port = address.rpartition(":")
    is_port = port.isascii() and port.isdigit() and int(port) <= MAX_PORT
    if not (host and colon and is_port):
        raise ValueError("must be HOST:PORT, such as 127.0.0.1:4327")
