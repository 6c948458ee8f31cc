"""The image, built and run: `make image-test`. What it measures it prints."""

from __future__ import annotations

import json
import os
import signal
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from otel_embedder import __version__
from tests.support.comparison import delivery, differences, spans_in
from tests.support.generated import requests_of_every_shape, requests_of_texts
from tests.support.images import (
    APPLICATION,
    build,
    container,
    packed_bytes,
    run_by_buildah,
    unpacked_bytes,
)
from tests.support.processes import (
    OTEL_EMBEDDER,
    Process,
    Sink,
    free_address,
    own_environment,
    resident_bytes,
    running_sidecar,
    send,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.images import Container
    from tests.support.processes import Sidecar

pytestmark = [pytest.mark.image, pytest.mark.timeout(900)]

SENDING_SECONDS = 90.0
MEGABYTE = 1_000_000
NEXT_VERSION = "99.0.0"
# What it takes to be pulled, without the base.
MAX_PACKED_BYTES = 120 * MEGABYTE


@pytest.fixture(name="box", scope="module")
def _box() -> Iterator[Container]:
    began = time.monotonic()
    build(version=__version__)
    print(f"\nbuilt in {time.monotonic() - began:.0f} s")  # noqa: T201 - measured, to be read
    with container() as box:
        yield box


@pytest.fixture(name="next_box", scope="module")
def _next_box(box: Container) -> Iterator[Container]:
    """The same image, but of another version."""
    assert box.name
    with container() as next_box:
        module = next(next_box.root.glob(f"{APPLICATION}/lib/*/site-packages/otel_embedder"))
        file = module / "__init__.py"
        file.write_text(file.read_text().replace(__version__, NEXT_VERSION))
        for compiled in module.glob("__pycache__/__init__.*"):
            compiled.unlink()
        yield next_box


def first_process(pid: int) -> int:
    """Give the process that another one waits for: to `unshare`, the first in its namespace."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return int(children.split()[0])


def stop(sidecar: Sidecar) -> int:
    """Ask the first process in its namespace to end; give its exit code."""
    os.kill(first_process(sidecar.pid), signal.SIGTERM)
    return sidecar.wait()


def test_it_runs_as_nobody_and_tells_what_it_is(box: Container) -> None:
    config = box.config

    assert config["User"] == "10001:10001"
    assert config["StopSignal"] == "SIGTERM"
    assert config["Healthcheck"]["Test"] == ["CMD", "otel-embedder", "health"]
    assert config["Labels"]["org.opencontainers.image.version"] == __version__
    assert run_by_buildah(box, ["id", "-u"]).stdout.strip() == "10001"
    assert run_by_buildah(box, ["otel-embedder", "--version"]).stdout.split()[-1] == __version__


def test_nothing_in_it_is_owned_by_its_user_or_writable_by_all(box: Container) -> None:
    files = [*(box.root / APPLICATION).rglob("*")]

    assert [file for file in files if file.lstat().st_uid] == []
    assert [file for file in files if not file.is_symlink() and file.stat().st_mode & 0o002] == []


def test_its_bill_of_materials_names_what_is_installed(box: Container) -> None:
    bill = json.loads((box.root / APPLICATION / "sbom.cdx.json").read_text())
    named = {component["name"].lower().replace("_", "-") for component in bill["components"]}
    installed = {
        directory.name.partition("-")[0].lower().replace("_", "-").replace(".", "-")
        for directory in (box.root / APPLICATION).glob("lib/*/site-packages/*.dist-info")
    }

    assert bill["bomFormat"] == "CycloneDX"
    assert installed <= named
    assert {"otel-embedder", "ctranslate2"} <= named


def test_it_embeds_without_a_network_and_writes_nothing(box: Container) -> None:
    finished = box.run("otel-embedder", "embed", "hello", has_network=False)

    assert finished.returncode == 0, finished.stderr
    assert json.loads(finished.stdout)["model"] == "all-MiniLM-L6-v2"
    assert box.run("touch", f"/{APPLICATION}/file").returncode != 0


def test_it_has_no_weights_and_no_installer(box: Container) -> None:
    files = {file.name for file in (box.root / APPLICATION).rglob("*")}

    assert "model.safetensors" not in files
    assert "pip" not in files


def test_spans_pass_and_sigterm_loses_none(box: Container) -> None:
    sent = requests_of_every_shape(300)
    began = time.monotonic()
    with Sink() as sink, running_sidecar(sink.address, program=box.program()) as sidecar:
        listened = time.monotonic() - began
        sidecar.wait_for_model()
        loaded = time.monotonic() - began
        send(sidecar.address, sent)
        held = resident_bytes(first_process(sidecar.pid))
        assert stop(sidecar) == 0
        sidecar.wait_for_event("service.stopped")

    assert differences(spans_in(sent), delivery(sink.requests).spans) == []
    assert delivery(sink.requests).sources["model"] > 0
    print(  # noqa: T201 - measured, to be read
        f"\nstart: listens after {listened:.2f} s, model loaded after {loaded:.2f} s; "
        f"{held / MEGABYTE:.0f} MB resident"
    )


def test_health_tells_whether_it_runs(box: Container) -> None:
    address = free_address()
    question = ("otel-embedder", "health", "--to", address)
    with (
        Sink() as sink,
        running_sidecar(sink.address, listen=address, program=box.program()) as sidecar,
    ):
        assert run_by_buildah(box, question).returncode == 0
        stop(sidecar)

    assert run_by_buildah(box, question).returncode == 1


@contextmanager
def sending(file: Path, address: str) -> Iterator[Process]:
    """Send a file as an application does that keeps what is refused, and sends it again."""
    command = [*OTEL_EMBEDDER, "send", str(file), "--to", address, "--rate", "1000"]
    with Process([*command, "--attempts", "30"], own_environment({})) as sender:
        yield sender


def test_spans_pass_while_another_version_takes_its_place(
    box: Container, next_box: Container, tmp_path: Path
) -> None:
    sent, address, file = requests_of_texts(6_000, texts=50), free_address(), tmp_path / "spans"
    file.write_bytes(b"".join(len(request).to_bytes(4) + request for request in sent))
    assert next_box.run("otel-embedder", "--version").stdout.split()[-1] == NEXT_VERSION
    with (
        Sink() as sink,
        running_sidecar(sink.address, listen=address, program=box.program()) as sidecar,
        sending(file, address) as sender,
    ):
        sink.wait_for_any()
        assert stop(sidecar) == 0
        with running_sidecar(sink.address, listen=address, program=next_box.program()):
            sender.wait_for_line("spans accepted a second", timeout=SENDING_SECONDS)
            assert sender.wait() == 0, sender.last_words()
    before_and_after = delivery(sink.requests)

    assert differences(spans_in(sent), before_and_after.spans) == []


def test_it_is_small(box: Container, tmp_path: Path) -> None:
    packed = packed_bytes(box.root / APPLICATION, tmp_path / "layer.tar.gz")
    unpacked = unpacked_bytes(box.root / APPLICATION)
    print(  # noqa: T201 - measured, to be read
        f"\nabove the base: {packed / MEGABYTE:.0f} MB to pull, "
        f"{unpacked / MEGABYTE:.0f} MB unpacked"
    )

    assert packed < MAX_PACKED_BYTES


def test_with_the_page_it_has_what_that_and_its_tools_want(tmp_path: Path) -> None:
    build(version=__version__, extras="page")
    with container("page") as box:
        wanted = box.run("python", "-c", "import mcp, starlette, uvicorn")
        packed = packed_bytes(box.root / APPLICATION, tmp_path / "layer.tar.gz")
    print(f"\nwith the page: {packed / MEGABYTE:.0f} MB to pull")  # noqa: T201 - measured

    assert wanted.returncode == 0, wanted.stderr
    assert packed < MAX_PACKED_BYTES
