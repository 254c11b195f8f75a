"""Commands that look after what is stored: `verify`, `forget`, `db upgrade` and `db rebuild`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from stenoflow.flows.cli import options
from stenoflow.flows.cli.console import (
    Column,
    add_plain,
    complain,
    count,
    json_line,
    plain_table,
    print_list,
    print_table,
    result,
    say,
)
from stenoflow.flows.cli.jobs import find_job
from stenoflow.flows.flow_run_erasure import erase_flow_runs
from stenoflow.storage.database.connection import copy_before_upgrade, open_database, pending, revision
from stenoflow.storage.database.connection import upgrade as run_migrations
from stenoflow.storage.database.erasure import ErasableRecording, Erasure
from stenoflow.storage.database.tables import Receipt
from stenoflow.tasks.context import AppContext, open_context
from stenoflow.tasks.errors import FailedError, SettingsError
from stenoflow.tasks.jobs.transcribe.publish import index_missing
from stenoflow.tasks.operations.erase import erase, find, sound_left
from stenoflow.tasks.operations.rebuild_database import find_unknown, restore_unknown
from stenoflow.tasks.operations.retention import Retention
from stenoflow.tasks.operations.verify import Verified, published
from stenoflow.tasks.operations.verify import verify as verify_job
from stenoflow.tasks.settings import load_settings


def verify(
    jobs: Annotated[
        list[str] | None,
        typer.Argument(help="Jobs, or the beginnings of their ids. Default: all.", show_default=False),
    ] = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="Build what is not right anew from stored answers; no call.")
    ] = False,
    json: options.Json = False,
) -> None:
    """Hold every artifact against its recorded sha256, and the store against the database.

    Example: [bold]stenoflow verify --repair[/]
    """
    with open_context(load_settings()) as context:
        wanted = [find_job(context, job).job for job in jobs] if jobs else published(context)
        found = [verify_job(context, job, repair=repair) for job in wanted]
        if not jobs:
            index_missing(context)
            found += [Verified(each.job_id, {}, error=each.error) for each in find_unknown(context)]
    for each in found:
        if json:
            json_line(_verified_line(each))
        if each.error is not None:
            complain(each.error)
    if not json:
        _print_verified(found)
    if not all(each.is_sound for each in found):
        raise typer.Exit(FailedError.exit_code)


def _verified_line(verified: Verified) -> dict[str, object]:
    error = verified.error
    return {
        "job": verified.job_id,
        "ok": verified.is_sound,
        "artifacts": verified.artifacts,
        "repaired": list(verified.repaired),
        "error": error and {"kind": error.kind, "message": str(error)},
    }


def _print_verified(found: list[Verified]) -> None:
    spoilt = [each for each in found if each.repaired or not each.is_sound]
    table = plain_table("job", "artifact", "condition")
    for each in spoilt:
        for name, condition in each.artifacts.items():
            add_plain(table, each.job_id, name, "built anew" if name in each.repaired else condition)
    if spoilt:
        print_table(table)
    say(f"{count(len(found), 'job')} looked at, {sum(each.is_sound for each in found)} as recorded")


def forget(
    recording: Annotated[
        str | None,
        typer.Argument(
            help="A recording's id or its first 4 characters or more (jobs --json), its address, or path.",
            show_default=False,
        ),
    ] = None,
    expired: Annotated[
        bool, typer.Option("--expired", help="In place of a recording: what \\[retention] keeps no longer.")
    ] = False,
    receipts: Annotated[
        bool, typer.Option("--receipts", help="Only list what was erased before; of one recording by its id.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be erased.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    json: options.Json = False,
) -> None:
    r"""Erase a recording: our copies of its sound, segments, answers, artifacts. Charges stay, without names.

    A receipt with hashes and the time stays, too. Your own file, or the object in your bucket, is not
    touched; --expired also clears inboxes of what is complete, where \[retention] says so.

    Example: [bold]stenoflow forget 012e573439b1f437 --dry-run[/]
    """
    settings = load_settings()
    if receipts and not expired:
        with open_context(settings) as context:
            _print_receipts(Erasure(context.database, context.leases).receipts(recording or ""), json=json)
        return
    if (recording is None) is not expired or receipts:
        raise SettingsError("say what is to be forgotten", "name a recording, or give --expired")
    with open_context(settings) as context:
        if recording is None:
            _forget_expired(context, dry_run=dry_run, yes=yes, json=json)
            return
        for each in find(context, _address(recording)):
            if dry_run:
                _explain(context, each, json=json)
                continue
            if not yes:
                jobs = count(len(each.jobs), "job")
                typer.confirm(f"Forget {each.name} with {jobs}?", abort=True, err=True)
            # First: once the jobs are gone, nothing says which flow runs were theirs.
            runs = erase_flow_runs(settings.home, each.name, each.source, each.jobs)
            erased = erase(context, each)
            if json:
                what = {"recording": each.recording_id, "jobs": list(each.jobs)}
                json_line({**what, "erased": erased, "flow_runs": runs})
            else:
                artifacts = count(erased, "artifact")
                say(f"{each.name}: forgotten, with {artifacts}; what it cost stays in the ledger")


def _print_receipts(receipts: Sequence[Receipt], *, json: bool) -> None:
    """Print what was erased, when and why; nothing says what it was called."""
    if json:
        for each in receipts:
            what = {"recording": each.recording_id, "job": each.job_id, "kind": each.kind}
            json_line(
                {
                    "erased": each.erased_at.isoformat(timespec="seconds"),
                    **what,
                    "cause": each.cause,
                    "items": each.items,
                }
            )
        return
    columns = [Column(name) for name in ("erased", "recording", "job", "what", "items", "cause")]
    rows = [
        (
            f"{each.erased_at:%Y-%m-%d %H:%M}",
            each.recording_id,
            each.job_id or "all",
            each.kind,
            str(len(each.items)),
            each.cause,
        )
        for each in receipts
    ]
    if rows:
        print_list(columns, rows)
    else:
        say("Nothing was erased.")


def _explain(context: AppContext, recording: ErasableRecording, *, json: bool) -> None:
    """Say what forgetting a recording would erase."""
    erasure = Erasure(context.database, context.leases)
    artifacts = [item for job in recording.jobs for item in erasure.artifacts(job)]
    answers = {item["sha256"] for job in recording.jobs for item in erasure.answers(job, recording.jobs)}
    words = erasure.words(recording.recording_id)
    sound = sound_left(context, recording.source, recording.version, recording.jobs)
    if json:
        what = {"recording": recording.recording_id, "jobs": list(recording.jobs), "dry_run": True}
        would = {"artifacts": artifacts, "answers": len(answers), "sound": len(sound), "glossary": len(words)}
        json_line({**what, "would_erase": would})
        return
    result(
        f"{recording.name} ({recording.recording_id}): {count(len(recording.jobs), 'job')},"
        f" {count(len(answers), 'answer')}, {count(len(sound), 'piece')} of sound,"
        f" {count(len(artifacts), 'artifact')}, {count(len(words), 'word')} of glossaries"
    )
    for item in artifacts:
        result(f"  {item['what']}, {item['bytes']:,} bytes")


def _forget_expired(context: AppContext, *, dry_run: bool, yes: bool, json: bool) -> None:
    """Erase what ``[retention]`` keeps no longer, or say what that is."""
    retention = Retention(context)
    found = list(retention.expired())
    if found and not dry_run and not yes:
        typer.confirm(f"Erase {count(len(found), 'expired thing')}?", abort=True, err=True)
    for each in found:
        if not dry_run:
            retention.erase(each)
        if json:
            what = {"recording": each.job.recording_id, "job": each.job.id, "kind": each.kind}
            json_line({**what, "dry_run": dry_run, "items": each.items, "moved_to": each.moved_to})
        else:
            done = "would be moved" if each.moved_to and dry_run else "moved" if each.moved_to else ""
            done = done or ("would be erased" if dry_run else "erased")
            ended = each.job.finished_at.date()
            result(f"{each.job.name}, job {each.job.id} of {ended}: {len(each.items)} {each.kind} {done}")
    if not found:
        say("nothing has expired")


def _address(recording: str) -> str:
    """Return the address of a path; return ids and addresses unchanged."""
    path = Path(recording)
    is_path = bool(recording) and "://" not in recording and ("/" in recording or path.exists())
    # A source is named like this: links are followed, but not the last part.
    return (path.parent.resolve() / path.name).as_uri() if is_path else recording


def rebuild() -> None:
    """Take back from the store what the database does not know: recordings, jobs, answers, charges. No call.

    For a database that was lost, or restored from an older copy: what is in the store is not bought again.

    Example: [bold]stenoflow db rebuild[/]
    """
    with open_context(load_settings()) as context:
        restored = restore_unknown(context)
    for each in restored:
        if each.error is not None:
            complain(each.error)
    failed = sum(each.error is not None for each in restored)
    say(f"{count(len(restored) - failed, 'job')} taken back from the store, {failed} not")
    if failed:
        raise typer.Exit(FailedError.exit_code)


def upgrade(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")
    ] = False,
    backup: Annotated[
        bool,
        typer.Option("--backup/--no-backup", help="Copy an SQLite file first, to a file beside it."),
    ] = True,
) -> None:
    """Bring the database's tables up to date (the embedded SQLite does so by itself).

    It says what it does first, and copies an SQLite file to one beside it, as any command does that upgrades
    one. PostgreSQL is not copied.

    Example: [bold]stenoflow db upgrade[/], with STENOFLOW_DATABASE_URL=postgresql+psycopg://me@db/steno
    """
    database = open_database(load_settings().database_url)
    try:
        steps = pending(database)
        for step in steps:
            say(f"{'would run' if dry_run else 'runs'} {step}")
        copy = copy_before_upgrade(database) if dry_run and backup else None
        if copy is not None:
            say(f"would copy it to {copy} first")
        current = revision(database)[0] if dry_run else run_migrations(database, backup=backup)
    finally:
        database.close()
    result(f"{database.name} is at revision {current or 'none'}")
