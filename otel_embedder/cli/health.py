"""`otel-embedder health`."""

from __future__ import annotations

import os

import click


@click.command("health")
@click.option(
    "--to",
    "address",
    metavar="ADDRESS",
    help="Whom to ask: HOST:PORT or unix:PATH. [default: where the settings have it listen]",
)
@click.option(
    "--config",
    metavar="FILE",
    help="The YAML file of settings that it was started with. [env: OTEL_EMBEDDER_CONFIG]",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=3,
    show_default=True,
    help="Seconds that it has to answer.",
)
def command(address: str | None, config: str | None, timeout: float) -> None:
    """Ask a sidecar whether it takes spans; exit with 0 if so, else with 1.

    For health checks of images, hosts and pods: it asks gRPC's own health service, which needs no
    token. Variables and file say where, as they do to `serve`. Of several addresses a Unix socket
    is asked, which has no TLS.

    Example: otel-embedder health --to 127.0.0.1:4327
    """
    # To be asked again and again: see to it that only what is needed is loaded, and that gRPC's C
    # core adds no lines of its own.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    from otel_embedder.receiver.probe import ask  # noqa: PLC0415

    ask(address or _listening(config), seconds=timeout)


def _listening(config: str | None) -> str:
    """Give where the settings have the sidecar listen; to read them costs more than to ask."""
    from otel_embedder.cli.parts.options import settings_from  # noqa: PLC0415
    from otel_embedder.receiver.addresses import address_to_probe  # noqa: PLC0415

    settings = settings_from({"config": config})
    listen, has_tls = settings.listen, settings.tls_certificate is not None
    try:
        return address_to_probe(listen, has_tls=has_tls)
    except ValueError as error:
        raise click.UsageError(f"listen: {listen} {error}; or name it with --to.") from error
