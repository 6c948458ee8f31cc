"""What docs/deploy.md has one type."""

from __future__ import annotations

import re

from tests.support.processes import REPOSITORY

DOCUMENT = REPOSITORY / "docs" / "deploy.md"


def typed_commands(title: str = "", *, prompt: str = "$#") -> list[str]:
    """Give the commands of a section, or of the whole document, in order."""
    text = DOCUMENT.read_text(encoding="utf-8")
    if title:
        # Up to the next title of its kind or above.
        [text] = re.findall(
            rf"^#+ {re.escape(title)}\n(.*?)(?=^##|\Z)", text, re.MULTILINE | re.DOTALL
        )
    return re.findall(rf"^[{re.escape(prompt)}] (.+)$", text, re.MULTILINE)
