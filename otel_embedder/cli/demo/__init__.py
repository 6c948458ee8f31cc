"""`otel-embedder demo`."""

from __future__ import annotations

import asyncio
from tempfile import TemporaryDirectory

import click
from click.core import ParameterSource

from otel_embedder.cli.parts.options import settings_options

# Who can break: the services of the shop's faults.
SERVICES = ("payment", "mailer", "catalog", "invoices")
BEGINS_AFTER = 30.0


@click.command("demo")
@click.option("--page", is_flag=True, help="Let the shop live on, and show it in a browser.")
@click.option(
    "--incident",
    type=click.Choice(SERVICES),
    default=SERVICES[0],
    show_default=True,
    help="With --page: which of its services breaks.",
)
@click.option(
    "--begins-after",
    type=click.FloatRange(min=0),
    default=BEGINS_AFTER,
    show_default=True,
    metavar="SECONDS",
    help="With --page: when it does.",
)
@settings_options("http_listen", "trace_link")
@click.pass_context
def command(
    context: click.Context, /, *, page: bool, incident: str, begins_after: float, **flags: object
) -> None:
    """Break one thing in a small shop, and ask what, with a sidecar and a sink.

    With --page the shop lives on until Ctrl-C: look at the page while one of its
    services breaks.

    Example: otel-embedder demo --page --incident mailer
    """
    if not page:
        _refuse_what_needs_a_page(context)
    try:
        # Need the OpenTelemetry SDK, which nothing else here does.
        from otel_embedder.cli.demo.living import live_on  # noqa: PLC0415
        from otel_embedder.cli.demo.story import demonstrate  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise click.ClickException(
            f"the demo needs {error.name}: pip install 'otel-embedder[demo]'"
        ) from error
    with TemporaryDirectory() as directory:
        if page:
            given = {name: value for name, value in flags.items() if value is not None}
            asyncio.run(live_on(directory, given, incident, begins_after=begins_after))
        else:
            asyncio.run(demonstrate(directory))


def _refuse_what_needs_a_page(context: click.Context) -> None:
    for option in context.command.params:
        source = context.get_parameter_source(option.name or "")
        if source is ParameterSource.COMMANDLINE:
            raise click.UsageError(
                f"{option.opts[0]} is of the page; say --page, too: without it the demo tells a"
                " story of its own."
            )
