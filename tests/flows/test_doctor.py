"""What an operator asks first: is all there, what stands in the settings, what would an upgrade do."""

from __future__ import annotations

import os
import sqlite3
import tomllib
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config

from stenoflow import migrations
from stenoflow.flows.desk.users import hash_password
from stenoflow.storage.database.connection import open_database
from stenoflow.storage.database.connection import revision as read_revision
from stenoflow.tasks.settings import load_settings
from stenoflow.tasks.settings.files import unknown_settings
from tests.flows.conftest import Command, write_settings
from tests.servers.audio_api import AudioApiServer


def _conditions(stenoflow: Command) -> tuple[int, dict[str, tuple[str, str]]]:
    printed = stenoflow("doctor", "--json")
    return printed.exit_code, {each["check"]: (each["condition"], each["hint"]) for each in printed.lines}


def test_all_is_well_with_a_server_that_answers(
    stenoflow: Command, api: AudioApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in filter(lambda each: each.startswith("STENOFLOW_TEST_"), list(os.environ)):
        monkeypatch.delenv(name)
    code, found = _conditions(stenoflow)
    assert not api.calls
    assert code == 0
    assert {condition for condition, _ in found.values()} <= {"ok", "warning"}
    assert {"ffmpeg", "home", "database", "store", "server", "proxy", "key", "model", "prefect"} <= set(found)
    assert found["ffmpeg"] == found["database"] == found["server"] == ("ok", "")
    told = stenoflow("doctor")
    assert (told.exit_code, "All that a job needs is there." in told.err) == (0, True)


@pytest.mark.parametrize(
    ("variable", "value", "check", "hint"),
    [
        ("OPENAI_BASE_URL", "http://127.0.0.1:9/v1", "server", "OPENAI_BASE_URL"),
        ("OPENAI_BASE_URL", "nonsense", "server", "OPENAI_BASE_URL"),
        ("STENOFLOW_STORE", "file:///proc/none", "store", ""),
        ("STENOFLOW_DATABASE_URL", "oracle://x", "database", "postgresql"),
        ("STENOFLOW_LEAST_FREE_MB", "999999999999", "home", "free some space"),
        ("STENOFLOW_FFMPEG", "/bin/false", "ffmpeg", ""),
    ],
)
def test_what_is_wrong_is_named_with_what_to_do(
    variable: str,
    value: str,
    check: str,
    hint: str,
    stenoflow: Command,
    api: AudioApiServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert not api.calls
    monkeypatch.setenv(variable, value)
    code, found = _conditions(stenoflow)
    assert code == 3
    assert found[check][0] == "error"
    assert hint in found[check][1]


def test_a_model_whose_last_day_is_past_is_an_error(stenoflow: Command, api: AudioApiServer) -> None:
    assert not api.calls
    write_settings('model = "old-one"\n[models.old-one]\nshutdown = 2026-01-01\n')
    code, found = _conditions(stenoflow)
    assert (code, found["model"][0]) == (3, "error")


def test_a_writer_whose_last_day_is_past_is_warned_of(stenoflow: Command, api: AudioApiServer) -> None:
    assert not api.calls
    write_settings('chat_model = "old-one"\n[chat_models.old-one]\nshutdown = 2026-01-01\n')
    code, found = _conditions(stenoflow)
    assert (code, found["chat model"]) == (0, ("warning", "let STENOFLOW_CHAT_MODEL name another"))


def test_a_setting_with_a_typo_is_warned_of(stenoflow: Command) -> None:
    write_settings("concurency = 3\n")
    code, found = _conditions(stenoflow)
    assert (code, found["settings"][0]) == (0, "warning")
    assert "is concurrency meant?" in found["settings"][1]
    told = stenoflow("doctor")
    assert "All that a job needs is there." not in told.err
    assert "some of what is set means nothing" in " ".join(told.err.split())


def test_a_setting_with_a_typo_is_said_by_each_command_once(stenoflow: Command) -> None:
    write_settings("[budget]\nrun = 1\n")
    printed = stenoflow("jobs", "--json")
    assert (printed.exit_code, printed.out) == (0, "")
    assert "is budgets meant?" in printed.err
    assert printed.err.count("budget in ") == 1


@pytest.mark.parametrize(
    ("said", "check", "hint"),
    [
        ('[[inboxes]]\nname = "a"\naddress = "nowhere"\n', "inbox a", "make it"),
        (
            '[[inboxes]]\nname = "a"\naddress = "."\noptions = {language = "xx"}\n',
            "inbox a",
            "a code such as",
        ),
        ('[users.anna]\npassword = "abc"\n', "users", "--hash-password"),
        ('[minutes]\ntemplate = "nowhere.md"\n', "minutes", "[minutes]"),
        ('[minutes.tags]\nboard = "nowhere.md"\n', "minutes", "[minutes]"),
        ('[providers.mine]\nbase_url = "abc"\n', "providers", "[providers.NAME]"),
    ],
)
def test_what_the_settings_name_is_tried(said: str, check: str, hint: str, stenoflow: Command) -> None:
    write_settings(said)
    code, found = _conditions(stenoflow)
    assert (code, found[check][0]) == (3, "error")
    assert hint in found[check][1]


def test_what_the_settings_name_is_there(stenoflow: Command, home: Path) -> None:
    write_settings(
        '[[inboxes]]\nname = "a"\naddress = "."\noptions = {language = "en"}\n'
        f'[users.anna]\npassword = "{hash_password("secret")}"\n[users.otto]\nrole = "editor"\n'
        '[minutes]\ntemplate = "ours.md"\n[providers.mine]\nbase_url = "https://api.example.com/v1"\n'
    )
    (home / "ours.md").write_text("# Decisions\n", "utf-8")
    code, found = _conditions(stenoflow)
    assert (code, {found[name][0] for name in ("inbox a", "minutes", "providers")}) == (0, {"ok"})
    assert "users" not in found


def test_without_a_key_the_embedded_engine_is_sound(stenoflow: Command) -> None:
    code, found = _conditions(stenoflow)
    assert (code, found["server"][0]) == (0, "ok")


def test_settings_are_written_once_and_all_their_lines_can_be_used(stenoflow: Command, home: Path) -> None:
    assert stenoflow("init").exit_code == 0
    path = home / "stenoflow.toml"
    written = path.read_text("utf-8")
    assert tomllib.loads(written) == {}
    assert path.stat().st_mode & 0o777 == 0o600
    again = stenoflow("init")
    assert (again.exit_code, path.read_text("utf-8")) == (2, written)
    assert stenoflow("init", "--print").out.strip() == written.strip()
    lines = written.splitlines()[4:]
    used = [line.removeprefix("# ") for line in lines if not line.startswith("# ---")]
    path.write_text("\n".join(used), "utf-8")
    settings = load_settings()
    # What is secret, or says where this file is, does not belong into it.
    elsewhere = {"home", "openai_api_key", "dashboard_auth", "voices_key", "webhook_url", "webhook_secret"}
    assert set(type(settings).model_fields) - set(tomllib.loads(path.read_text("utf-8"))) == elsewhere
    assert list(unknown_settings(type(settings))) == []
    assert settings.budgets.tags
    assert settings.inboxes[0].done_to
    assert settings.prices["openai"]["whisper-1"].per == "minute"


def _go_back(file: Path) -> str:
    """Take back the last migration; returns the revision before it."""
    config = Config()
    config.set_main_option("script_location", next(iter(migrations.__path__)))
    database = open_database(f"sqlite:///{file}")
    with database.engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "-1")
    revision, _ = read_revision(database)
    database.close()
    assert revision is not None
    return revision


def _revision_of(file: Path) -> str:
    with closing(sqlite3.connect(file)) as database:
        (found,) = database.execute("SELECT version_num FROM alembic_version").fetchone()
    return str(found)


def test_an_upgrade_says_what_it_does_and_copies_the_file_first(stenoflow: Command, home: Path) -> None:
    assert stenoflow("jobs").exit_code == 0
    file = home / "stenoflow.db"
    before = _go_back(file)
    copy = home / f"stenoflow.db.{before}"
    would = stenoflow("db", "upgrade", "--dry-run")
    assert f"would run {migrations.HEAD}: " in would.err
    assert f"would copy it to {copy}" in " ".join(would.err.split())
    assert would.out.rstrip().endswith(f"at revision {before}")
    assert not copy.exists()
    done = stenoflow("db", "upgrade")
    assert (done.exit_code, f"copied to {copy}" in " ".join(done.err.split())) == (0, True)
    assert done.out.rstrip().endswith(f"at revision {migrations.HEAD}")
    assert copy.stat().st_mode & 0o777 == 0o600
    assert _revision_of(copy) == before


def test_an_upgrade_without_a_copy_makes_none(stenoflow: Command, home: Path) -> None:
    assert stenoflow("jobs").exit_code == 0
    before = _go_back(home / "stenoflow.db")
    assert "copy" not in stenoflow("db", "upgrade", "--dry-run", "--no-backup").err
    assert "copied" not in stenoflow("db", "upgrade", "--no-backup").err
    assert not (home / f"stenoflow.db.{before}").exists()


def test_any_command_that_upgrades_copies_the_file_first_and_says_so_once(
    stenoflow: Command, home: Path
) -> None:
    assert stenoflow("jobs").exit_code == 0
    file = home / "stenoflow.db"
    before = _go_back(file)
    copy = home / f"stenoflow.db.{before}"
    first = stenoflow("jobs", "--json")
    assert (first.exit_code, first.out, f"copied to {copy}" in first.err) == (0, "", True)
    assert len(first.err.splitlines()) == 1
    assert (_revision_of(copy), _revision_of(file)) == (before, migrations.HEAD)
    copy.unlink()
    assert "copied" not in stenoflow("jobs").err
    assert not copy.exists()


def test_a_database_that_cannot_be_copied_is_not_upgraded(stenoflow: Command, home: Path) -> None:
    assert stenoflow("jobs").exit_code == 0
    before = _go_back(home / "stenoflow.db")
    (home / f"stenoflow.db.{before}").mkdir()
    refused = stenoflow("jobs")
    assert (refused.exit_code, "--no-backup" in refused.err) == (3, True)
    assert _revision_of(home / "stenoflow.db") == before


def test_a_new_database_is_made_without_a_word(stenoflow: Command, home: Path) -> None:
    home.mkdir(mode=0o700)
    assert "copied" not in stenoflow("jobs").err
    assert [path.name for path in home.glob("stenoflow.db.*")] == []


def test_a_database_of_a_newer_program_is_refused_with_words(stenoflow: Command, home: Path) -> None:
    assert stenoflow("jobs").exit_code == 0
    with closing(sqlite3.connect(home / "stenoflow.db")) as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
        database.commit()
    for arguments in (["jobs"], ["db", "upgrade"]):
        refused = stenoflow(*arguments)
        assert refused.exit_code == 3
        assert "which a newer stenoflow made" in refused.err
        assert "install the newer version" in refused.err
    code, found = _conditions(stenoflow)
    assert (code, found["database"][0], "install the newer version" in found["database"][1]) == (
        3,
        "error",
        True,
    )
