"""What the settings of several rooms have in common: what they are, an address, a time."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

# Longer than anybody waits; gRPC takes infinity for the past.
MAX_SECONDS = 3_600.0
MAX_MESSAGE_BYTES = 2**31 - 1  # gRPC's own

MAX_PORT = 65_535


class RoomSettings(BaseModel):
    """What may be chosen in one room; each field says its unit and its effect."""

    # A field may be wrong for what another says, even if it was left as it is.
    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


def check_host_and_port(address: str) -> None:
    """Make sure that an address is HOST:PORT.

    Raises:
        ValueError: it is not.

    """
    host, colon, port = address.rpartition(":")
    is_port = port.isascii() and port.isdigit() and int(port) <= MAX_PORT
    if not (host and colon and is_port):
        raise ValueError("must be HOST:PORT, such as 127.0.0.1:4327")
