"""What terminals of 80 and 120 columns show, as pictures: ids, dates and speeds are replaced by signs."""

from __future__ import annotations

import io
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from stenoflow.flows.cli import console, progress
from tests.flows.conftest import Command, Meeting, write_settings
from tests.servers.audio_api import AudioApiServer

_PICTURES = Path(__file__).parent / "pictures"
_LONG = "Vorstandssitzung mit Gästen, 会议记录, dritter Teil (Nachtrag).mp3"

_VARYING = (
    (r"\b\d\d (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d\d:\d\d", "DD Mon HH:MM"),
    (r"\b20\d\d-\d\d-\d\d( \d\d:\d\d:\d\d)?", lambda found: re.sub(r"\d", "D", found[0])),
    (r"(?<= DD:DD:DD) [A-Z0-9+-]+", " ZONE"),
    (r"(?m)^recording     [0-9a-f]{16}$", "recording     recording-------"),
    (r"after \d\d:\d\d:\d\d", "after HH:MM:SS"),
    (r" *\d+\.\dx", "  00.0x"),
)


@pytest.fixture(params=[80, 120])
def width(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture
def picture(stenoflow: Command, width: int, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Run a command on a terminal of that width; returns what stands on it, plain."""

    def run(*arguments: str | Path) -> str:
        screen = io.StringIO()
        terminal = Console(file=screen, force_terminal=True, width=width, highlight=False, soft_wrap=True)
        monkeypatch.setattr(console, "results", terminal)
        assert stenoflow(*arguments).exit_code == 0
        text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.getvalue())
        # Addresses are to be copied: they may be longer than that.
        lines = [line.rstrip() for line in text.splitlines()]
        short = [line for line in lines if "file://" not in line]
        assert max(map(cell_len, short)) <= width, text
        return "\n".join([*lines, ""])

    return run


@pytest.fixture
def jobs(stenoflow: Command, api: AudioApiServer, meeting: Meeting, tmp_path: Path) -> list[str]:
    """Three jobs: one with a short name, one with a long one, and one that failed."""
    write_settings("[budgets]\nmonth = 10\n[budgets.tags]\nboard = 0.5\n")
    long = shutil.copy(meeting.path, tmp_path / _LONG)
    ids = [
        stenoflow("transcribe", path, "--segment-seconds", length, "--tag", tag, "--json").line["job"]
        for path, length, tag in ((meeting.path, "60", "board"), (long, "120", "a tag that is rather long"))
    ]
    api.script(["400"])
    return [*ids, stenoflow("transcribe", meeting.path, "--json").line["job"]]


def _still(text: str, ids: list[str], place: Path) -> str:
    """Replace what differs from run to run by as many other signs."""
    for number, job in enumerate(ids):
        text = text.replace(job, f"job{number}".ljust(len(job), "-")).replace(job[:8], f"job{number}----")
    for pattern, sign in _VARYING:
        text = re.sub(pattern, sign, text)
    return re.sub(r"file://\S+/(?=[^/\s]+)", "file:///…/", text.replace(str(place), "…"))


def _compare(name: str, text: str) -> None:
    path = _PICTURES / f"{name}.txt"
    if not path.exists():  # made anew where it was deleted, to be looked at
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, "utf-8")
        pytest.fail(f"{path} was written: look at it, and run this again")
    assert text == path.read_text("utf-8")


@pytest.mark.program
def test_lists_costs_and_a_job(
    picture: Callable[..., str], width: int, jobs: list[str], tmp_path: Path
) -> None:
    shown = [
        f"$ stenoflow {' '.join(arguments)}\n{picture(*arguments)}"
        for arguments in (
            ("jobs",),
            ("costs",),
            ("costs", "--by", "tag"),
            ("costs", "--by", "recording"),
            ("show", jobs[1]),
            ("show", jobs[2], "--segments"),
        )
    ]
    _compare(f"lists-{width}", _still("\n".join(shown), jobs, tmp_path))


@pytest.mark.program
def test_progress(
    stenoflow: Command,
    api: AudioApiServer,
    meeting: Meeting,
    width: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    screen = io.StringIO()
    terminal = Console(file=screen, force_terminal=True, width=width, highlight=False, soft_wrap=True)
    monkeypatch.setattr(progress, "messages", terminal)
    monkeypatch.setattr(console, "messages", terminal)
    long = tmp_path / _LONG
    long.write_bytes(meeting.path.read_bytes() + b"\0")
    api.delay_s = 0.7
    arguments = (meeting.path, long, "--segment-seconds", "60", "--concurrency", "1")
    assert stenoflow("transcribe", *arguments).exit_code == 0
    plain = re.sub(r"\x1b\[[0-9;]*m", "", screen.getvalue())
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "\n", plain).splitlines()
    assert max(map(cell_len, lines)) <= width
    bars = [line for line in lines if "━" in line]
    ended = {line.partition(" ")[0]: line for line in bars}
    times = (r"\d+:\d\d:\d\d", lambda found: re.sub(r"\d", "0", found[0]))
    text = (
        "\n".join(re.sub(*times, _still(line, [], tmp_path)).rstrip() for line in sorted(ended.values()))
        + "\n"
    )
    _compare(f"progress-{width}", text)
