"""The commands, put together; each is a module of its own."""

from __future__ import annotations

import typer

from stenoflow.flows.cli import (
    costs,
    database,
    demo,
    digest,
    engine,
    estimate,
    forget,
    ingest,
    jobs,
    metrics,
    reply,
    resume,
    serve,
    speak,
    transcribe,
    verify,
)

app = typer.Typer(
    name="stenoflow",
    help="Hours-long recordings in; text, subtitles, JSON and a cost record out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.command("demo")(demo.demo)
app.command("transcribe")(transcribe.transcribe)
app.command("estimate")(estimate.estimate)
app.command("ingest")(ingest.ingest)
app.command("serve")(serve.serve)
app.command("digest")(digest.digest)
app.command("reply")(reply.reply)
app.command("jobs")(jobs.jobs)
app.command("show")(jobs.show)
app.command("resume")(resume.resume)
app.command("costs")(costs.costs)
app.command("verify")(verify.verify)
app.command("forget")(forget.forget)
app.command("speak")(speak.speak)
app.command("engine")(engine.engine)
app.command("metrics")(metrics.metrics)

_database = typer.Typer(help="The database.", no_args_is_help=True)
_database.command("upgrade")(database.upgrade)
app.add_typer(_database, name="db")
