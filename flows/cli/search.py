"""`stenoflow search WORDS`: who said what, in which recording, and when."""

from __future__ import annotations

from typing import Annotated

import typer

from stenoflow.flows.cli import console, options
from stenoflow.flows.cli.console import Column, json_line, print_list, print_rows, say
from stenoflow.flows.cli.jobs import SHORT_ID, find_job
from stenoflow.tasks.context import open_context
from stenoflow.tasks.errors import SettingsError
from stenoflow.tasks.settings import load_settings
from stenoflow.tasks.transcript.search_terms import phrases_of
from stenoflow.tasks.transcript.timecode import clock, seconds


def search(
    words: Annotated[
        list[str], typer.Argument(help='Words, all in one passage; "in quotes" a phrase.', show_default=False)
    ],
    job: Annotated[
        str | None, typer.Option(help="In the transcript of this job only.", show_default=False)
    ] = None,
    limit: Annotated[int, typer.Option(help="How many passages, newest first.", min=1, max=10_000)] = 50,
    json: options.Json = False,
) -> None:
    """Find words in all transcripts: who said them, in which recording, and when.

    Case and accents do not matter; a longer word is found by its beginning, and a phrase as it stands.

    Example: [bold]stenoflow search budget '"next year"'[/]
    """
    # A shell takes quotation marks away: what comes as one argument was meant as one phrase.
    phrases = phrases_of(" ".join(f'"{each}"' if " " in each and '"' not in each else each for each in words))
    if not phrases:
        raise SettingsError("there is no word to look for")
    with open_context(load_settings()) as context:
        job_id = None if job is None else find_job(context, job).job.id
        hits = context.search.search(phrases, limit=limit, job_id=job_id)
        unindexed = len(context.search.unindexed())
    if json:
        for hit in hits:
            json_line(
                {
                    "job": hit.job_id,
                    "name": hit.name,
                    "start": seconds(hit.start_ms),
                    "speaker": hit.speaker,
                    "text": hit.text,
                }
            )
    elif hits and console.results.is_terminal:
        columns = (Column("recording", give=True), Column("job"), Column("at"), Column("speaker", give=True))
        rows = [(hit.name, hit.job_id[:SHORT_ID], clock(hit.start_ms), hit.speaker or "") for hit in hits]
        print_list(columns, rows, [hit.text for hit in hits])
    elif hits:
        print_rows(
            ("recording", "job", "at", "speaker", "text"),
            ((hit.name, hit.job_id, clock(hit.start_ms), hit.speaker, hit.text) for hit in hits),
        )
    else:
        say("nothing found")
    if unindexed:
        say(f"{unindexed} older transcripts are not searched yet: stenoflow verify puts them into the index")
