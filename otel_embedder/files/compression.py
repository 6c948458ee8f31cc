"""Writes bytes, compressed as a file's name says, in frames that stand alone.

Frames of gzip or zstd that follow one another are one file to every reader of
these formats. So what is written up to the end of a frame can be kept, and
writing go on behind it in another process.
"""

from __future__ import annotations

import zlib
from typing import IO, TYPE_CHECKING, Protocol

from zstandard import FLUSH_FRAME, ZstdCompressionParameters, ZstdCompressor

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# Vectors hardly compress: 6, gzip's own choice, takes four times as long for an eighth less.
GZIP_LEVEL = 1
GZIP_FORMAT = zlib.MAX_WBITS | 16
# Vectors recur, so what matters is how far back a repetition is found: 8 MiB is what every
# reader must be able to look back (RFC 8878). Against level 3, a third of the size, and faster.
ZSTD_LEVEL = 1
ZSTD_WINDOW_LOG = 23


class FramedWriter(Protocol):
    """Writes bytes to a file."""

    def write(self, data: bytes, /) -> object:
        """Write some bytes."""
        ...

    def end_frame(self) -> None:
        """Give the file all that was written, as whole frames."""
        ...


class PlainWriter:
    """Writes bytes as they are."""

    def __init__(self, file: IO[bytes]) -> None:
        self.write = file.write

    def end_frame(self) -> None:
        """Do nothing: there are no frames."""


class GzipWriter:
    """Writes gzip members."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._member = _gzip_member()

    def write(self, data: bytes, /) -> None:
        """Compress some bytes."""
        self._file.write(self._member.compress(data))

    def end_frame(self) -> None:
        """End the member; an empty one, if nothing was written."""
        self._file.write(self._member.flush())
        self._member = _gzip_member()


def _gzip_member() -> zlib._Compress:
    return zlib.compressobj(GZIP_LEVEL, wbits=GZIP_FORMAT)


class ZstdWriter:
    """Writes zstd frames."""

    def __init__(self, file: IO[bytes]) -> None:
        parameters = ZstdCompressionParameters.from_level(
            ZSTD_LEVEL, window_log=ZSTD_WINDOW_LOG, enable_ldm=True
        )
        compressor = ZstdCompressor(compression_params=parameters)
        self._frames = compressor.stream_writer(file, closefd=False)
        self.write = self._frames.write

    def end_frame(self) -> None:
        """End the frame; an empty one, if nothing was written."""
        self._frames.flush(FLUSH_FRAME)


WRITERS: dict[str, Callable[[IO[bytes]], FramedWriter]] = {".gz": GzipWriter, ".zst": ZstdWriter}


def framed_writer(path: Path, file: IO[bytes]) -> FramedWriter:
    """Give what writes to a file that is to have this path."""
    return WRITERS.get(path.suffix, PlainWriter)(file)
