"""The commands that run no flow, and what every command has in common."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jiwer
import pytest
from rich.cells import cell_len
from rich.console import Console
from typer.main import get_command

from stenoflow.flows.cli import console
from stenoflow.flows.cli.app import _COMMANDS as _TOP
from stenoflow.flows.cli.app import app
from stenoflow.tasks.engine.sample import script_text
from stenoflow.tasks.errors import SettingsError
from stenoflow.tasks.transcript.text import spoken_form
from tests.flows.conftest import Command, Meeting, read_artifact, write_settings
from tests.servers.audio_api import AudioApiServer

_COMMANDS = [*_TOP, "db upgrade", "db rebuild", "voices list", "voices rename", "voices merge"]


def test_the_version_is_the_one_that_is_installed(stenoflow: Command) -> None:
    printed = stenoflow("--version")
    assert (printed.exit_code, printed.out) == (0, f"stenoflow {version('stenoflow')}\n")


@pytest.mark.parametrize("command", _COMMANDS)
def test_the_help_of_every_command_has_an_example(command: str, stenoflow: Command) -> None:
    printed = stenoflow(*command.split(), "--help")
    assert printed.exit_code == 0
    assert not re.search(r"<(?!=)", printed.out.split("╭─", 1)[1]), "a type of the code's"
    assert "Example:" in printed.out
    assert f"stenoflow {command}" in " ".join(printed.out.split("Example:")[1].split())


@pytest.mark.parametrize("command", [*_COMMANDS, "voices forget"])
def test_no_word_in_brackets_is_lost_in_the_help(
    command: str, stenoflow: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: Any = get_command(app)
    for name in command.split():
        found = found.commands[name]
    loaded = found.load()
    texts = [loaded.help, loaded.epilog, *(getattr(each, "help", None) for each in loaded.params)]
    words = Counter(re.findall(r"\[(?!bold\])\w+\]", " ".join(filter(None, texts))))
    monkeypatch.setenv("COLUMNS", "200")
    shown = stenoflow(*command.split(), "--help").out
    assert {word: shown.count(word) for word in words} == words


@pytest.mark.parametrize("command", _COMMANDS)
def test_a_screen_shows_usage_example_arguments_and_the_first_options(
    command: str, stenoflow: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = stenoflow(*command.split(), "--help").out.splitlines()
    assert max(map(cell_len, lines)) <= 80
    ends = [number for number, line in enumerate(lines, 1) if line.startswith("╰")]
    has_arguments = any(line.startswith("╭─ Arguments") for line in lines)
    assert ends[1 if has_arguments else 0] <= 24


@pytest.mark.program
def test_the_demo_hears_the_meeting_for_nothing(stenoflow: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-never-to-be-used")
    line = stenoflow("demo", "--json").line
    assert (line["status"], line["cost"], line["missing"]) == ("complete", "0.0000", [])
    assert line["segments"] >= 3
    said, heard = (" ".join(map(spoken_form, t.split())) for t in (script_text(), read_artifact(line, "txt")))
    assert jiwer.wer(said, heard) < 0.05
    printed = stenoflow("demo")
    assert printed.exit_code == 0
    for expected in ("word error rate", "0.0000 USD", "whisper-1 at openai", "Next: stenoflow show"):
        assert expected in printed.out


def test_an_estimate_calls_nobody(stenoflow: Command, api: AudioApiServer, meeting: Meeting) -> None:
    line = stenoflow("estimate", meeting.path, "--segment-seconds", "60", "--json").line
    assert (line["segments"], line["cost"], line["segment_cost"]) == (4, "0.0240", "0.0060")
    assert line["duration"] == pytest.approx(240, abs=0.1)
    printed = stenoflow("estimate", meeting.path, "--model", "gpt-4o-mini-transcribe")
    assert "0.0120 USD" in printed.out
    assert "in total" in printed.out
    assert api.calls == []


def test_jobs_and_show_tell_of_a_job(stenoflow: Command, api: AudioApiServer, meeting: Meeting) -> None:
    line = stenoflow("transcribe", meeting.path, "--tag", "board", "--json").line
    assert api.calls
    listed = stenoflow("jobs", "--json").line
    assert (listed["job"], listed["state"], listed["cost"]) == (line["job"], "complete", "0.0240")
    assert stenoflow("jobs", "--state", "partial").out.count("\n") <= 2
    shown = stenoflow("show", line["job"][:6])
    assert shown.exit_code == 0
    assert meeting.path.name in shown.out
    assert "manifest.json" in shown.out
    assert stenoflow("show", "nothing-like-it").exit_code == 2
    assert listed["currency"] == "USD"


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("given", ["", "7", "7a1"])
@pytest.mark.parametrize("command", ["show", "resume", "verify", "digest", "forget"])
def test_an_id_that_is_too_short_is_refused_in_words(command: str, given: str, stenoflow: Command) -> None:
    refused = stenoflow(command, given)
    assert refused.exit_code == 2
    assert f"'{given}' is too short to tell a {'recording' if command == 'forget' else 'job'}" in refused.err
    assert "at least 4 characters" in refused.err


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal of 80 columns, for what is printed in this process."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(console, "results", Console(highlight=False, soft_wrap=True, force_terminal=True))


def _printed_lines(text: str) -> list[str]:
    return re.sub(r"\x1b\[[0-9;]*m", "", text).splitlines()


@pytest.mark.program
@pytest.mark.usefixtures("terminal")
def test_lists_fit_a_terminal_of_80_columns_and_say_what_is_what(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting, tmp_path: Path
) -> None:
    long = tmp_path / f"{'会議 weekly meeting of the board ' * 3}.mp3"
    long.write_bytes(meeting.path.read_bytes())
    line = stenoflow("transcribe", long, "--tag", "a rather long tag for a customer", "--json").line
    assert api.calls
    for command in (
        ["jobs"],
        ["costs", "--by", "recording"],
        ["costs", "--by", "tag"],
        ["estimate", long, "--digest", "--chat-model", "gpt-4o-mini"],
    ):
        lines = _printed_lines(stenoflow(*command).out)
        assert max(map(cell_len, lines)) <= 80
        assert f"{line['cost']} USD" in "".join(lines)
    word = read_artifact(line, "txt").split()[0]
    lines = _printed_lines(stenoflow("search", word).out)
    assert max(map(cell_len, lines)) <= 80
    assert f"{line['job'][:8]}  00:00:00" in lines[1]
    (row,) = _printed_lines(stenoflow("jobs").out)[1:]
    assert f" {line['job'][:8]} " in row
    assert row.endswith("…")
    assert "00:04:00" in row
    assert row.startswith(f"{datetime.now().astimezone():%d %b}")


@pytest.mark.usefixtures("terminal")
def test_why_a_recording_is_refused_is_said_once(stenoflow: Command, tmp_path: Path) -> None:
    (tmp_path / "notes.mp3").write_text("none")
    refused = stenoflow("transcribe", tmp_path / "notes.mp3")
    assert refused.exit_code == 4
    assert (refused.out + refused.err).count("is not sound or video") == 1


@pytest.mark.usefixtures("terminal")
def test_models_are_named_whole_on_a_terminal_of_80_columns(stenoflow: Command) -> None:
    names = [line["model"] for line in stenoflow("models", "--json").lines]
    lines = _printed_lines(stenoflow("models").out)
    assert max(map(cell_len, lines)) <= 80
    assert [line.split()[1] for line in lines[1:] if not line.startswith(" ")] == names
    assert any("until" in line for line in lines)


@pytest.mark.program
@pytest.mark.usefixtures("terminal")
def test_what_lost_replies_may_have_cost_stands_below_a_job(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting
) -> None:
    api.script(["503"] * 20)
    line = stenoflow("transcribe", meeting.path, "--tag", "a rather long tag for a customer", "--json").line
    possible = stenoflow("jobs", "--json").line["possible_cost"]
    assert (line["status"], float(possible) > 0) == ("failed", True)
    lines = _printed_lines(stenoflow("jobs").out)
    assert max(map(cell_len, lines)) <= 80
    assert f"lost replies may have cost {possible} USD more" in " ".join(map(str.strip, lines[2:]))
    assert f"{possible} USD" in _printed_lines(stenoflow("costs").out)[1]


@pytest.mark.program
def test_jobs_are_found_by_tag_day_state_and_name(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting, tmp_path: Path
) -> None:
    empty = stenoflow("jobs")
    assert (empty.exit_code, empty.out, "stenoflow transcribe" in empty.err) == (0, "", True)
    job = stenoflow("transcribe", meeting.path, "--tag", "board", "--json").line["job"]
    (tmp_path / "notes.mp3").write_text("none")
    refused = stenoflow("transcribe", tmp_path / "notes.mp3", "--json").line["job"]
    assert api.calls
    for options, found in (
        (["--tag", "board"], [job]),
        (["--search", "WEEKLY"], [job]),
        (["--search", "notes", "--state", "refused"], [refused]),
        (["--since", "2020-01-01"], [refused, job]),
        (["--since", "2999-01-01"], []),
        (["--search", "weekly%meeting"], []),
        (["--limit", "1"], [refused]),
    ):
        assert [each["job"] for each in stenoflow("jobs", *options, "--json").lines] == found
    day = datetime.fromisoformat(stenoflow("jobs", "--json").lines[0]["created"]).astimezone().date()
    assert len(stenoflow("jobs", "--since", f"{day}", "--json").lines) == 2
    assert "stenoflow jobs lists all" in stenoflow("jobs", "--tag", "none").err
    assert "--limit shows more" in stenoflow("jobs", "--limit", "1").err


@pytest.mark.program
@pytest.mark.usefixtures("api")
def test_days_of_the_list_are_those_of_the_zone(
    stenoflow: Command, meeting: Meeting, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stenoflow("transcribe", meeting.path, "--tag", "board", "--json")
    with closing(sqlite3.connect(home / "stenoflow.db")) as database, database:
        database.execute("UPDATE jobs SET created_at = '2026-03-01 02:00:00.000000'")
    try:
        for zone, first, name in (("UTC0", "2026-03-01", "UTC"), ("WEST5", "2026-02-28", "WEST")):
            monkeypatch.setenv("TZ", zone)
            time.tzset()
            job = stenoflow("jobs", "--since", first, "--json").line["job"]
            assert f"begun         {first} " in (shown := stenoflow("show", job).out)
            assert f" {name}\n" in shown
            assert (stenoflow("jobs", "--since", "2026-03-01", "--json").out == "") == (name == "WEST")
    finally:
        monkeypatch.delenv("TZ")
        time.tzset()
    assert stenoflow("costs").out.startswith("day (UTC) ")


@pytest.mark.program
def test_show_folds_segments_and_tells_dates_and_charges(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting
) -> None:
    job = stenoflow("transcribe", meeting.path, "--segment-seconds", "60", "--json").line["job"]
    assert api.calls
    folded, whole = stenoflow("show", job).out, stenoflow("show", job, "--segments").out
    today = f"{datetime.now().astimezone():%Y-%m-%d}"
    for expected in (
        "4 done; 4 requests; seams: 3 silent",
        "4 actual charges by whisper-1: 0.0240 USD",
        f"begun         {today}",
        f"ended         {today}",
        "length        00:04:00",
    ):
        assert expected in folded
    assert len({line.split("  ")[0] for line in folded.splitlines()}) == len(folded.splitlines())
    assert "seam at" not in folded
    assert whole.count(" done ") == 4
    assert whole.count("seam at") == 1
    assert whole.count(" whisper-1 ") == 12


@pytest.mark.program
def test_costs_have_totals_and_say_what_is_left_of_a_budget(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting
) -> None:
    assert "Nothing was charged." in stenoflow("costs").err
    for tag in ("board", "sales"):
        stenoflow("transcribe", meeting.path, "--tag", tag, "--segment-seconds", "60", "--json")
        stenoflow("transcribe", meeting.path, "--tag", tag, "--language", "en" if tag == "sales" else "fr")
    assert api.calls
    write_settings("[budgets]\nmonth = 7\n")
    printed = stenoflow("costs", "--by", "tag")
    rows = [line.split() for line in printed.out.splitlines()]
    assert rows[0] == ["tag", "requests", "audio", "cost"]
    assert rows[-1][:2] == ["in", "total"]
    total = sum(float(row[-2]) for row in rows[1:-1])
    assert rows[-1][-2:] == [f"{total:.4f}", "USD"]
    assert f"{total:.4f} of 7.0000 USD, {7 - total:.4f} left" in printed.err


@pytest.mark.parametrize("command", ["transcribe", "ingest", "jobs", "db upgrade"])
def test_help_shows_options_by_purpose_and_flags_without_a_type(
    command: str, stenoflow: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    text = stenoflow(*command.split(), "--help").out
    assert "<bool>" not in text + stenoflow("--help").out
    panels = [line.split()[1] for line in text.splitlines() if line.startswith("╭─")]
    many = ["Arguments", "What", "How", "Money", "Output", "Other"]
    panels_of = {"jobs": ["What", "Output", "Other"], "db upgrade": ["Options"]}
    assert panels == panels_of.get(command, many)


def test_the_list_of_commands_has_each_in_a_panel_by_purpose(stenoflow: Command) -> None:
    text = stenoflow("--help").out
    panels = [line.strip("╭─╮ ") for line in text.splitlines() if line.startswith("╭─")]
    assert sorted(panels) == ["Begin", "Keep", "Look", "Options", "Run", "Transcribe and more"]


@pytest.mark.program
def test_a_shell_completes_ids_models_voices_languages_formats_and_tags(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting, monkeypatch: pytest.MonkeyPatch
) -> None:
    def completed(words: str) -> list[str]:
        with monkeypatch.context() as shell:
            shell.setenv("_STENOFLOW_COMPLETE", "complete_bash")
            shell.setenv("COMP_WORDS", f"stenoflow {words}")
            shell.setenv("COMP_CWORD", str(len(words.split(" "))))
            return stenoflow().out.split()

    job = stenoflow("transcribe", meeting.path, "--tag", "board", "--json").line["job"]
    assert api.calls
    assert completed(f"show {job[:4]}") == completed(f"resume {job[:4]}") == [job]
    assert "gpt-4o-transcribe" in completed("transcribe --model gpt")
    assert "gpt-4o-mini" in completed("digest --model gpt")
    assert "nova" in completed("speak --voice n")
    assert completed("transcribe --language fi") == ["fi"]
    assert completed("transcribe --languages en,fi") == ["en,fi"]
    assert completed("transcribe --formats srt,v") == ["srt,vtt"]
    assert completed("jobs --tag b") == ["board"]
    assert completed("speak --format fl") == ["flac"]
    assert completed("ingest --allow model,ta") == ["model,tag"]
    assert completed("transcribe --providers gro") == ["groq"]
    assert "gpt-4o-transcribe" in completed("rehearse --successor gpt-4o")
    recording = stenoflow("show", job, "--json").line["recording"]
    assert recording in stenoflow("show", job).out
    assert completed(f"forget {recording[:4]}") == [recording]
    monkeypatch.setenv("STENOFLOW_DATABASE_URL", "nonsense")
    assert completed("show 0") == []


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("[budgets]\nyear = 3\n", "[budgets.year] cannot be used: there is none of this name"),
        ("[budgets]\nmonth = 'much'\n", "[budgets.month] cannot be used: it must be a number"),
        ("concurrency = 0\n", "STENOFLOW_CONCURRENCY cannot be used: it must be more than 0"),
        ("subtitles = 'own'\n", "it must be 'netflix', 'bbc' or 'free'"),
        ("digest = 'perhaps'\n", "it must be true or false"),
        ("[[inboxes]]\nname = 'x'\n", "[inboxes.0.address] cannot be used: it is missing"),
    ],
)
def test_a_setting_that_cannot_be_used_is_refused_in_plain_words(
    setting: str, words: str, stenoflow: Command, home: Path
) -> None:
    write_settings(setting)
    refused = stenoflow("jobs")
    assert refused.exit_code == 2
    assert words in " ".join(refused.err.split())
    assert not (home / "stenoflow.db").exists()


def test_an_option_that_cannot_be_used_is_refused_in_plain_words(stenoflow: Command) -> None:
    refused = stenoflow("transcribe", "talk.mp3", "--concurrency", "many")
    assert refused.exit_code == 2
    assert "'--concurrency': it must be a whole number" in refused.err
    for command in ("jobs", "costs"):
        refused = stenoflow(command, "--since", "2026-13-01")
        assert refused.exit_code == 2
        assert "'--since': it must be a date, such as 2026-11-28" in refused.err


@pytest.mark.program
def test_no_name_or_tag_is_taken_for_markup(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting, tmp_path: Path
) -> None:
    recording = tmp_path / "talk [red]x.mp3"
    recording.write_bytes(meeting.path.read_bytes())
    stenoflow("transcribe", recording, "--tag", "[/x]", "--json")
    assert api.calls
    jobs = stenoflow("jobs")
    assert jobs.exit_code == 0
    assert "talk [red]x.mp3" in jobs.out
    assert "[/x]" in jobs.out
    assert "[/x]" in stenoflow("costs", "--by", "tag").out
    assert "talk [red]x.mp3" in stenoflow("estimate", recording).out
    assert "[recordings]" in stenoflow("ingest", "--help").out


@pytest.mark.program
def test_where_subtitles_do_not_keep_their_rules_is_listed(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STENOFLOW_SUBTITLES", "bbc")
    job = stenoflow("transcribe", meeting.path, "--json").line["job"]
    assert api.calls
    (line,) = [json.loads(each) for each in stenoflow("show", job, "--lint", "--json").out.splitlines()]
    assert (line["profile"], line["cues"] > 10) == ("bbc", True)
    assert sum(line["breaches"].values()) == len(line["where"])
    assert f"{line['cues']} cues by the rules of bbc" in stenoflow("show", job, "--lint").out


@pytest.mark.program
def test_costs_are_told_by_any_heading_in_any_format(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting
) -> None:
    stenoflow("transcribe", meeting.path, "--tag", "board", "--json")
    assert api.calls
    now = datetime.now(UTC)
    for by, heading in (
        ("day", f"{now:%Y-%m-%d}"),
        ("month", f"{now:%Y-%m}"),
        ("model", "127.0.0.1/whisper-1"),
        ("recording", "weekly meeting.mp3"),
        ("tag", "board"),
    ):
        line = stenoflow("costs", "--by", by, "--format", "json").line
        assert (line[by], line["cost"], line["requests"]) == (heading, "0.024000", 1)
        (row,) = csv.DictReader(io.StringIO(stenoflow("costs", "--by", by, "--format", "csv").out))
        assert row == {name: str(value) for name, value in line.items()}
        assert heading in stenoflow("costs", "--by", by).out
    assert stenoflow("costs", "--since", "2999-01-01", "--json").out == ""
    for by in ("tag", "inbox"):
        stenoflow("transcribe", meeting.path, "--language", "fr")
        rows = csv.DictReader(io.StringIO(stenoflow("costs", "--by", by, "--format", "csv").out))
        assert "-" in [row[by] for row in rows]


def test_nothing_is_cut_where_no_terminal_is(stenoflow: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STENOFLOW_PROVIDER", "nobody")
    monkeypatch.setenv("COLUMNS", "80")
    hints = [line for line in stenoflow("doctor").out.splitlines() if "known are openai" in line]
    assert hints
    assert all(line.endswith("see [providers.NAME] in stenoflow.toml") for line in hints)


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("arguments", ["--help", "jobs --help", "models", "models --json", "doctor"])
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_reader_that_goes_away_is_no_error(arguments: str, stream: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    other = "stderr" if stream == "stdout" else "stdout"
    command = [sys.executable, "-c", "from stenoflow.flows.cli import main; main()", *arguments.split()]
    try:
        done = subprocess.run(
            command,
            check=False,
            text=True,
            **{stream: writing, other: subprocess.PIPE},  # type: ignore[call-overload]
        )
    finally:
        os.close(writing)
    said = done.stderr if stream == "stdout" else ""
    assert (done.returncode, "Broken" in said, "Traceback" in said) == (0, False, False)


_LOADED = """
import sys
from stenoflow.flows.cli import main
sys.argv[1:] = ["jobs"]
try:
    main()
