"""Fetches files of a repository from the Hugging Face hub into its own cache.

It brings an HTTP client and its certificates, a third of a second at start: import it where it is
needed.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from huggingface_hub import snapshot_download
from huggingface_hub.errors import LocalEntryNotFoundError
from huggingface_hub.utils.tqdm import tqdm

from otel_embedder.errors import ModelUnavailableError

if TYPE_CHECKING:
    from collections.abc import Sequence


class TerminalBar(tqdm):
    """The hub's progress bar, on a terminal only: the bar over all files shows in a pipe, too."""

    def __init__(self, *arguments: object, **options: object) -> None:
        super().__init__(*arguments, **{"disable": None, **options})  # type: ignore[no-untyped-call]  # tqdm's


def download(repository: str, files: Sequence[str], *, hub: str | None, again: bool) -> Path:
    """Give the directory of these files, downloading those that the cache lacks.

    Args:
        repository: its name on the hub.
        files: their names.
        hub: its address; None is what HF_ENDPOINT says, or else the Hugging Face hub.
        again: whether to download what the cache has, too.

    Raises:
        ModelUnavailableError: it could not be done.

    """
    try:
        directory = snapshot_download(
            repository,
            allow_patterns=[*files],
            endpoint=hub,
            force_download=again,
            tqdm_class=TerminalBar,
        )
    except Exception as error:  # its HTTP client's, another's in each release; hf_xet's; its own
        raise ModelUnavailableError(
            f"{repository} could not be downloaded ({_reason(error)})"
        ) from error
    return Path(directory)


def downloaded(repository: str, files: Sequence[str]) -> Path | None:
    """Give the directory where the cache has all these files, if it has; download nothing."""
    try:
        directory = Path(
            snapshot_download(repository, allow_patterns=[*files], local_files_only=True)
        )
    except LocalEntryNotFoundError:
        return None
    return directory if all((directory / file).is_file() for file in files) else None


def _reason(error: Exception) -> str:
    """Give the first line of what went wrong; the hub's own errors have it as their cause."""
    reason = error.__cause__ or error
    return f"{type(reason).__name__}: {reason}".splitlines()[0]
