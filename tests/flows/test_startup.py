"""What a command loads: the fewer modules, the sooner it begins. Counted, not timed."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path
from typing import cast

import pytest
import typer
from typer.main import get_command

from stenoflow.flows.cli.app import _Unloaded, app
from tests.flows.conftest import Command, Meeting
from tests.servers.audio_api import AudioApiServer

_PROGRAM = """
import sys
sys.argv = ["stenoflow", *sys.argv[1:]]
from stenoflow.flows.cli import main
try:
    main()
except SystemExit:
    pass
print({name.partition(".")[0] for name in sys.modules}, file=sys.stderr)
"""
_DECODING = {
    "numpy",
    "av",
    "jinja2",
    "docx",
    "pysubs2",
    "langcodes",
    "boto3",
    "botocore",
    "prefect",
    "alembic",
}
_CALLING = _DECODING | {"httpx", "starlette"}
_STATE = {"sqlalchemy", "pydantic_settings", "stamina"}


def loaded(*arguments: str | Path, **settings: str) -> set[str]:
    """Run a command in a process of its own; return the packages that it loaded."""
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, *map(str, arguments)],
        env=os.environ | settings,
        capture_output=True,
        text=True,
        check=True,
    )
    packages: set[str] = ast.literal_eval(done.stderr.splitlines()[-1])
    return packages


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("arguments", [("--help",), ("--version",), ("db", "--help")])
def test_help_loads_no_command(arguments: tuple[str, ...]) -> None:
    assert not loaded(*arguments) & (_CALLING | _STATE)


@pytest.mark.usefixtures("home")
def test_completing_a_name_loads_no_command() -> None:
    asked = {"_STENOFLOW_COMPLETE": "complete_bash", "COMP_WORDS": "stenoflow tr", "COMP_CWORD": "1"}
    assert not loaded(**asked) & (_CALLING | _STATE)


def test_the_list_of_jobs_loads_nothing_that_calls_or_decodes(stenoflow: Command) -> None:
    assert stenoflow("jobs").exit_code == 0
    packages = loaded("jobs")
    assert "sqlalchemy" in packages
    assert not packages & _CALLING


@pytest.mark.usefixtures("home")
def test_completing_an_id_loads_nothing_that_calls_or_decodes(stenoflow: Command) -> None:
    assert stenoflow("jobs").exit_code == 0
    asked = {"_STENOFLOW_COMPLETE": "complete_bash", "COMP_WORDS": "stenoflow show 3", "COMP_CWORD": "2"}
    packages = loaded(**asked)
    assert "sqlalchemy" in packages
    assert not packages & _CALLING


@pytest.mark.program
def test_showing_a_job_loads_nothing_that_calls_decodes_or_renders(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting
) -> None:
    job = stenoflow("transcribe", meeting.path, "--json").line["job"]
    packages = loaded("show", job)
    assert len(api.calls) == 1
    assert not packages & (_DECODING - {"langcodes"})


@pytest.mark.program
def test_an_estimate_and_a_rerun_load_nothing_that_decodes_or_renders(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting
) -> None:
    assert stenoflow("transcribe", meeting.path).exit_code == 0
    calls = len(api.calls)
    for command in ("estimate", "transcribe"):
        packages = loaded(command, meeting.path)
        assert "sqlalchemy" in packages
        assert not packages & _DECODING
    assert len(api.calls) == calls


@pytest.mark.program
def test_without_an_ffmpeg_what_is_transcribed_already_is_shown_and_nothing_else_is_sent(
    stenoflow: Command,
    api: AudioApiServer,
    meeting: Meeting,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert stenoflow("transcribe", meeting.path).exit_code == 0
    calls = len(api.calls)
    # Trying one out starts it four times, which a rerun has no need of.
    monkeypatch.setenv("STENOFLOW_FFMPEG", "/bin/false")
    assert stenoflow("transcribe", meeting.path, "--json").line["status"] == "complete"
    other = tmp_path / "other.mp3"
    other.write_bytes(meeting.path.read_bytes() + b"other")
    refused = stenoflow("transcribe", other, "--json")
    assert (refused.exit_code, refused.line["status"]) == (2, "failed")
    assert "STENOFLOW_FFMPEG=/bin/false cannot be used" in refused.line["error"]["message"]
    assert len(api.calls) == calls


def test_each_command_is_listed_with_the_first_line_of_its_help() -> None:
    groups = [cast("typer.core.TyperGroup", get_command(app))]
    groups.append(cast("typer.core.TyperGroup", groups[0].commands["db"]))
    listed = [each for group in groups for each in group.commands.values() if isinstance(each, _Unloaded)]
    assert len(listed) == 25
    for each in listed:
        assert (each.load().help or "").splitlines()[0] == each.help