except SystemExit:
    print([name for name in sys.modules if name.split(".")[0] == "prefect"])
"""


def test_commands_that_run_no_flow_do_not_load_prefect(home: Path) -> None:
    root = Path(__file__).parents[2]
    printed = subprocess.run(
        [sys.executable, "-c", _LOADED], capture_output=True, text=True, check=True, cwd=root
    )
    assert printed.stdout.splitlines()[-1] == "[]"
    assert (home / "stenoflow.db").exists()


@pytest.mark.program
def test_json_and_nothing_else_on_stdout(stenoflow: Command, api: AudioApiServer, meeting: Meeting) -> None:
    printed = stenoflow("transcribe", meeting.path, "--json")
    assert api.calls
    assert json.loads(printed.out)
    assert printed.out.count("\n") == 1
    assert printed.err


@pytest.mark.program
def test_nothing_that_others_wrote_is_a_command_to_a_terminal_or_a_formula(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting
) -> None:
    tag = "=cmd|' /C calc'!A0\x1b]52;c;aGk=\x07\x9b2J\u202etxt"
    assert api.calls == []
    line = stenoflow("transcribe", meeting.path, "--tag", tag, "--json").line
    for command in (["jobs"], ["show", line["job"]], ["costs", "--by", "tag"]):
        printed = stenoflow(*command).out
        assert "=cmd" in printed
        assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(printed)
    rows = list(csv.reader(io.StringIO(stenoflow("costs", "--by", "tag", "--format", "csv").out)))
    assert rows[1][0].startswith("'=cmd")
    written = stenoflow("costs", "--by", "tag", "--json")
    assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(written.out)
    assert written.line["tag"] == tag


@pytest.mark.parametrize("amount", ["1e30", "nan", "-1", "inf", "9223372036855"])
def test_a_budget_that_cannot_be_is_refused_by_name(amount: str, stenoflow: Command) -> None:
    printed = stenoflow("transcribe", "talk.mp3", "--budget", amount)
    assert printed.exit_code == 2
    assert "--budget" in printed.err


def test_a_number_that_is_none_is_refused_by_name(stenoflow: Command) -> None:
    printed = stenoflow("transcribe", "talk.mp3", "--segment-seconds", "nan")
    assert printed.exit_code == 2
    assert "--segment-seconds" in printed.err


def test_settings_that_are_not_read_are_said_and_a_named_file_is_read(stenoflow: Command) -> None:
    Path("stenoflow.toml").write_text("[budgets]\nmonth = 7\n")
    printed = stenoflow("costs")
    assert (printed.err.count("--config stenoflow.toml"), "of 7.0000" in printed.err) == (1, False)
    printed = stenoflow("costs", "--config", "stenoflow.toml")
    assert ("is not read" in printed.err, "of 7.0000" in printed.err) == (False, True)


_OF_LIBRARIES = re.compile(r"Errno|does not appear|Expecting|argument\(s\)|is not one of|attempting|attempts")


@pytest.mark.parametrize(
    ("settings", "arguments", "said"),
    [
        ("", ("jobs", "--state", "foo"), "'foo' is none of: new, running"),
        ("", ("jobs", "extra"), "leave out extra"),
        ("", ("ingest", ".", "--interval", "0"), "it must be at least 0.1"),
        ("", ("speak", "x", "--speed", "9"), "it must be at most 4"),
        ("", ("transcribe", "x", "--budget", "99999999999999"), "is more than can be counted"),
        ("model = ", ("jobs",), "it is not valid TOML at its end"),
        ("a = 1\nb = =", ("jobs",), "it is not valid TOML at line 2, column 5"),
        ('trusted_proxies = ["foo"]', ("jobs",), "'foo' is neither the address of a machine nor a network"),
        ("", ("engine", "--host", "203.0.113.1", "--api-key", "k" * 20), "cannot assign requested address"),
    ],
)
def test_what_is_wrong_is_said_in_words_of_ours(
    stenoflow: Command, settings: str, arguments: tuple[str, ...], said: str
) -> None:
    write_settings(settings)
    refused = stenoflow(*arguments)
    text = re.sub(r"[│\s]+", " ", refused.err)
    assert refused.exit_code == 2
    assert said in text
    assert not _OF_LIBRARIES.search(text)


def test_lines_for_people_break_between_words(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    terminal = Console(file=screen, force_terminal=True, width=80, highlight=False, soft_wrap=True)
    monkeypatch.setattr(console, "messages", terminal)
    long = "file:///" + 90 * "x"
    text = f"{'one line of some length ' * 8}and then {long} at its end"
    console.say(text)
    console.complain(SettingsError(text, text))
    plain = re.sub(r"\x1b\[[0-9;]*m", "", screen.getvalue())
    assert all(cell_len(line) <= 80 for line in plain.splitlines() if long not in line)
    assert plain.split() == ["" + word for word in f"{text} error: {text} {text}".split()]
