"""What is done in the frozen home, and the API that it is done with."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from tests.flows.test_translations import in_english
from tests.flows.test_translations_by_chat import in_english as lines_in_english
from tests.frozen.place import Home
from tests.instrument.recogniser import recognise
from tests.servers.audio_api import AudioApiServer, Fields, UnheardError, audio_api_server
from tests.servers.chat import Document, minutes

Saved = dict[str, Any]

ANSWER: Final = "It is nine, and all is well. Good night."
TEXT: Final = "The report is due on Tuesday, and no day later.\n\nOr bring the cake."

# Of these ffmpeg decides, and another one's bytes may be others.
SOUND: Final = (".mp3", ".opus", ".flac")

_MEETING = ("transcribe", "sources/meeting.opus", "--segment-seconds", "15", "--concurrency", "1", "--json")
_CALL = ("transcribe", "sources/call.opus", "--speakers", "channels", "--speaker", "Channel 1=Ann")
_ALL = "txt,srt,vtt,json,html,tsv,ass,karaoke"

STEPS: Final[Mapping[str, tuple[str, ...]]] = {
    "plain": (*_MEETING, "--tag", "board", "--formats", _ALL),
    "translated": (*_MEETING, "--translate"),
    "translated by chat": (*_MEETING, "--translate", "--model", "gpt-4o-transcribe"),
    "channels": (*_CALL, "--segment-seconds", "15", "--concurrency", "1", "--json"),
    "partial": (*_MEETING, "--language", "de"),
    "hinted": (*_MEETING, "--languages", "de,en", "--glossary", "sources/names.txt", "--tag", "board"),
    "digest": ("digest", "{plain}", "--json"),
    "speech": ("speak", "--file", "sources/text.txt", "-o", "out/text.opus", "--voice", "nova", "--json"),
    "short speech": ("speak", "Good night.", "-o", "out/night.mp3", "--speed", "1.25", "--json"),
    "reply": ("reply", "sources/question.opus", "-o", "out/answer.opus", "--json"),
}
"""One job of each kind and more; ``{name}`` is the job of another step."""

QUESTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "jobs": ("jobs", "--json"),
    "jobs in a state": ("jobs", "--state", "partial", "--limit", "3", "--json"),
    "verify": ("verify", "--json"),
    **{
        f"costs by {by}": ("costs", "--by", by, "--format", "json")
        for by in ("day", "month", "model", "recording", "tag", "activity")
    },
    "costs as a table of commas": ("costs", "--by", "model", "--format", "csv"),
    **{f"show {name}": ("show", f"{{{name}}}", "--json") for name in STEPS},
}
"""What is asked about the home; no call, and nothing is changed."""

AGAIN: Final = tuple(name for name in STEPS if name != "partial")
"""Steps that are done already."""

RESUMED: Final[Mapping[str, tuple[str, ...]]] = {"partial": ("resume", "{partial}", "--json")}
"""What goes on where it stopped, with one call."""

REPAIRED: Final[Mapping[str, tuple[str, ...]]] = {"verify": ("verify", "--repair", "--json")}
"""What builds everything anew from stored answers."""

_LITTLE = ("--budget", "0.0000001", "--json")
UNPAID: Final[Mapping[str, tuple[str, ...]]] = {
    "transcribe": ("transcribe", "sources/meeting.opus", *_LITTLE),
    "transcribe otherwise": (*_MEETING, "--language", "de", "--translate", *_LITTLE),
    "channels": ("transcribe", "sources/call.opus", "--speakers", "channels", *_LITTLE),
    "digest": ("digest", "{hinted}", *_LITTLE),
    "digest aloud": ("digest", "{plain}", "--voice", "nova", "--concurrency", "1", *_LITTLE),
    "digest by another": ("digest", "{plain}", "--model", "gpt-4.1-mini", *_LITTLE),
    "speak": ("speak", "Good morning.", "-o", "out/morning.mp3", *_LITTLE),
    "speak otherwise": (
        *("speak", "Good morning.", "-o", "out/morning.wav", "--speed", "0.5"),
        *("--model", "gpt-4o-mini-tts", "--instructions", "Whisper.", *_LITTLE),
    ),
    "reply": ("reply", "sources/question.opus", "-o", "out/rude.mp3", "--instructions", "Be rude.", *_LITTLE),
    "no audio": ("transcribe", "sources/names.txt", "--json"),
    "not there": ("transcribe", "sources/nothing.opus", "--json"),
    "nothing to say": ("speak", " ", "-o", "out/nothing.mp3", "--json"),
    "short of a minimum": ("transcribe", "sources/meeting.opus", "--segment-seconds", "1", "--json"),
    "no such option": ("transcribe", "sources/meeting.opus", "--nonsense"),
    "no such command": ("nonsense",),
    "no source": ("transcribe",),
    "no such job": ("show", "nonsense", "--json"),
    "no such language": ("transcribe", "sources/meeting.opus", "--language", "nonsense", "--json"),
    "no such voice": ("speak", "Good morning.", "-o", "out/morning.mp3", "--voice", "nobody", "--json"),
    "no minutes of minutes": ("digest", "{digest}", "--json"),
}
"""What ends before anything is spent: refused, never begun, or made of what is there."""


@contextmanager
def a_good_api() -> Iterator[AudioApiServer]:
    """Serve an API that hears German numbers in tones, and writes and speaks."""
    with audio_api_server(_heard) as server:
        server.translator = in_english
        server.chat.chatter = _written
        yield server


def do(home: Home, api: AudioApiServer, steps: Iterable[str], jobs: Mapping[str, str]) -> Saved:
    """Do steps in their order; what each printed. ``jobs`` are those of other steps, as `ask` wants them."""
    known, done = dict(jobs), Saved()
    for name in steps:
        api.recogniser = _all_but_the_middle if name == "partial" else _heard
        done |= ask(home, {name: STEPS[name]}, known)
        api.recogniser = _heard
        known[name] = done[name]["lines"][0]["job"]
    return done


def ask(home: Home, questions: Mapping[str, tuple[str, ...]], jobs: Mapping[str, str]) -> Saved:
    """Run command lines; what each printed on stdout, and its exit code."""
    return {name: _asked(home, arguments, jobs) for name, arguments in questions.items()}


def jobs_of(done: Saved) -> dict[str, str]:
    """Return the jobs of steps by name."""
    return {name: printed["lines"][0]["job"] for name, printed in done.items()}


def spoil(home: Home) -> None:
    """Take away every artifact that is no sound, and every manifest but those of speech."""
    for path in (home.folder / "store").glob("*/*/*"):
        if path.suffix not in SOUND and not any(path.parent.glob("speech.*")):
            path.unlink()


def jobs_in(home: Home) -> list[list[Any]]:
    """Return each job that there is: its kind, id, recording, hashes and settings."""
    with home.database() as database:
        rows = database.execute(
            "SELECT kind, jobs.id, recording_id, sha256, settings_hash, plan_hash, settings"
            " FROM jobs JOIN recordings ON recordings.id = recording_id ORDER BY kind, jobs.id"
        ).fetchall()
    return [[*row, json.loads(settings)] for *row, settings in rows]


def segments_of(home: Home) -> list[list[Any]]:
    """Return what each segment of each job is, and the key of its answer."""
    with home.database() as database:
        rows = database.execute(
            'SELECT job_id, "index", activity, channel, start_sample, end_sample, gain_db, work_key'
            ' FROM segments ORDER BY job_id, "index"'
        ).fetchall()
    return [list(row) for row in rows]


def _asked(home: Home, arguments: tuple[str, ...], jobs: Mapping[str, str]) -> Saved:
    told = home.run(*(argument.format_map(jobs) for argument in arguments))
    if told.out.startswith("{"):
        return {"exit_code": told.exit_code, "lines": [_normalised(line) for line in told.lines]}
    return {"exit_code": told.exit_code, "text": told.out.splitlines()}


def _normalised(line: Saved) -> Saved:
    """Take away how long it took, which only lines of a reply say."""
    steps = [
        {**step, "seconds": 0, "first": None if step["first"] is None else 0} if "first" in step else step
        for step in line.get("steps", [])
    ]
    return {**line, "steps": steps} if steps else line


def _heard(sound: bytes, _: Fields) -> dict[str, Any]:
    return {**recognise(sound), "language": "german"}


def _all_but_the_middle(sound: bytes, fields: Fields) -> dict[str, Any]:
    """Refuse the segment with this number: which one comes first is left to chance."""
    heard = _heard(sound, fields)
    if "40" in heard["text"].split():
        raise UnheardError
    return heard


def _written(document: Document) -> str:
    """Translate, make minutes, or answer, whatever is asked for."""
    shape = document.get("response_format", {}).get("json_schema", {}).get("name")
    writers: dict[str | None, Callable[[Document], str]] = {
        "translation": lines_in_english,
        None: lambda _: ANSWER,
    }
    return writers.get(shape, minutes)(document)
