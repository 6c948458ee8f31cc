"""Requests that could not be read, kept beside the output: byte for byte, and why.

OUT.rejected has them as they came, in a file that can be mended and read again;
OUT.rejected.reasons has a line for each, with its place.
"""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from otel_embedder.errors import UnwritableFileError
from otel_embedder.files.named_forms import Form
from otel_embedder.files.requests import LENGTH_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType
    from typing import IO

    from otel_embedder.errors import UnreadableFileError
    from otel_embedder.files.requests import StoredRequest


@dataclass(frozen=True, slots=True)
class Rejected:
    """How far the two files have come.

    Attributes:
        requests: how many requests are in them.
        size: bytes of these.
        reasons_size: bytes of why.

    """

    requests: int = 0
    size: int = 0
    reasons_size: int = 0


NONE = Rejected()


class RejectedFile:
    """Keeps rejected requests. There is no file before there is one of these."""

    def __init__(self, path: Path, start: Rejected = NONE) -> None:
        """Prepare to keep them.

        Args:
            path: of the requests; the reasons are beside that.
            start: how far the files have come; what goes beyond that is cut off.

        """
        self.path = path
        self.reasons_path = path.with_name(f"{path.name}.reasons")
        self._start = start
        self._requests = start.requests
        self._files: tuple[IO[bytes], IO[bytes]] | None = None
        self._opened = ExitStack()

    def __enter__(self) -> Self:
        if self._start.requests:
            self._open()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with suppress(OSError):
            self._opened.close()

    @property
    def requests(self) -> int:
        """How many were rejected."""
        return self._requests

    def refuse_existing(self) -> None:
        """Make sure that none is there.

        Raises:
            UnwritableFileError: one is.

        """
        for path in (self.path, self.reasons_path):
            if path.exists():
                raise UnwritableFileError(f"{path} is there already: move it, or name another")

    def remove(self) -> None:
        """Remove what is there, if anything is."""
        for path in (self.path, self.reasons_path):
            path.unlink(missing_ok=True)

    def reject(self, stored: StoredRequest, reason: UnreadableFileError) -> None:
        """Keep a request, and why it could not be read.

        Raises:
            UnwritableFileError: that fails.

        """
        try:
            requests, reasons = self._files or self._open()
            requests.writelines(_as_it_came(stored))
            reasons.write(f"{' '.join(str(reason).split())}\n".encode(errors="replace"))
        except OSError as error:
            raise UnwritableFileError(f"{self.path} can't be written: {error.strerror}") from error
        self._requests += 1

    def save(self) -> Rejected:
        """Make sure that all is on the disk; give how far the files have come."""
        if self._files is None:
            return self._start
        sizes = []
        for file in self._files:
            file.flush()
            os.fsync(file.fileno())
            sizes.append(file.tell())
        return Rejected(self._requests, *sizes)

    def _open(self) -> tuple[IO[bytes], IO[bytes]]:
        sizes = (self._start.size, self._start.reasons_size)
        with ExitStack() as opened:
            requests, reasons = (
                opened.enter_context(_opened_at(path, size))
                for path, size in zip((self.path, self.reasons_path), sizes, strict=True)
            )
            self._opened = opened.pop_all()
        self._files = (requests, reasons)
        return self._files


@contextmanager
def _opened_at(path: Path, size: int) -> Iterator[IO[bytes]]:
    path.touch()
    with path.open("r+b") as file:
        cut_back(file, path, size)
        yield file


def cut_back(file: IO[bytes], path: Path, size: int) -> None:
    """Leave what a file was saved with, to go on behind that.

    Raises:
        UnwritableFileError: it has less, and to cut it "off" behind its end would fill it with
            zeros.

    """
    if os.fstat(file.fileno()).st_size < size:
        raise UnwritableFileError(
            f"{path} is shorter than when it was written: start anew by --overwrite"
        )
    file.truncate(size)
    file.seek(size)


def _as_it_came(stored: StoredRequest) -> Iterator[bytes]:
    if stored.form is Form.PROTOBUF and not stored.is_alone:
        yield len(stored.content).to_bytes(LENGTH_BYTES)
    yield stored.content
    if stored.form is not Form.PROTOBUF:
        yield stored.after or b"\n"
