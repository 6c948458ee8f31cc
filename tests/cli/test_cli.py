from __future__ import annotations

import gzip
import io
import os
import pty
import re
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, TextIO, cast

import click
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from otel_embedder import __version__
from otel_embedder.cli import EXIT_FAILED, EXIT_OK, EXIT_USAGE, main, run
from otel_embedder.settings import Settings
from tests.support.fakes import PATIENCE
from tests.support.otlp_samples import Value, request, span
from tests.support.processes import own_environment, run_python

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

# The span of the specification's example.
ATTRIBUTES: Mapping[str, Value] = {
    "http.status_code": 500,
    "error.message": "connection timeout",
    "repo": "fastblocks",
}
SPAN = span("process_repository", ATTRIBUTES, code=Status.STATUS_CODE_ERROR, milliseconds=2500)
REQUEST = request(SPAN, service="mahavishnu").SerializeToString()
TEXT = (
    "failed: 500 internal server error mahavishnu process repository server "
    "connection timeout fastblocks slow\n"
)


class FakeStdin:
    """A standard input that holds some bytes."""

    def __init__(self, content: bytes) -> None:
        self.buffer = io.BufferedReader(io.BytesIO(content))


@pytest.fixture(name="file")
def _file(tmp_path: Path) -> Path:
    file = tmp_path / "traces.bin"
    file.write_bytes(len(REQUEST).to_bytes(4) + REQUEST)
    return file


def otel_embedder(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "otel_embedder", *arguments],
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
    )


