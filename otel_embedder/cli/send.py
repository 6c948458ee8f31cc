"""`otel-embedder send`."""

from __future__ import annotations

import asyncio
import json
import signal
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import click
from google.protobuf.message import DecodeError
from pydantic import TypeAdapter, ValidationError
from rich.console import Console
from rich.table import Column

from otel_embedder.cli.parts.arguments import (
    Skipping,
    files_argument,
    form_option,
    on_error_options,
    output_option,
    refuse_cut_off,
)
from otel_embedder.cli.parts.options import settings_from, settings_options
from otel_embedder.cli.parts.progress import progress_bar
from otel_embedder.cli.parts.tables import cell, columns, new_table
from otel_embedder.errors import ExportError, UnreadableFileError
from otel_embedder.exporter.exporter import otlp_exporter
from otel_embedder.exporter.replay import EventLoopClock, Load, Replay, SendTally, reach
from otel_embedder.fairness import Turns
from otel_embedder.files.rejected import RejectedFile
from otel_embedder.files.requests import RequestReader
from otel_embedder.files.trace_files import STDIN, TraceFiles
from otel_embedder.otlp.spans import check_span
from otel_embedder.receiver.addresses import addresses, socket_path
from otel_embedder.settings import Settings
from otel_embedder.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from otel_embedder.exporter.replay import Clock
    from otel_embedder.files.named_forms import Form
    from otel_embedder.files.requests import StoredRequest
    from otel_embedder.otlp.wire import TraceRequest

TARGET_SETTINGS = (
    *("next_hop_headers", "next_hop_compression", "next_hop_timeout", "max_send_bytes"),
    *("next_hop_certificate", "next_hop_client_certificate", "next_hop_client_key"),
)
# Encoded at the same time, whatever the concurrency.
MAX_SENDING_BYTES = 32 * 1024 * 1024
# What `next_hop` may be.
TARGET_URL: TypeAdapter[str] = TypeAdapter(
    Annotated[str, *Settings.model_fields["next_hop"].metadata]
)


