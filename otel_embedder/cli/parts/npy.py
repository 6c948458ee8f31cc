"""Vectors as a .npy file, written as they come: any number of them, complete or not at all."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from numpy.lib.format import write_array_header_1_0

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from otel_embedder.embedder.embedding import Vector


class NpyWriter:
    """Writes vectors behind a header that says, in the end, how many there are."""

    def __init__(self, file: BinaryIO, *, dimension: int) -> None:
        """Write a header of no vectors.

        Args:
            file: where to.
            dimension: how many numbers each vector has.

        """
        self._file = file
        self._dimension = dimension
        self.vectors = 0
        self.write_header()

    def write_header(self) -> None:
        """Tell at the file's beginning how many vectors there are."""
        self._file.seek(0)
        shape = (self.vectors, self._dimension)
        # It keeps room for any number of rows, and so never grows.
        # Source: numpy.lib.format, "GROWTH_AXIS_MAX_DIGITS".
        header = {"descr": "<f4", "fortran_order": False, "shape": shape}
        write_array_header_1_0(self._file, header)

    def write(self, vector: Vector) -> None:
        """Write the next vector, of shape (dimension,)."""
        self._file.write(vector.astype("<f4").tobytes())
        self.vectors += 1


@contextmanager
def npy_file(path: Path, *, dimension: int) -> Iterator[NpyWriter]:
    """Make a file of shape (vectors, dimension), float32, which is there once all are written.

    Raises:
        OSError: it can't be written.

    """
    with TemporaryDirectory(dir=path.parent, prefix=".writing-") as scratch:
        made = Path(scratch, path.name)
        with made.open("wb") as file:
            writer = NpyWriter(file, dimension=dimension)
            yield writer
            writer.write_header()
        made.replace(path)
