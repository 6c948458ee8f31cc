"""Files of traces, read as one: the way in for every command."""

from __future__ import annotations

import sys
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, cast

from google.protobuf.message import DecodeError

from otel_embedder.errors import CutOffFileError, UnreadableFileError
from otel_embedder.files.requests import RequestReader, open_contents

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from io import BufferedReader

    from otel_embedder.files.named_forms import Form
    from otel_embedder.files.requests import StoredRequest
    from otel_embedder.otlp.wire import TraceRequest

STDIN = "-"


class TraceFiles:
    """Reads files one after the other, and names them in errors.

    ::

        with files.naming_faults():
            for request in files.requests():
                ...  # read what is within its spans
    """

    def __init__(
        self,
        names: Sequence[str],
        *,
        on_cut_off: Callable[[CutOffFileError], None],
        stdin: Path | None = None,
        form: Form | None = None,
    ) -> None:
        """Prepare to read.

        Args:
            names: their paths; - is stdin.
            on_cut_off: is told when a file is cut off; if it returns, the next one is read.
            stdin: where all lies that came by it, if it was read before.
            form: what they hold if it is not OTLP.

        """
        self._stdin = stdin
        self._names = names
        self._on_cut_off = on_cut_off
        self._form = form
        self._file: BufferedReader | None = None
        self._given: StoredRequest | None = None
        self._behind = 0

    def refuse_mixture(self) -> None:
        """Make sure that all hold requests of the same form.

        Raises:
            UnreadableFileError: some do not, or can't be read.

        """
        if len(self._names) == 1:
            return
        examples: dict[Form | None, str] = {}
        for name in self._names:
            with self._naming(name), self._opened(name) as file:
                examples.setdefault(open_contents(file, self._form).form, name)
        examples.pop(None, None)
        if len(examples) > 1:
            found = " and ".join(f"{name} {form.value}" for form, name in examples.items() if form)
            raise UnreadableFileError(f"files of different forms, {found}: name one form at a time")

    def refuse_others(self) -> None:
        """Make sure that each begins with a request of traces, before anything is done.

        Raises:
            UnreadableFileError: one does not.

        """
        for name in self._names:
            if name != STDIN:
                next(TraceFiles([name], on_cut_off=_leave, form=self._form).requests(), None)

    def requests(self) -> Iterator[TraceRequest]:
        """Give the requests of all files, in order, read down to their spans.

        Raises:
            UnreadableFileError: a file is not what it should be. What came before was given.

        """
        reader = RequestReader()
        for stored in self.stored_requests():
            if stored.is_request:
                self._given = stored
                yield reader.read(stored)

    @contextmanager
    def naming_faults(self) -> Iterator[None]:
        """Let what is within a request be read; if it can't be, say in which one.

        Raises:
            UnreadableFileError: something in the request that `requests` gave last is malformed.

        """
        try:
            yield
        except DecodeError as error:
            if self._given is None:
                raise
            raise self._given.refusal(error) from error

    def stored_requests(self) -> Iterator[StoredRequest]:
        """Give the requests of all files, in order, as they are stored.

        Raises:
            UnreadableFileError: a file is not what it should be. What came before was given.

        """
        for name in self._names:
            with self._naming(name), self._current(name) as file:
                for stored in open_contents(file, self._form).requests:
                    yield stored._replace(position=f"{_shown(name)}: {stored.position}")

    def position(self) -> int:
        """Give how many bytes were read, as they are in the files."""
        if self._file is None or not self._file.seekable():
            return self._behind
        return self._behind + self._file.tell()

    @contextmanager
    def _current(self, name: str) -> Iterator[BufferedReader]:
        with self._opened(name) as file:
            self._file = file
            try:
                yield file
            finally:
                self._behind = self.position()
                self._file = None

    def _opened(self, name: str) -> AbstractContextManager[BufferedReader]:
        if name != STDIN:
            return Path(name).open("rb")
        if self._stdin is not None:
            return self._stdin.open("rb")
        return nullcontext(cast("BufferedReader", sys.stdin.buffer))

    @contextmanager
    def _naming(self, name: str) -> Iterator[None]:
        try:
            yield
        except CutOffFileError as error:
            self._on_cut_off(CutOffFileError(f"{_shown(name)}: {error}"))
        except UnreadableFileError as error:
            raise UnreadableFileError(f"{_shown(name)}: {error}") from error
        except OSError as error:
            raise UnreadableFileError(f"{_shown(name)} can't be read: {error.strerror}") from error


def _leave(_: CutOffFileError) -> None:
    """Leave it to whoever reads the file whole to tell of this."""


def _shown(name: str) -> str:
    """Give a name as it is told."""
    return "<stdin>" if name == STDIN else name
