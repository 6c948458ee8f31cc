from __future__ import annotations

import gzip
import json
import resource
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from otel_embedder.errors import UnwritableFileError
from otel_embedder.files.resumable import Checkpoint, OutputFile, OutputPaths

if TYPE_CHECKING:
    from collections.abc import Iterator

RUN = {"encoding": "array", "file 1": "a.jsonl"}


@pytest.fixture
def paths(tmp_path: Path) -> OutputPaths:
    return OutputPaths(tmp_path / "out.jsonl")


def opened(paths: OutputPaths, *, resume: bool = False, overwrite: bool = False) -> OutputFile:
    return OutputFile(paths, paths.start(RUN, resume=resume, overwrite=overwrite))


def killed(paths: OutputPaths) -> None:
    """Leave what a kill leaves: a request that was saved, and some bytes of the next."""
    with opened(paths) as output:
        output.write([b"one", b"\n"])
        output.save(1)
        output.write([b"tw"])


@contextmanager
def disk_for(size: int) -> Iterator[None]:
    """Let no file grow beyond this size."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_file_is_there_when_it_is_whole(paths: OutputPaths) -> None:
    with opened(paths) as output:
        output.write([b"one\n", b"two\n"])
        output.save(2)
        assert not paths.out.exists()
        output.finish()

    assert [*paths.out.parent.iterdir()] == [paths.out]
    assert paths.out.read_bytes() == b"one\ntwo\n"


def test_to_go_on_is_to_cut_off_what_was_not_saved(paths: OutputPaths) -> None:
    killed(paths)
    assert paths.partial.read_bytes() == b"one\ntw"
    with opened(paths, resume=True) as output:
        requests = output.requests
        output.write([b"two\n"])
        output.save(2)
        output.finish()

    assert requests == 1
    assert paths.out.read_bytes() == b"one\ntwo\n"


def test_what_is_compressed_goes_on_as_well(tmp_path: Path) -> None:
    paths = OutputPaths(tmp_path / "out.gz")
    killed(paths)
    with opened(paths, resume=True) as output:
        output.write([b"two\n"])
        output.save(2)
        output.finish()

    assert gzip.decompress(paths.out.read_bytes()) == b"one\ntwo\n"


def test_before_the_first_save_nothing_is_kept(paths: OutputPaths) -> None:
    with opened(paths) as output:
        output.write([b"one\n"])
    with opened(paths, resume=True) as output:
        assert output.requests == 0
        output.save(0)
        output.finish()

    assert paths.out.read_bytes() == b""


def test_where_nothing_was_killed_to_go_on_is_to_start(paths: OutputPaths) -> None:
    assert paths.start(RUN, resume=True, overwrite=False) == Checkpoint(RUN)


def test_a_killed_run_can_be_started_anew(paths: OutputPaths) -> None:
    killed(paths)
    with opened(paths, overwrite=True) as output:
        assert output.requests == 0
        output.save(0)
        output.finish()

    assert paths.out.read_bytes() == b""


def test_what_was_started_anew_goes_on_from_its_own_notes_only(paths: OutputPaths) -> None:
    killed(paths)
    with opened(paths, overwrite=True) as output:
        output.write([b"something else"])

    assert opened(paths, resume=True).requests == 0


def test_what_a_killed_run_left_is_not_overlooked(paths: OutputPaths) -> None:
    killed(paths)

    with pytest.raises(UnwritableFileError, match=r"out.jsonl.partial.*--resume.*--overwrite"):
        opened(paths)


def test_what_is_there_is_replaced_on_request_only(paths: OutputPaths) -> None:
    paths.out.write_bytes(b"precious")
    for resume in (False, True):
        with pytest.raises(UnwritableFileError, match=r"out.jsonl is there already.*--overwrite"):
            opened(paths, resume=resume)
    with opened(paths, overwrite=True) as output:
        output.write([b"one\n"])
        output.save(1)
        assert paths.out.read_bytes() == b"precious"
        output.finish()

    assert paths.out.read_bytes() == b"one\n"


def test_a_device_is_never_replaced() -> None:
    with pytest.raises(UnwritableFileError, match="/dev/null is no regular file"):
        OutputPaths(Path("/dev/null")).start(RUN, resume=False, overwrite=True)


def test_a_directory_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnwritableFileError, match="missing is not a directory"):
        OutputPaths(tmp_path / "missing" / "out").start(RUN, resume=False, overwrite=False)


@pytest.mark.parametrize(
    ("changed", "difference"),
    [
        ({**RUN, "encoding": "bytes"}, "encoding was array, is bytes"),
        ({"encoding": "array"}, "file 1 was a.jsonl, is not there"),
        ({**RUN, "file 2": "b.jsonl"}, "file 2 was not there, is b.jsonl"),
    ],
    ids=["a setting", "a file less", "a file more"],
)
def test_a_run_goes_on_only_as_it_began(
    paths: OutputPaths, changed: dict[str, str], difference: str
) -> None:
    killed(paths)

    with pytest.raises(UnwritableFileError, match=f"of another run: {difference}. .*--overwrite"):
        paths.start(changed, resume=True, overwrite=False)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"run": {}', '{"a": 1}', "\udcff"])
def test_a_damaged_checkpoint_is_complained_of(paths: OutputPaths, content: str) -> None:
    killed(paths)
    paths.checkpoint.write_text(content, encoding="utf-8", errors="surrogateescape")

    with pytest.raises(UnwritableFileError, match=r"out.jsonl.checkpoint can't be read"):
        opened(paths, resume=True)


def test_a_partial_file_that_lost_something_is_complained_of(paths: OutputPaths) -> None:
    killed(paths)
    paths.partial.write_bytes(b"on")

    with pytest.raises(UnwritableFileError, match="shorter than when it was written"):
        opened(paths, resume=True).__enter__()
    assert paths.partial.read_bytes() == b"on"


def test_one_process_at_a_time_writes(paths: OutputPaths) -> None:
    with opened(paths) as output:
        output.write([b"one\n"])
        output.save(1)
        with pytest.raises(UnwritableFileError, match="is being written by another process"):
            opened(paths, resume=True).__enter__()
        output.finish()

    assert paths.out.read_bytes() == b"one\n"


def test_no_input_is_ever_written(tmp_path: Path, paths: OutputPaths) -> None:
    inputs = [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]
    for file in inputs:
        file.touch()
    paths.refuse_inputs(inputs)
    for place in (paths.out, paths.partial, paths.checkpoint):
        place.hardlink_to(inputs[1])
        with pytest.raises(UnwritableFileError, match=f"{place.name} is an input as well"):
            paths.refuse_inputs(inputs)
        place.unlink()


def test_a_full_disk_is_told_with_what_to_do(paths: OutputPaths) -> None:
    with disk_for(1_000), opened(paths) as output:
        output.write([b"x" * 999, b"\n"])
        output.save(1)
        output.write([b"y" * 10])
        with pytest.raises(
            UnwritableFileError, match=r"out.jsonl.partial can't be written: .*--resume"
        ):
            output.save(2)

    assert json.loads(paths.checkpoint.read_text())["requests"] == 1
    assert opened(paths, resume=True).requests == 1


def test_a_place_that_cannot_be_written_is_told(paths: OutputPaths) -> None:
    paths.partial.mkdir()

    with pytest.raises(UnwritableFileError, match="Is a directory"):
        opened(paths, overwrite=True).__enter__()
