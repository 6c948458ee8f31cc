"""Files that somebody renews while we run: certificates, keys, tokens.

They are renewed one after the other, so that for a moment they may not go
together. Until they do, what was read before stays in use.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Generic, TypeVar

from otel_embedder.errors import CredentialsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

# What changes whenever a file does; None for one that can't be looked at.
State = tuple[tuple[int, ...] | None, ...]

Contents = TypeVar("Contents")


class RenewedFiles(Generic[Contents]):
    """What files hold, read again when somebody looks and they have changed.

    To look is to wait for a disk: it is for threads, any number of them.
    """

    def __init__(
        self,
        paths: Iterable[Path],
        read: Callable[[], Contents],
        *,
        kept: Callable[[str], object],
    ) -> None:
        """Read them.

        Args:
            paths: where the files lie.
            read: gives what they hold together, or raises CredentialsError.
            kept: is told why what was read before stays in use: once, and again when something
                else is wrong, or the same after it was mended.

        Raises:
            CredentialsError: they can't be used.

        """
        self._paths = tuple(paths)
        self._read = read
        self._kept = kept
        self._looking = threading.Lock()
        self._complaint = ""
        # Taken before they are read: what changes meanwhile is seen the next time.
        self._state = state_of(self._paths)
        self._contents = read()

    def current(self) -> Contents:
        """Give what they held when they could last be used."""
        return self._contents

    def look(self) -> bool:
        """Read them again if they may have changed; tell whether they were renewed.

        They were if they hold something new, or can be used again after a complaint.
        """
        with self._looking:
            state = state_of(self._paths)
            # What could not be used is read each time. The rest of a renewal may not show: in the
            # same tick of a file system's clock a file may be written twice.
            if state == self._state and not self._complaint:
                return False
            self._state = state
            return self._read_again()

    def _read_again(self) -> bool:
        try:
            contents = self._read()
        except CredentialsError as error:
            self._keep(str(error))
            return False
        is_renewed = contents != self._contents or bool(self._complaint)
        self._contents, self._complaint = contents, ""
        return is_renewed

    def _keep(self, complaint: str) -> None:
        if complaint != self._complaint:
            self._complaint = complaint
            self._kept(complaint)


def state_of(files: Iterable[Path]) -> State:
    """Give what is different as soon as one of the files is."""
    return tuple(_state(file) for file in files)


def _state(file: Path) -> tuple[int, ...] | None:
    try:
        status = file.stat()
    except OSError:
        return None
    # The last one changes with the permissions, too.
    return (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
