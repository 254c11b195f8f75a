"""`stenoflow serve`: the operator's dashboard, the deployments and their schedules."""

from __future__ import annotations

from typing import Annotated

import typer

from stenoflow.flows.cli.console import result, say
from stenoflow.flows.serve import dashboard, serve_deployments
from stenoflow.tasks.context import open_context
from stenoflow.tasks.settings import load_settings


def serve(
    host: Annotated[
        str, typer.Option(help="The address to listen on; any but the loopback asks for a password.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port; 0 takes a free one.", min=0, max=65535)] = 4200,
    limit: Annotated[int, typer.Option(help="Flow runs at once, each a process.", min=1)] = 4,
) -> None:
    """Serve the dashboard, and run what is started there or is due: until Ctrl-C.

    With PREFECT_API_URL set, the deployments are registered with that server instead.

    Example: [bold]stenoflow serve[/]
    """
    settings = load_settings()
    with open_context(settings) as context:
        context.check()
    with dashboard(settings, host, port) as served:
        result(served.api_url.removesuffix("/api"))
        say("Serving the dashboard and the deployments there; Ctrl-C ends it.")
        serve_deployments(settings, limit, served)
