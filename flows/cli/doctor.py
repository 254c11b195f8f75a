"""`stenoflow doctor`: look at all that a job needs, and say what to do about what is wrong."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from pathlib import Path

import httpx
import typer

from stenoflow.flows.cli import options
from stenoflow.flows.cli.console import Column, json_line, print_list, say
from stenoflow.storage.database.connection import check_not_newer, open_database, revision
from stenoflow.storage.errors import StenoflowError
from stenoflow.storage.objects import open_store
from stenoflow.storage.reasons import plain_reason
from stenoflow.tasks.api.client_settings import AudioApiSettings
from stenoflow.tasks.api.model_table import ModelKind, ModelListing, UsedModel, today
from stenoflow.tasks.api.network import open_http, proxy_for
from stenoflow.tasks.api.providers import POCKETSPHINX, load_providers
from stenoflow.tasks.calls.chosen_models import CHOOSE, SETTING, transcription_model
from stenoflow.tasks.calls.offers import told_last_day
from stenoflow.tasks.calls.provider import (
    api_settings,
    asked_for,
    is_embedded,
    provider_name,
)
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.engine.weights import last_resort
from stenoflow.tasks.errors import FailedError
from stenoflow.tasks.media.ffmpeg import find_ffmpeg
from stenoflow.tasks.operations.model_list import tables_of
from stenoflow.tasks.settings import Settings, load_settings
from stenoflow.tasks.settings.files import similar_setting, unknown_settings

OK, WARNING, ERROR = "ok", "warning", "error"
_TIMEOUT_S = 10.0
# S3 refuses signatures that are 15 minutes off; a month's budget begins by this clock, too.
_CLOCK_S = 60


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found; ``hint`` says what to do."""

    name: str
    condition: str
    message: str
    hint: str = ""


def doctor(json: options.Json = False) -> None:
    """Check ffmpeg, database, store, server, key, models, inboxes, disk, proxy; nothing is charged.

    Example: [bold]stenoflow doctor[/]
    """
    settings = load_settings()
    found = [finding for check in _CHECKS for finding in _run(check, settings)]
    if json:
        for each in found:
            json_line(
                {"check": each.name, "condition": each.condition, "message": each.message, "hint": each.hint}
            )
    else:
        columns = (Column("check"), Column("condition"), Column("found"))
        remarks = [each.hint or None for each in found]
        print_list(columns, [(each.name, each.condition, each.message) for each in found], remarks)
    if any(each.condition == ERROR for each in found):
        raise typer.Exit(FailedError.exit_code)
    if json:
        return
    if any(each.name == "settings" and each.condition == WARNING for each in found):
        say("A job can run, but some of what is set means nothing, and is passed over: see the warnings.")
    else:
        say("All that a job needs is there.")


_Check = tuple[str, Callable[[Settings], Iterator[Finding]]]


def _run(check: _Check, settings: Settings) -> Iterator[Finding]:
    """Run a check; what it raises is what it found."""
    name, look = check
    try:
        yield from look(settings)
    except StenoflowError as error:
        yield Finding(name, ERROR, error.message, error.hint)


def _settings(settings: Settings) -> Iterator[Finding]:
    """Check that what stands in the environment and in files means something: a typo is passed over else."""
    unknown = list(unknown_settings(type(settings)))
    for name, where in unknown:
        near = similar_setting(type(settings), name)
        hint = f"is {near} meant? " if near else ""
        yield Finding(
            "settings",
            WARNING,
            f"{name} in {where} means nothing there",
            f"{hint}stenoflow init --print lists them",
        )
    if not unknown:
        yield Finding("settings", OK, "each of them is known")


def _ffmpeg(_: Settings) -> Iterator[Finding]:
    found = find_ffmpeg()
    yield Finding("ffmpeg", OK, f"{found.version} at {found.path}")