def commands(group: click.Group = main, *path: str) -> Iterator[tuple[str, ...]]:
    """Give every command by the words to call it."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        yield (*path, name)
        if isinstance(command, click.Group):
            yield from commands(command, *path, name)


def test_render_prints_a_line_for_each_span(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_bytes(file.read_bytes() * 2)

    assert run(["render", str(file)]) == EXIT_OK
    assert capsys.readouterr().out == TEXT * 2


def test_render_reads_gzip(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_bytes(gzip.compress(file.read_bytes()))

    assert run(["render", str(file)]) == EXIT_OK
    assert capsys.readouterr().out == TEXT


def test_render_reads_a_request_alone(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_bytes(REQUEST)

    assert run(["render", str(file)]) == EXIT_OK
    assert capsys.readouterr().out == TEXT


def test_render_reads_stdin(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stdin = cast("TextIO", FakeStdin(file.read_bytes()))
    monkeypatch.setattr(sys, "stdin", stdin)

    assert run(["render", "-"]) == EXIT_OK
    assert capsys.readouterr().out == TEXT


def test_render_takes_settings_of_the_text(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EMBEDDER_VOLATILE_KEYS", "http.*,error.*")

    assert run(["render", "--template", "{operation} {k}:{v}, ...", str(file)]) == EXIT_OK
    assert capsys.readouterr().out == "process_repository repo:fastblocks\n"


def test_render_leaves_our_attributes_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    embedded = span(attributes={"embedding.vector": [0.5], "embedding.text_version": "1", "a": "b"})
    file = tmp_path / "embedded.bin"
    encoded = request(embedded).SerializeToString()
    file.write_bytes(len(encoded).to_bytes(4) + encoded)

    run(["render", str(file)])

    assert capsys.readouterr().out.endswith(" server b slow\n")


def test_render_takes_a_text_that_is_not_ascii(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "traces.bin"
    encoded = request(span("grüßen für später")).SerializeToString()
    file.write_bytes(len(encoded).to_bytes(4) + encoded)

    run(["render", str(file)])

    assert "grüßen für später" in capsys.readouterr().out


def test_render_takes_a_name_that_is_not_utf8_as_the_sidecar_does(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_bytes(REQUEST.replace(b"process_repository", b"process_reposit\xff\xff\xff"))

    assert run(["render", str(file)]) == EXIT_OK
    assert capsys.readouterr().out == TEXT.replace("repository", "reposit")


def test_render_names_stdin_where_it_holds_something_else(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", cast("TextIO", FakeStdin(b"{}\n{\n")))

    assert run(["render", "-"]) == EXIT_FAILED
    assert capsys.readouterr().err.startswith("otel-embedder: <stdin>: line 2 is not OTLP/JSON")


def test_a_file_of_something_else_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "traces.json"
    file.write_text("{}\n{\n")

    assert run(["render", str(file)]) == EXIT_FAILED
    assert capsys.readouterr().err.startswith(f"otel-embedder: {file}: line 2 is not OTLP/JSON")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nonsense"],
        ["render"],
        ["render", "missing.json"],
        ["render", "--nonsense", "-"],
        ["serve", "surplus"],
        ["serve", "--listen"],
        ["model"],
    ],
)
def test_wrong_usage_is_said(
    arguments: list[str],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)

    assert run(arguments) == EXIT_USAGE
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(("Usage: otel-embedder", "Error: "))


def test_all_wrong_settings_are_said_at_once(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    config = tmp_path / "settings.yaml"
    config.write_text("encoding: float16\n")
    monkeypatch.setenv("OTEL_EMBEDDER_CACHE_SIZE", "5")
    monkeypatch.setenv("OTEL_EMBEDDER_PRELAOD", "true")

    assert run(["serve", "--config", str(config), "--listen", "nowhere"]) == EXIT_USAGE
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("otel-embedder: bad settings (4):\n")
    for name in ("encoding", "OTEL_EMBEDDER_CACHE_SIZE", "OTEL_EMBEDDER_PRELAOD", "--listen"):
        assert name in captured.err


def test_wrong_settings_of_the_text_are_said_before_a_file_is_read(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["render", "--template", "{nonsense}", str(file)]) == EXIT_USAGE
    assert "there is no field {nonsense}" in capsys.readouterr().err


def test_an_address_in_use_fails() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        completed = otel_embedder("serve", "--no-preload", "--metrics-listen=", "--listen", address)

    assert completed.returncode == EXIT_FAILED
    assert f"otel-embedder: listen: cannot listen on {address}" in completed.stderr


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == EXIT_OK
    assert __version__ in capsys.readouterr().out


@pytest.mark.parametrize("flag", ["--help", "-h"])
@pytest.mark.parametrize("command", [(), *commands()], ids=" ".join)
def test_every_command_explains_itself(
    command: tuple[str, ...], flag: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*command, flag]) == EXIT_OK
    usage, _, explanation = capsys.readouterr().out.partition("\n\n")
    assert usage.startswith(f"Usage: {' '.join(('otel-embedder', *command))} ")
    assert re.match(r"  [A-Z].*\.\n", explanation)


@pytest.mark.parametrize("name", Settings.model_fields)
def test_the_help_of_serve_shows_every_setting(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run(["serve", "--help"])

    shown = " ".join(capsys.readouterr().out.split())
    assert f"--{name.replace('_', '-')}" in shown
    assert f"[env: OTEL_EMBEDDER_{name.upper()}; default: " in shown
    assert " ".join((Settings.model_fields[name].description or "").split()) in shown


@pytest.mark.parametrize(
    "default",
    [
        "OTEL_EMBEDDER_LISTEN; default: 127.0.0.1:4327]",
        "OTEL_EMBEDDER_NEXT_HOP; default: http://127.0.0.1:4337]",
        "OTEL_EMBEDDER_NEXT_HOP_HEADERS; default: none]",
        "OTEL_EMBEDDER_CONFIG; default: none]",
        "OTEL_EMBEDDER_MAX_RECEIVE_BYTES; default: 67108864]",
        "OTEL_EMBEDDER_PRELOAD; default: true]",
        "OTEL_EMBEDDER_CACHE_SIZE; default: 1000]",
        "OTEL_EMBEDDER_EMBED_TIMEOUT; default: 3.0]",
    ],
)
def test_the_help_of_serve_shows_the_defaults(
    default: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run(["serve", "--help"])

    assert default in " ".join(capsys.readouterr().out.split())


def test_a_yes_or_no_is_a_flag_with_its_opposite(capsys: pytest.CaptureFixture[str]) -> None:
    run(["serve", "--help"])

    assert "--preload / --no-preload" in capsys.readouterr().out


def test_model_path_fails_where_there_is_no_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["model", "path", "--model", str(tmp_path)]) == EXIT_FAILED
    assert "lacks model.safetensors" in capsys.readouterr().err


def test_model_convert_fails_where_there_is_no_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cache = tmp_path / "cache"

    code = run(["model", "convert", "--model", str(tmp_path), "--model-cache", str(cache)])

    assert code == EXIT_FAILED
    assert "lacks model.safetensors" in capsys.readouterr().err


def test_model_path_prints_a_complete_directory(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("model.safetensors", "config.json", "tokenizer.json"):
        (tmp_path / name).touch()

    assert run(["model", "path", "--model", str(tmp_path)]) == EXIT_OK
    assert capsys.readouterr().out == f"{tmp_path}\n"


def test_a_reader_that_has_seen_enough_hears_no_complaint(file: Path) -> None:
    # More than a pipe holds, so that writing meets the closed end.
    file.write_bytes(file.read_bytes() * 5_000)

    with subprocess.Popen(
        [sys.executable, "-m", "otel_embedder", "render", file],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout
        assert process.stderr
        first = process.stdout.readline()
        process.stdout.close()
        complaints = process.stderr.read()

    assert (first.decode(), complaints) == (TEXT, b"")


def test_the_module_runs_the_command_line() -> None:
    completed = otel_embedder("nonsense")

    assert completed.returncode == EXIT_USAGE
    assert "No such command 'nonsense'" in completed.stderr


LEAVING = """
import atexit, sys, threading
from otel_embedder.__main__ import leave

