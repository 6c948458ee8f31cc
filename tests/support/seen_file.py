"""A file that tells when somebody has looked whether it was renewed."""

from __future__ import annotations

import asyncio
import threading
from pathlib import PosixPath
from typing import TYPE_CHECKING

from tests.support.fakes import PATIENCE

if TYPE_CHECKING:
    import os


class SeenFile(PosixPath):
    """Counts the looks at a file. Another path to it is not looked through."""

    looks = 0
    # One for all of them: how a path is made differs between versions of Python.
    _looked = threading.Condition()

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        with self._looked:
            self.looks += 1
            self._looked.notify_all()
        return super().stat(follow_symlinks=follow_symlinks)

    async def seen(self) -> None:
        """Wait until whatever was written by now has been seen, and what follows from it done."""
        # When the second look begins, one that began after this moment has ended.
        assert await asyncio.to_thread(self._wait, self.looks + 2)

    def _wait(self, looks: int) -> bool:
        with self._looked:
            return self._looked.wait_for(lambda: self.looks >= looks, PATIENCE)
