"""`stenoflow engine`: the embedded engine as an OpenAI-compatible API on loopback."""

from __future__ import annotations

from typing import Annotated

import typer

from stenoflow.flows.cli.console import say
from stenoflow.tasks.jobs.transcribe.request import embedded_engine
from stenoflow.tasks.settings import load_settings


def engine(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port; 0 takes a free one.", min=0, max=65535)] = 8178,
    api_key: Annotated[
        str | None,
        typer.Option(envvar="STENOFLOW_ENGINE_KEY", help="Ask callers for this key.", show_default=False),
    ] = None,
) -> None:
    """Serve the embedded engine, so that any OpenAI client can use it.

    It transcribes (/v1/audio/transcriptions: pocketsphinx, faster-whisper), speaks (/v1/audio/speech: flite,
    espeak-ng) and sums up (/v1/chat/completions: extractive-summary); /v1/models lists what this machine has.

    Example: [bold]stenoflow engine --port 8178[/]
    """
    from stenoflow.tasks.engine.app import serve  # noqa: PLC0415 - loads slowly, and only here

    serve(
        embedded_engine(load_settings()),
        host=host,
        port=port,
        api_key=api_key,
        on_ready=lambda base_url: say(f"Serving. For clients: OPENAI_BASE_URL={base_url}"),
    )