atexit.register(print, "taken down")
for _ in sys.argv[1:]:
    threading.Thread(target=threading.Event().wait, daemon=True).start()
print("the last word")
leave(3)
"""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [([], "the last word\ntaken down\n"), (["a thread that hangs"], "the last word\n")],
)
def test_python_is_not_taken_down_around_a_thread_that_hangs(
    arguments: list[str], said: str
) -> None:
    finished = run_python(LEAVING, *arguments)

    assert (finished.returncode, finished.stdout, finished.stderr) == (3, said, "")


@pytest.mark.parametrize(
    ("word", "hint"), [("nearst", "Did you mean nearest?"), ("server", "Did you mean serve?")]
)
def test_a_command_that_is_nearly_one_is_told(
    word: str, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([word]) == EXIT_USAGE
    assert f"No such command '{word}'. {hint}" in capsys.readouterr().err


def test_what_the_terminals_encoding_lacks_is_spelt_out(tmp_path: Path) -> None:
    file = tmp_path / "traces.bin"
    file.write_bytes(request(span("zahlung 支払い")).SerializeToString())

    printed = subprocess.run(
        [sys.executable, "-m", "otel_embedder", "render", str(file)],
        env=own_environment({"PYTHONIOENCODING": "latin-1"}),
        capture_output=True,
        check=True,
        timeout=PATIENCE,
    )

    assert rb"zahlung \u652f\u6255\u3044" in printed.stdout


def test_control_characters_of_a_span_do_not_reach_a_terminal(tmp_path: Path) -> None:
    file = tmp_path / "traces.bin"
    file.write_bytes(request(span("pay\x1b]0;title\x07")).SerializeToString())
    command = [sys.executable, "-m", "otel_embedder", "render", "--profile", "template", str(file)]

    leader, terminal = pty.openpty()
    with os.fdopen(leader, "rb", buffering=0) as ours:
        subprocess.run(
            command, env=own_environment({}), stdout=terminal, check=True, timeout=PATIENCE
        )
        os.close(terminal)
        shown = ours.read(10_000)

    assert b"pay" in shown
    assert b"\x1b" not in shown
    assert b"\x07" not in shown
