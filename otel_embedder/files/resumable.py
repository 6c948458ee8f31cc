"""A file that is there whole or not at all, and whose writing can go on where it was killed.

It is written beside its place, as OUT.partial, and renamed when it is whole.
Every so often OUT.checkpoint notes how many requests are done, and how many
bytes on the disk are theirs; to go on is to cut off what was written after that.
The note also has what the content depends on, for the rest must fit to it.
"""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from otel_embedder.errors import UnwritableFileError
from otel_embedder.files.compression import framed_writer
from otel_embedder.files.rejected import NONE, Rejected, RejectedFile, cut_back

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from types import TracebackType

BUFFER_BYTES = 1_048_576


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How far a run has come.

    Attributes:
        run: what the content depends on, by name.
        requests: how many requests are done.
        size: how many bytes of the partial file are theirs.
        rejected: how far the files of those that could not be read have come.

    """

    run: Mapping[str, str]
    requests: int = 0
    size: int = 0
    rejected: Rejected = NONE


@dataclass(frozen=True, slots=True)
class OutputPaths:
    """Where an output file is to be, and what is beside that until it is whole."""

    out: Path

    @property
    def partial(self) -> Path:
        """What is written so far."""
        return self.out.with_name(f"{self.out.name}.partial")

    @property
    def checkpoint(self) -> Path:
        """How much of that is good."""
        return self.out.with_name(f"{self.out.name}.checkpoint")

    @property
    def rejected(self) -> Path:
        """What could not be read."""
        return self.out.with_name(f"{self.out.name}.rejected")

    def refuse_inputs(self, inputs: Iterable[Path]) -> None:
        """Make sure that nothing which is read would be written.

        Raises:
            UnwritableFileError: something would.

        """
        written = (self.out, self.partial, self.checkpoint, self.rejected)
        for path in filter(Path.exists, written):
            for file in inputs:
                if path.samefile(file):
                    raise UnwritableFileError(f"{path} is an input as well: name another output")

    def start(self, run: Mapping[str, str], *, resume: bool, overwrite: bool) -> Checkpoint:
        """Give where to start.

        Args:
            run: what the content depends on, by name.
            resume: go on where a run was killed, if one was.
            overwrite: replace the file that is there, or start anew what was killed.

        Raises:
            UnwritableFileError: what is there must not be replaced, or does not fit.

        """
        self._refuse_out(overwrite=overwrite)
        if not overwrite and not (resume and self.partial.exists()):
            RejectedFile(self.rejected).refuse_existing()
        if not self.partial.exists():
            return Checkpoint(run)
        if resume:
            return self._fitting(run)
        if overwrite:
            return Checkpoint(run)
        raise UnwritableFileError(
            f"{self.partial} is there, of a run that did not end: go on with it by --resume, or "
            "start anew by --overwrite"
        )

    def _refuse_out(self, *, overwrite: bool) -> None:
        if not self.out.parent.is_dir():
            raise UnwritableFileError(f"{self.out.parent} is not a directory: make it, or name one")
        if self.out.exists() and not self.out.is_file():
            raise UnwritableFileError(f"{self.out} is no regular file: name another output")
        if self.out.exists() and not overwrite:
            raise UnwritableFileError(
                f"{self.out} is there already: name another output, or replace it by --overwrite"
            )

    def _fitting(self, run: Mapping[str, str]) -> Checkpoint:
        """Give how far the killed run came, if this one is to make the same content."""
        if not self.checkpoint.exists():
            return Checkpoint(run)
        found = _load(self.checkpoint)
        if differences := _differences(found.run, run):
            raise UnwritableFileError(
                f"{self.partial} is of another run: {'; '.join(differences)}. Go on with the same "
                "files and settings, or start anew by --overwrite"
            )
        return found


def _load(path: Path) -> Checkpoint:
    try:
        noted = json.loads(path.read_text(encoding="utf-8"))
        return Checkpoint(**{**noted, "rejected": Rejected(**noted.get("rejected", {}))})
    except (OSError, ValueError, TypeError) as error:
        raise UnwritableFileError(
            f"{path} can't be read ({error}): start anew by --overwrite"
        ) from error


def _differences(was: Mapping[str, str], is_: Mapping[str, str]) -> list[str]:
    return [
        f"{name} was {was.get(name, 'not there')}, is {is_.get(name, 'not there')}"
        for name in {**was, **is_}
        if was.get(name) != is_.get(name)
    ]


class OutputFile:
    """Writes a file beside its place, and puts it there when it is whole."""

    def __init__(self, paths: OutputPaths, start: Checkpoint) -> None:
        """Prepare to write.

        Args:
            paths: where it goes.
            start: how far it has come.

        """
        self._paths = paths
        self._reached = start
        self.rejected = RejectedFile(paths.rejected, start.rejected)

    def __enter__(self) -> Self:
        with _complaining(self._paths.partial), ExitStack() as opened:
            self._paths.partial.touch()
            self._file = opened.enter_context(self._paths.partial.open("r+b", BUFFER_BYTES))
            self._lock()
            if not self._reached.requests:
                # What another run noted must not be taken for this one's.
                self._paths.checkpoint.unlink(missing_ok=True)
                self.rejected.remove()
            cut_back(self._file, self._paths.partial, self._reached.size)
            opened.enter_context(self.rejected)
            self._opened = opened.pop_all()
        self._writer = framed_writer(self._paths.out, self._file)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # What was not saved would be cut off anyway, and the disk may be full.
        with suppress(OSError):
            self._opened.close()
            if exc is not None and not self._reached.requests:
                # There is nothing to go on with.
                self._paths.partial.unlink()
                self.rejected.remove()

    @property
    def requests(self) -> int:
        """How many requests are done, and will be even if the process is killed."""
        return self._reached.requests

    def write(self, pieces: Iterable[bytes]) -> None:
        """Write some bytes, one piece after the other.

        Raises:
            UnwritableFileError: that fails.

        """
        with _complaining(self._paths.partial):
            for piece in pieces:
                self._writer.write(piece)

    def save(self, requests: int) -> None:
        """Note that all that was written is of so many requests.

        Raises:
            UnwritableFileError: that fails.

        """
        with _complaining(self._paths.partial):
            self._writer.end_frame()
            self._file.flush()
            os.fsync(self._file.fileno())
            rejected = self.rejected.save()
        self._reached = Checkpoint(self._reached.run, requests, self._file.tell(), rejected)
        with _complaining(self._paths.checkpoint):
            _save(self._paths.checkpoint, self._reached)

    def finish(self) -> None:
        """Put the file, which was saved, into its place.

        Raises:
            UnwritableFileError: that fails.

        """
        with _complaining(self._paths.out):
            self._paths.partial.replace(self._paths.out)
            _sync_directory(self._paths.out.parent)
            self._paths.checkpoint.unlink()

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UnwritableFileError(
                f"{self._paths.partial} is being written by another process: wait for its end, or "
                "name another output"
            ) from error


@contextmanager
def _complaining(path: Path) -> Iterator[None]:
    """Say of which file an error is, and what to do."""
    try:
        yield
    except OSError as error:
        raise UnwritableFileError(
            f"{path} can't be written: {error.strerror}; mend that, and go on by --resume"
        ) from error


def _save(path: Path, checkpoint: Checkpoint) -> None:
    """Replace a checkpoint at once, so that one is there whenever the process is killed."""
    new = path.with_name(f"{path.name}.new")
    with new.open("w", encoding="utf-8") as file:
        json.dump(asdict(checkpoint), file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