def _disk(settings: Settings) -> Iterator[Finding]:
    home = settings.home
    there = next(folder for folder in (home, *home.parents) if folder.exists())
    if not os.access(there, os.W_OK):
        yield Finding("home", ERROR, f"{home} cannot be written", "let STENOFLOW_HOME name another folder")
        return
    free_mb = shutil.disk_usage(there).free // 1_000_000
    enough = free_mb >= settings.least_free_mb
    hint = "" if enough else f"free some space: {settings.least_free_mb:,} MB are needed to begin a job"
    yield Finding("home", OK if enough else ERROR, f"{home}, {free_mb:,} MB free", hint)


def _database(settings: Settings) -> Iterator[Finding]:
    database = open_database(settings.database_url)
    try:
        current, head = revision(database)
        check_not_newer(database, current)
        if current == head:
            yield Finding("database", OK, f"{database.name}, revision {head}")
        elif current is None and database.is_embedded:
            yield Finding("database", OK, f"{database.name} will be made by the first job")
        else:
            condition = WARNING if database.is_embedded else ERROR
            is_old = f"{database.name} is at revision {current or 'none'}, not {head}"
            yield Finding("database", condition, is_old, "run: stenoflow db upgrade")
    finally:
        database.close()


def _store(settings: Settings) -> Iterator[Finding]:
    open_store(settings.store).check()
    yield Finding("store", OK, settings.store)


def _server(settings: Settings) -> Iterator[Finding]:
    """Check the server's address, the way to it, the key, and this machine's clock against the server's."""
    if is_embedded(settings):
        name = transcription_model(settings)
        hint = last_resort() if name == POCKETSPHINX and settings.model is None else ""
        condition = WARNING if hint else OK
        yield Finding("server", condition, f"the embedded engine transcribes here, by {name}", hint)
        return
    asked = asked_for(settings)
    server = api_settings(settings, asked)
    # As it may be shown: the address itself may hold a password.
    url = server.address
    proxy = proxy_for(httpx.URL(url))
    yield Finding("proxy", OK, f"{proxy[0]} is used for {url}" if proxy else "none is used")
    try:
        answer = asyncio.run(_ask(server))
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        hint = "check OPENAI_BASE_URL, the network and the proxy"
        yield Finding("server", ERROR, f"{url} does not answer: {plain_reason(error)}", hint)
        return
    yield Finding("server", OK, f"{provider_name(settings)} at {url} answers")
    if answer.status_code in {401, 403}:
        hint = "check OPENAI_API_KEY, and what the key is allowed to do"
        yield Finding("key", ERROR, f"it is refused with status {answer.status_code}", hint)
    elif answer.is_success:
        yield Finding("key", OK, "none is set, nor asked for" if asked.key is None else "it is accepted")
    else:
        hint = "not every server lists its models; an address usually ends in /v1"
        yield Finding("key", WARNING, f"the list of models is refused with {answer.status_code}", hint)
    yield from _clock(answer.headers.get("date"))


async def _ask(server: AudioApiSettings) -> httpx.Response:
    async with open_http(server.base_url, timeout=_TIMEOUT_S) as client:
        return await client.get(server.url("models"), headers=server.key_header)


def _clock(said: str | None) -> Iterator[Finding]:
    try:
        there = parsedate_to_datetime(said or "")
    except ValueError:
        return
    off_s = round((datetime.now(UTC) - there).total_seconds())
    if abs(off_s) <= _CLOCK_S:
        yield Finding("clock", OK, "it agrees with the server's")
    else:
        hint = "set it (by NTP): S3 refuses what is signed at another time, and budgets are a month's"
        yield Finding("clock", ERROR, f"it is {off_s:+} s off the server's", hint)


