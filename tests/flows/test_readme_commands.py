"""Every command that a README page shows is run, in a fresh home, on recordings called as they are there."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest
from typer.main import get_command

from stenoflow.flows.cli.app import _COMMANDS, app
from stenoflow.tasks.settings import load_settings
from tests.flows.conftest import Command, Meeting, write_settings
from tests.instrument.recording import script, write
from tests.servers.audio_api import AudioApiServer

_ROOT = Path(__file__).parents[2]
_PAGES = ["README.md", "flows/README.md", "flows/cli/README.md", "tasks/README.md", "storage/README.md"]
# What does not end by itself, or needs a server of Prefect's, and has tests of its own.
_ELSEWHERE = {"deploy": "test_deploy.py", "serve": "test_serve.py", "engine": "tests/engine"}
# What a shell runs beside the program, and why no test runs it.
_NOT_RUN = {
    r"make [a-z-]+": "installs, or runs tests: the targets are compared with the Makefile",
    r"pip install ": "needs a network; the wheel is installed by test_deploy.py",
    r"export [A-Z_]+=": "names what the reader has",
    r"prefect (work-(pool|queue) create|deploy) ": "needs Prefect's server; test_deploy.py has one",
    r"prefect (server|worker) start": "does not end by itself; test_serve.py and `make fleet` start both",
    r"\.venv/bin/python -m tests\.": "takes minutes, or speech of one's own: the programs are there",
    r"mkdir |apt-get |for package ": "needs Debian's packages of Ceph",
    r"(STENOFLOW_TEST_\w+=\S+ )?\.venv/bin/pytest ": "runs tests: the folders are there",
    r"pipx install pre-commit && pre-commit install": "changes the clone",
}
_JOB, _RECORDING = "3f9a2c", "012e573439b1f437"


def _blocks(page: str, language: str) -> list[str]:
    text = (_ROOT / page).read_text("utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def _commands(page: str) -> list[list[str]]:
    """Return the arguments of each call of the program, without what takes its output."""
    lines = [line for block in _blocks(page, "sh") for line in block.splitlines()]
    calls = [shlex.split(line, comments=True) for line in lines if line.startswith("stenoflow ")]
    return [call[1 : call.index("|")] if "|" in call else call[1:] for call in calls]


_ALL_PAGES = [*_PAGES, "tests/README.md", ".github/CONTRIBUTING.md"]


@pytest.mark.parametrize("page", _ALL_PAGES)
def test_every_line_for_a_shell_is_run_or_known_why_not(page: str) -> None:
    lines = [line for block in _blocks(page, "sh") for line in block.splitlines()]
    lines += [
        line[2:] for block in _blocks(page, "console") for line in block.splitlines() if line[:2] == "$ "
    ]
    for line in lines:
        assert line.startswith("stenoflow ") or any(re.match(each, line) for each in _NOT_RUN), line
        for folder in re.findall(r"tests/\S+", line) if ".venv/bin/pytest" in line else ():
            assert (_ROOT / folder).exists(), line


def _programs() -> list[str]:
    text = "\n".join(block for page in _ALL_PAGES for block in _blocks(page, "sh"))
    return sorted(set(re.findall(r"\.venv/bin/python -m (tests\S+)", text)))


@pytest.mark.parametrize("module", _programs())
def test_every_program_of_the_tests_is_there(module: str) -> None:
    found = find_spec(module)
    assert found is not None
    assert find_spec(f"{module}.__main__") if found.submodule_search_locations else found


def _options(words: list[str]) -> set[str]:
    """Return the options of a command, and those of all."""
    command = get_command(app)
    for word in words:
        command = command.commands[word]  # type: ignore[attr-defined]
        command = command.load() if hasattr(command, "load") else command
    return {option for each in command.params for option in [*each.opts, *each.secondary_opts]} | {"--help"}


@pytest.mark.parametrize("page", _ALL_PAGES)
def test_every_command_in_the_text_has_the_options_that_are_said_of_it(page: str) -> None:
    text = (_ROOT / page).read_text("utf-8")
    for said in re.findall(r"`stenoflow ([a-z][^`]*)`", text):
        words = said.replace("\n", " ").split()
        names = words[: 2 if words[0] in {"db", "voices"} else 1]
        given = {word.partition("=")[0] for word in words if word.startswith("--")}
        assert given <= _options(names), said


def test_the_table_of_options_has_each_option_of_each_command_and_no_other() -> None:
    text = (_ROOT / "flows/cli/README.md").read_text("utf-8")
    shared = set(
        re.findall(r"`(--[a-z-]+)", text[text.index("Many commands share") : text.index("**The others")])
    )
    rows = re.findall(r"^\| `([a-z ]+)` \| (.*) \|$", text[text.index("**The others") :], re.MULTILINE)
    told = {name: set(re.findall(r"(--[a-z-]+)", options)) for name, options in rows}
    for name in [*_COMMANDS, "db upgrade"]:
        # --backup is what is done anyway.
        options = {each for each in _options(name.split()) if each.startswith("--")} - {"--help", "--backup"}
        assert told.get(name, set()) <= options, name
        assert options <= told.get(name, set()) | shared, name


@pytest.fixture
def recordings(meeting: Meeting, home: Path) -> None:
    """The files that the pages speak of, in the folder that the test stands in."""
    assert not home.exists()
    write(Path("board-meeting.m4a"), script(20), 20, "-c:a", "aac")
    write(Path("question.m4a"), script(5), 5, "-c:a", "aac")
    write(Path("call.wav"), script(15), 15, "-ac", "2")
    Path("chapter.txt").write_text("It was a dark night. Nobody came.", "utf-8")
    for folder in ("recordings", "inbox"):
        Path(folder).mkdir()
    shutil.copy(meeting.path, "recordings")
    write(Path("inbox/talk.mp3"), script(10), 10)


@pytest.mark.slow
@pytest.mark.usefixtures("recordings")
@pytest.mark.parametrize("page", [page for page in _PAGES if _commands(page)])
def test_every_command_of_a_page_runs(page: str, stenoflow: Command, api: AudioApiServer) -> None:
    minutes = api.chat.chatter
    api.chat.chatter = lambda asked: minutes(asked) if "response_format" in asked else "It is."
    line = stenoflow("transcribe", "board-meeting.m4a", "--out", "heard", "--formats", "txt", "--json").line
    Path("talk.txt").write_text(Path("heard/board-meeting.txt").read_text("utf-8") + "corrected", "utf-8")
    names = {_JOB: line["job"][:6], _RECORDING: line["recording"]}
    for arguments in _commands(page):
        # A watch goes on until it is stopped: tests/flows/test_ingest.py stops it.
        given = [names.get(each, each) for each in arguments if each != "--watch"]
        if given[0] in _ELSEWHERE:
            continue
        if "-" in given:
            _check_sound(given)
            continue
        printed = stenoflow(*given, *(["--yes"] if given[0] == "forget" else []))
        assert printed.exit_code == 0, f"{shlex.join(given)}: {printed.err}"
    assert api.calls


def _check_sound(given: list[str]) -> None:
    """Run what streams to stdout, in a process of its own."""
    program = [sys.executable, "-c", "from stenoflow.flows.cli import main; main()"]
    done = subprocess.run([*program, *given], capture_output=True, check=False)
    assert (done.returncode, bool(done.stdout)) == (0, True), f"{shlex.join(given)}: {done.stderr!r}"


@pytest.mark.parametrize("page", [page for page in _PAGES if _blocks(page, "toml")])
def test_every_setting_of_a_page_can_be_used(page: str, home: Path) -> None:
    for block in _blocks(page, "toml"):
        write_settings(block)
        settings = load_settings()
        assert settings.home == home
        assert set(tomllib.loads(block)) <= set(type(settings).model_fields)


def test_every_target_of_a_page_is_in_the_makefile() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (_ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    for page in (*_PAGES, "tests/README.md", ".github/CONTRIBUTING.md"):
        for kind in ("sh", "console"):
            text = "\n".join(_blocks(page, kind))
            assert set(re.findall(r"^(?:\$ )?make ([a-z-]+)", text, re.MULTILINE)) <= targets, page
