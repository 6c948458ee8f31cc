"""What an error says, without what is another each time: numbers, but for those that tell it.

The port that was dialled tells which server is away, and a status or an error's code tells what is
wrong. All other numbers are counts, sizes, times and ids that no mask has known.
"""

from __future__ import annotations

import re

MAX_CHARACTERS = 512
# From here on a port is of those that a client gets at random (Linux: ip_local_port_range).
FIRST_CLIENT_PORT = 32_768
NUMBER = "#"

_NUMBERS = re.compile(
    r"""
    \b(?:status|code|errno|exit|http(?:/\d(?:\.\d)?)?|sqlstate|error)\b  # not within "barcode"
      [^\w]{0,3}(?:(?:status|code)\b[^\w]{0,3})?\d+
    |(?<=[\w\])>]):(?P<port>\d{1,5})(?![\d.])
    |\d+
    """,
    re.VERBOSE | re.IGNORECASE,
)


def normal_form(words: str) -> str:
    """Give an error's words, in which secrets and ids are masked, in a form to be compared."""
    # What a number becomes is no longer than it was.
    return " ".join(_NUMBERS.sub(_told, words[:MAX_CHARACTERS]).split())


def _told(found: re.Match[str]) -> str:
    told, port = found[0], found["port"]
    if told[0].isdigit() or (port and int(port) >= FIRST_CLIENT_PORT):
        return re.sub(r"\d+", NUMBER, told)
    return told