def _target_url(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    """Give an address as the URL that `next_hop` would be."""
    if value is None:
        return None
    try:
        return TARGET_URL.validate_python(value if "://" in value else f"http://{value}")
    except ValidationError as error:
        raise click.BadParameter(
            f"{value!r} is not HOST:PORT, such as 127.0.0.1:4327; for TLS it is https://HOST:PORT."
        ) from error


@click.command("send")
@files_argument
@form_option
@click.option(
    "--to",
    "target",
    callback=_target_url,
    metavar="HOST:PORT",
    help="Where to send: HOST:PORT, or https://HOST:PORT for TLS. "
    f"[default: where the sidecar listens, {Settings.model_fields['listen'].default}]",
)
@click.option(
    "--rate",
    type=click.FloatRange(min=0, min_open=True),
    help="Spans a second; as fast as they are answered, if not set.",
)
@click.option(
    "--concurrency",
    type=click.IntRange(min=1),
    default=4,
    show_default=True,
    help="Requests in flight at the same time.",
)
@click.option(
    "--attempts",
    type=click.IntRange(min=1),
    default=5,
    show_default=True,
    help="How often a request is sent that is refused for now.",
)
@click.option(
    "--repeat",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="How often the files are sent; trace and span ids are the same each time.",
)
@click.option(
    "--wait",
    type=click.FloatRange(min=0),
    default=0,
    show_default=True,
    help="Seconds that the target has to come up.",
)
@on_error_options("OUT")
@click.option(
    "--rejected",
    metavar="OUT",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where requests that can't be read are kept. [default: FILE.rejected, of the first FILE]",
)
@output_option("The summary as a table on stderr, or as JSON on stdout.")
@settings_options(*TARGET_SETTINGS)
def command(  # noqa: PLR0913 - an option is an argument
    *,
    files: Sequence[str],
    form: Form | None,
    target: str | None,
    rate: float | None,
    concurrency: int,
    attempts: int,
    repeat: int,
    wait: float,
    on_error: str,
    skip_damaged: bool,
    rejected: Path | None,
    output: str,
    **flags: object,
) -> None:
    """Send the spans in files over OTLP/gRPC, and tell what became of them.

    A FILE holds OTLP/JSON or OTLP protobuf, as a Collector's file exporter
    writes them, compressed or not; - is stdin. What the target refuses for now is
    sent again, as an application's SDK would. The exit code is 0 if all spans were
    accepted.

    Example: otel-embedder send traces.jsonl.gz --to 127.0.0.1:4327 --rate 1000
    """
    if STDIN in files and repeat > 1:
        raise click.UsageError("stdin (-) can be read only once: name a file, or leave --repeat.")
    settings = settings_from(flags)
    url = target or _sidecar_url(settings)
    is_skipping = skip_damaged or on_error == "skip"
    kept = RejectedFile(rejected or _rejected_path(files))
    if is_skipping:
        kept.refuse_existing()
    skipping = Skipping(kept, is_wanted=is_skipping)
    with kept:
        sending = _send(
            _traces(files, form, repeat, skipping),
            settings.model_copy(update={"next_hop": url}),
            Load(rate, concurrency, attempts),
            wait=wait,
            show=SUMMARIES[output],
        )
        asyncio.run(sending)
    skipping.finish()


def _sidecar_url(settings: Settings) -> str:
    """Give where the sidecar listens."""
    scheme = "https" if settings.tls_certificate else "http"
    for address in addresses(settings.listen):
        if socket_path(address) is None:
            return f"{scheme}://{address}"
    raise click.UsageError("the sidecar listens on Unix sockets only: name the target with --to.")


def _traces(
    files: Sequence[str], form: Form | None, repeat: int, skipping: Skipping
) -> Iterator[TraceRequest]:
    """Give the requests that hold spans, with no more than one file open.

    Raises:
        UnreadableFileError: a file holds something else. What came before was given.

    """
    yield from _with_spans(files, form, skipping)
    for _ in range(1, repeat):
        # What was skipped is known, and kept.
        yield from _with_spans(files, form, lambda *_: None)


def _with_spans(
    files: Sequence[str],
    form: Form | None,
    on_unreadable: Callable[[StoredRequest, UnreadableFileError], None],
) -> Iterator[TraceRequest]:
    traces, reader = TraceFiles(files, on_cut_off=refuse_cut_off, form=form), RequestReader()
    for stored in traces.stored_requests():
        if not stored.is_request:
            continue
        try:
            request = reader.read(stored)
            _check_spans(request)
        except UnreadableFileError as error:
            on_unreadable(stored, error)
        except DecodeError as error:
            on_unreadable(stored, stored.refusal(error))
        else:
            if request.spans:
                yield request


def _check_spans(request: TraceRequest) -> None:
    """Make sure that nothing is sent which no target can read.

    Raises:
        google.protobuf.message.DecodeError: something is not a Span.

    """
    for _, scope in request.scopes():
        for span in scope.spans:
            check_span(span.encoded)


def _rejected_path(files: Sequence[str]) -> Path:
    return Path("stdin.rejected" if files[0] == STDIN else f"{files[0]}.rejected")


async def _send(
    requests: Iterator[TraceRequest],
    settings: Settings,
    load: Load,
    *,
    wait: float,
    show: Callable[[str, SendTally], None],
) -> None:
    tally, clock = SendTally(), EventLoopClock()
    await _reach(settings.next_hop, wait, clock)
    turns = Turns()
    async with otlp_exporter(
        settings, Metrics(), max_sending_bytes=MAX_SENDING_BYTES, turns=turns
    ) as exporter:
        try:
            with progress_bar("Sending spans") as advance:
                await Replay(exporter, load, tally, clock=clock, on_answer=advance).run(requests)
        except asyncio.CancelledError:
            # A read from stdin ends when stdin likes. Whoever asks twice does not want to wait.
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            raise
        finally:
            show(settings.next_hop, tally)
    if tally.accepted != tally.sent:
        raise ExportError(f"{tally.sent - tally.accepted} of {tally.sent} spans were not accepted")


async def _reach(url: str, wait: float, clock: Clock) -> None:
    try:
        await reach(url, patience=wait, clock=clock)
    except OSError as error:
        raise ExportError(
            f"cannot reach {url} ({str(error) or 'no answer'}): start a sidecar there with "
            "`otel-embedder serve`, name another address with --to, or give it time with --wait"
        ) from error


def _show_table(url: str, tally: SendTally) -> None:
    table = new_table("", Column(justify="right"), "", title=f"Sent to {url}")
    table.show_header = False
    for name, value, remark in _rows(tally):
        table.add_row(name, value, cell(remark))
    Console(stderr=True, width=columns()).print(table)


def _rows(tally: SendTally) -> Iterator[tuple[str, str, str]]:
    yield "requests", f"{tally.requests:,}", ""
    yield "spans sent", f"{tally.sent:,}", ""
    yield "spans accepted", f"{tally.accepted:,}", ""
    yield "spans rejected", f"{tally.rejected:,}", tally.remark
    for status, spans in tally.refused.items():
        yield "spans refused", f"{spans:,}", tally.reasons[status]
    if tally.unanswered():
        yield "spans unanswered", f"{tally.unanswered():,}", ""
    yield "requests sent again", f"{tally.retries:,}", ""
    yield "seconds", f"{tally.seconds:,.2f}", ""
    yield "spans accepted a second", f"{tally.rate():,.0f}", ""
    if latency := tally.latency():
        for name, seconds in asdict(latency).items():
            yield f"latency, {name}", f"{seconds * 1_000:,.1f} ms", ""


def _print_json(url: str, tally: SendTally) -> None:
    latency = tally.latency()
    facts = {
        "target": url,
        "requests": tally.requests,
        "sent_spans": tally.sent,
        "accepted_spans": tally.accepted,
        "rejected_spans": tally.rejected,
        "rejected_message": tally.remark,
        "refused_spans": tally.refused,
        "refused_messages": tally.reasons,
        "unanswered_spans": tally.unanswered(),
        "retries": tally.retries,
        "seconds": tally.seconds,
        "accepted_spans_per_second": tally.rate(),
        "latency_seconds": asdict(latency) if latency else None,
    }
    click.echo(json.dumps(facts))


SUMMARIES = {"table": _show_table, "json": _print_json}