def _models(settings: Settings) -> Iterator[Finding]:
    """Check the last days of the models that are used; without one that speaks, jobs run all the same."""
    tables, now = tables_of(settings), today()
    for kind, choose in CHOOSE.items():
        is_needed = kind is ModelKind.TRANSCRIPTION
        check = "model" if is_needed else f"{kind} model"
        try:
            name = choose(settings)
        except StenoflowError as error:
            yield Finding(check, ERROR if is_needed else WARNING, error.message, error.hint)
            continue
        listing: ModelListing = tables[kind].get(name)
        provider = provider_name(settings, kind)
        told = told_last_day(settings, UsedModel(kind, provider, name))
        last, remark = told or listing.last_day(provider), listing.remark(provider, now, told)
        if remark is None:
            until = "no last day is known" if last is None else f"its last day: {last}"
            yield Finding(check, OK, f"{name}; {until}")
            continue
        is_over = is_needed and last is not None and last < now
        yield Finding(check, ERROR if is_over else WARNING, remark, f"let {SETTING[kind]} name another")


def _inboxes(settings: Settings) -> Iterator[Finding]:
    """Check of each inbox whether its options are right, and whether it is there."""
    if not settings.inboxes:
        return
    from stenoflow.flows.inboxes import check_inbox, out_of_reach  # noqa: PLC0415 - for those who have some

    database = open_database(settings.database_url)
    try:
        context = AppContext(settings, database)
        for inbox in settings.inboxes:
            name = f"inbox {inbox.name}"
            try:
                check_inbox(settings, inbox, context)
                failure = out_of_reach(inbox, context.s3)
            except StenoflowError as error:
                failure = error
            if failure is None:
                yield Finding(name, OK, f"{inbox.address} is there")
            else:
                yield Finding(name, ERROR, failure.message, failure.hint)
    finally:
        database.close()


def _named(settings: Settings) -> Iterator[Finding]:
    """Check users, templates and providers of the settings, which else only whoever needs one finds wrong."""
    if settings.users:
        from stenoflow.flows.desk.users import is_hash  # noqa: PLC0415 - for those who have some

        for name, user in settings.users.items():
            if user.password is not None and not is_hash(user.password.get_secret_value()):
                message = f"the password of {name} is not a hash, so that {name} cannot log in by it"
                hint = "stenoflow serve --hash-password asks for a password, and prints its hash"
                yield Finding("users", ERROR, message, hint)
    minutes = settings.minutes
    templates = {minutes.template, *minutes.tags.values(), *minutes.inboxes.values()}
    for path in sorted(filter(None, templates)):
        yield from _run(("minutes", partial(_template, path)), settings)
    for name in settings.providers:
        yield from _run(("providers", partial(_provider, name)), settings)


def _template(path: Path, settings: Settings) -> Iterator[Finding]:
    from stenoflow.tasks.jobs.minutes.plan import read_template  # noqa: PLC0415 - for those who have some

    read_template(settings.home, path)
    yield Finding("minutes", OK, f"the template {path} can be used")


def _provider(name: str, settings: Settings) -> Iterator[Finding]:
    table = load_providers(settings.providers)
    if table.listed[name].base_url:  # without one, OPENAI_BASE_URL says where it is
        table.get(name)
    yield Finding("providers", OK, f"{name} can be asked")


def _prefect(_: Settings) -> Iterator[Finding]:
    url = os.environ.get("PREFECT_API_URL")
    if not url:
        yield Finding("prefect", OK, "no server is set: commands run without one")
        return
    try:
        answer = httpx.get(f"{url.rstrip('/')}/health", timeout=_TIMEOUT_S, trust_env=False)
        condition = OK if answer.is_success else WARNING
        said = f"{url} answers with status {answer.status_code}"
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        condition, said = WARNING, f"{url} does not answer: {plain_reason(error)}"
    hint = "" if condition == OK else "check PREFECT_API_URL; jobs run all the same, but are not shown there"
    yield Finding("prefect", condition, said, hint)


_CHECKS: tuple[_Check, ...] = (
    ("settings", _settings),
    ("ffmpeg", _ffmpeg),
    ("home", _disk),
    ("database", _database),
    ("store", _store),
    ("server", _server),
    ("model", _models),
    ("named", _named),
    ("inboxes", _inboxes),
    ("prefect", _prefect),
)
