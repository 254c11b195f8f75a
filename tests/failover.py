"""Recordings through a failover, with an outage midway: what is lost, bought twice, and booked.

    python -m tests.failover [RECORDINGS]

Each goes to two servers of this process, of which the first fails in its own way after four answers, with
six calls at once; what the servers bill is held against the ledger.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from stenoflow.flows.transcribe import TranscribeWork
from stenoflow.storage.database.tables import Charge
from stenoflow.tasks.context import open_context
from stenoflow.tasks.jobs.transcribe.request import request_of
from stenoflow.tasks.settings import load_settings
from stenoflow.tasks.sources.inbox.options import RecordingOptions
from stenoflow.tasks.sources.local import resolve_path
from tests.flows.silent import silent_runner
from tests.instrument.recogniser import recognise
from tests.instrument.recording import script, write
from tests.servers.audio_api import AudioApiServer, audio_api_server

_MODES = (
    "402",
    "401",
    "429-insufficient_quota",
    "reset-after-body",
    "429-retry-after-a-day",
    "400",
    "503",
    "hang",
)
_SECONDS = 240
_ANSWERS = 4
_LINE = "{:24}{:>10}{:>13}{:>6}{:>14}{:>10}{:>10}{:>12}\n"
_HEADINGS = (
    "outage",
    "segments",
    "by the next",
    "lost",
    "bought twice",
    "billed s",
    "booked s",
    "possible s",
)


@dataclass
class Figures:
    """Of all recordings with one kind of outage."""

    segments: int = 0
    lost: int = 0
    twice: int = 0
    by_spare: int = 0
    billed_s: float = 0.0
    booked_s: float = 0.0
    possible_s: float = 0.0


def measure(mode: str, recordings: int, folder: Path) -> Figures:
    """Transcribe some recordings, each with an outage of its own."""
    found = Figures()
    for number in range(recordings):
        words = script(_SECONDS + number)
        path = write(folder / f"{mode}-{number}.mp3", words, _SECONDS + number, "-b:a", "64k")
        with _server() as first, _server() as spare:
            first.script(["ok"] * _ANSWERS)
            first.mode = mode
            _one(found, path, first, spare, [word.text for word in words])
    return found


def _server() -> AbstractContextManager[AudioApiServer]:
    return audio_api_server(lambda sound, _: recognise(sound))


def _one(found: Figures, path: Path, first: AudioApiServer, spare: AudioApiServer, words: list[str]) -> None:
    home = path.with_suffix("")
    home.mkdir(mode=0o700)
    (home / "stenoflow.toml").write_text(f'[providers.spare]\nbase_url = "{spare.base_url}"\n', "utf-8")
    os.environ["STENOFLOW_HOME"] = str(home)
    settings = load_settings(home=home, OPENAI_BASE_URL=first.base_url, OPENAI_API_KEY="sk-test")
    with open_context(settings) as context:
        options = RecordingOptions(providers=("127.0.0.1", "spare"), segment_seconds=18)
        (source,) = resolve_path(path)
        work = TranscribeWork(source, request_of(context, options), ("txt",))
        (outcome,) = asyncio.run(silent_runner(context, 6).run_all([work]))
        segments = context.catalog.segments(str(outcome.job))
        answered = Counter(call.sha256 for call in (*first.calls, *spare.calls) if call.charged)
        found.segments += len(segments)
        found.lost += sum(each.state != "done" for each in segments)
        said = Path(outcome.artifacts["txt"].removeprefix("file://")).read_text("utf-8").split()
        found.lost += sum((Counter(words) - Counter(said)).values())
        charges = list(_booked(context.reports.charges(str(outcome.job))))
        # A lost reply may have been charged, and its segment is bought of the next; that is in the ledger.
        lost_replies = sum(kind == "possible" for kind, _ in charges)
        found.twice += max(0, sum(times - 1 for times in answered.values()) - lost_replies)
        found.by_spare += len([call for call in spare.calls if call.charged])
        found.billed_s += first.billed_seconds + spare.billed_seconds
        found.booked_s += sum(ms for kind, ms in charges if kind == "actual") / 1_000
        found.possible_s += sum(ms for kind, ms in charges if kind == "possible") / 1_000
    shutil.rmtree(home)


def _booked(charges: Iterable[Charge]) -> Iterator[tuple[str, int]]:
    for charge in charges:
        if charge.kind in {"actual", "possible"}:
            yield charge.kind, charge.quantity


def main() -> None:
    """Print a line for each kind of outage."""
    recordings = int(sys.argv[1]) if len(sys.argv) > 1 else 2
    sys.stdout.write(_LINE.format(*_HEADINGS))
    for mode in _MODES:
        with tempfile.TemporaryDirectory() as folder:
            it = measure(mode, recordings, Path(folder))
        seconds = (f"{each:.1f}" for each in (it.billed_s, it.booked_s, it.possible_s))
        sys.stdout.write(_LINE.format(mode, it.segments, it.by_spare, it.lost, it.twice, *seconds))
        sys.stdout.flush()


if __name__ == "__main__":
    main()
