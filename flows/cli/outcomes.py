"""Print what became of recordings, minutes, replies and texts; copy the artifacts to the user's folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from stenoflow.flows.cli.console import complain, count, result, say
from stenoflow.flows.minutes_outcome import MinutesOutcome
from stenoflow.flows.outcome import Outcome
from stenoflow.flows.reply_outcome import ReplyOutcome
from stenoflow.flows.speech_outcome import SpeechOutcome
from stenoflow.storage.errors import StenoflowError, StorageError
from stenoflow.tasks.artifacts.formats import artifact_name
from stenoflow.tasks.billing.amounts import show
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.errors import SettingsError
from stenoflow.tasks.transcript.timecode import clock

INTERRUPTED = 130
"""The exit code after a signal."""


def finish(context: AppContext, outcome: Outcome, copies: Copies, *, json: bool) -> None:
    """Print the outcome of a recording, and make the copies that were asked for."""
    print_outcome(outcome, json=json)
    for note in outcome.notes:
        say(note)
    try:
        copied = copies.make(context, outcome)
    except StenoflowError as error:
        complain(error)
        return
    if not json:
        for path in copied:
            result(f"  copy  {path}")


def print_outcome(outcome: Outcome, *, json: bool) -> None:
    """Print the outcome of a recording: a JSON line, or a few lines for people."""
    if json:
        result(outcome.to_json())
        return
    if outcome.job is None or outcome.status == "refused":
        result(f"{outcome.source}: {outcome.status}: {(outcome.error or {}).get('message', '')}")
        return
    result(
        f"{outcome.source}: {outcome.status}, {clock(round(outcome.duration * 1000))}, "
        f"{count(outcome.segments, 'segment')}, {count(outcome.calls, 'call')}, {outcome.reused} reused, "
        f"{_cost(outcome)}, job {outcome.job}"
    )
    width = max(map(len, outcome.artifacts), default=0)
    for name, uri in outcome.artifacts.items():
        result(f"  {name:{max(5, width)}} {uri}")
    if outcome.digest is not None:
        _print_followed(outcome.digest)


def _print_followed(minutes: MinutesOutcome) -> None:
    """Print the outcome of the minutes that followed a transcription."""
    why = f": {minutes.error['message']}" if minutes.error else ""
    calls = count(minutes.calls, "call")
    result(f"  minutes {minutes.status}, {calls}, {_cost(minutes)}, job {minutes.job}{why}")
    for name, uri in minutes.artifacts.items():
        if name != "html":
            result(f"  {name:5} {uri}")


def print_minutes(context: AppContext, outcome: MinutesOutcome, *, json: bool) -> None:
    """Print a JSON line; or the minutes, and on stderr what they cost and where they are."""
    if json:
        result(outcome.to_json())
        return
    if outcome.error is not None:
        say(f"{outcome.status}: {outcome.error['message']}")
    if "md" in outcome.artifacts and outcome.job is not None:
        result(context.store.get_bytes(_keys(context, outcome.job)["digest.md"]).decode())
    say(
        f"{outcome.status}, {count(outcome.segments, 'question')}, {count(outcome.calls, 'call')}, "
        f"{outcome.reused} reused, {_cost(outcome)}, job {outcome.job}"
    )
    for name, uri in outcome.artifacts.items():
        say(f"  {name:5} {uri}")


def print_reply(outcome: ReplyOutcome, *, json: bool, streams: bool = False) -> None:
    """Print a JSON line, or the answer as text; to stderr where stdout ``streams`` the sound."""
    if json:
        result(outcome.to_json())
        return
    if outcome.error is not None:
        complain(StenoflowError(outcome.error["message"]))
    if outcome.heard:
        say(f"heard: {outcome.heard}")
    if outcome.text:
        (say if streams else result)(outcome.text.strip())
    cost = "price unknown" if outcome.cost_micro is None else f"{show(outcome.cost_micro)} USD"
    say(f"{outcome.status}, {cost} in all, job {outcome.job}")


def print_speech(outcome: SpeechOutcome, *, json: bool, streams: bool = False) -> None:
    """Print a JSON line, or a line for people; to stderr where stdout ``streams`` the sound."""
    if json:
        result(outcome.to_json())
        return
    if outcome.error is not None:
        complain(StenoflowError(outcome.error["message"]))
    if outcome.job is not None:
        (say if streams else result)(outcome.told())


def _cost(outcome: Outcome | MinutesOutcome) -> str:
    return "price unknown" if outcome.cost_micro is None else f"{show(outcome.cost_micro)} {outcome.currency}"


class Copies:
    """Copies artifacts as ``NAME.txt`` and so on, a translation as ``NAME.en.txt``.

    Recordings of the same name get a number behind it.

    Attributes:
        failed: a copy could not be written; the artifacts in the store are whole all the same.
    """

    def __init__(self, folder: Path | None) -> None:
        """Make the folder, before anything is spent.

        Raises:
            SettingsError: it cannot be made.
        """
        self._folder = folder
        self._names: dict[str, str] = {}
        self.failed = False
        if folder is None:
            return
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SettingsError(f"cannot make the folder {folder}: {error.strerror}") from error

    def name(self, sources: Sequence[str]) -> None:
        """Give each source its name, by the order in which they were given and not by who ends first."""
        for source in sources:
            stem = Path(unquote(urlsplit(source).path)).stem or "recording"
            name, number = stem, 2
            # A translation is called ``NAME.en``, as a recording may be.
            while {name, f"{name}.en", name.removesuffix(".en")} & set(self._names.values()):
                name, number = f"{stem}-{number}", number + 1
            self._names[source] = name

    def make(self, context: AppContext, outcome: Outcome) -> list[Path]:
        """Copy what an outcome published; returns where to. Raises StorageError if one cannot be written."""
        if self._folder is None or not outcome.artifacts or outcome.job is None:
            return []
        copied = []
        for key, ending in [*_transcript(context, outcome), *_minutes(context, outcome)]:
            path = self._folder / f"{self._names[outcome.source]}.{ending}"
            try:
                context.store.fetch(key, path)
            except StenoflowError:
                self.failed = True
                raise
            except OSError as error:
                self.failed = True
                raise StorageError(f"cannot write {path}: {error.strerror}") from error
            copied.append(path)
        return copied


def _transcript(context: AppContext, outcome: Outcome) -> Iterator[tuple[str, str]]:
    """Yield the keys of what is copied, and the endings of the copies."""
    keys = _keys(context, outcome.job)
    for format_ in outcome.artifacts:
        ending = format_.replace("translation.", "en.")
        yield keys[format_ if ending != format_ else artifact_name(format_)], ending


def _minutes(context: AppContext, outcome: Outcome) -> Iterator[tuple[str, str]]:
    """Yield the same of minutes that followed; the page has them in it."""
    digest = outcome.digest
    keys = {} if digest is None else _keys(context, digest.job)
    for ending in () if digest is None else digest.artifacts:
        if (name := f"digest.{ending}") in keys:
            yield keys[name], name


def _keys(context: AppContext, job_id: str | None) -> dict[str, str]:
    return {} if job_id is None else {each.name: each.key for each in context.catalog.artifacts(job_id)}
