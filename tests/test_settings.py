"""Where settings come from, and which cannot be used."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from stenoflow.tasks.errors import SettingsError
from stenoflow.tasks.settings import (
    load_settings,
)
from stenoflow.tasks.settings.files import passed_over


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home, and another folder to stand in."""
    for name in ("home", "here"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("STENOFLOW_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_nothing_is_read_because_it_lies_in_the_current_folder(home: Path) -> None:
    Path(".env").write_text("OPENAI_BASE_URL=http://theirs/v1\nSTENOFLOW_TAG=x\n")
    Path("stenoflow.toml").write_text("[budgets]\nrun = 1000\n")
    (home / "stenoflow.toml").write_text("[budgets]\nrun = 1\n")
    settings = load_settings()
    assert (settings.openai_base_url, settings.budgets.run) == (None, Decimal(1))
    assert passed_over() == [Path(".env"), Path("stenoflow.toml")]


def test_only_settings_of_ours_are_said_to_be_passed_over(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path(".env").write_text("DATABASE_URL=postgres://\n")
    Path("stenoflow.toml").write_text('[recordings]\nlanguage = "de"\n')
    assert passed_over() == []
    monkeypatch.chdir(home)
    Path(".env").write_text("OPENAI_API_KEY=sk-1\n")
    assert passed_over() == []


def test_the_nearer_setting_counts_key_by_key(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "stenoflow.toml").write_text(
        'voice = "home"\nmodel = "home"\nchat_model = "home"\nspeech_model = "home"\n'
        '[budgets]\nrun = 1\nmonth = 2\n[budgets.tags]\na = 3\n[prices.p.m]\namount = 1\nper = "minute"\n'
    )
    (home / ".env").write_text("STENOFLOW_MODEL=env-file\nSTENOFLOW_CHAT_MODEL=env-file\nSTENOFLOW_VOICE=x\n")
    named = home.parent / "named.toml"
    named.write_text('model = "named"\nchat_model = "named"\n[budgets]\nmonth = 20\n[budgets.tags]\nb = 30\n')
    monkeypatch.setenv("STENOFLOW_CONFIG", str(named))
    monkeypatch.setenv("STENOFLOW_MODEL", "environment")
    settings = load_settings()
    assert (settings.model, settings.chat_model) == ("environment", "named")
    assert (settings.voice, settings.speech_model) == ("x", "home")
    assert (settings.budgets.run, settings.budgets.month) == (Decimal(1), Decimal(20))
    assert settings.budgets.tags == {"a": 3, "b": 30}
    assert settings.prices["p"]["m"].amount == 1


@pytest.mark.parametrize(
    ("name", "text"),
    [("x.toml", 'home = "{}"'), ("x.env", "STENOFLOW_HOME={}"), (".env", "STENOFLOW_HOME={}")],
)
def test_a_named_file_may_name_the_home(
    name: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / name).write_text(text.format(tmp_path / "other"))
    monkeypatch.setenv("STENOFLOW_CONFIG", str(tmp_path / name))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / ".env").write_text("\ufeffSTENOFLOW_MODEL=m\n")
    settings = load_settings()
    assert (settings.home, settings.model) == (tmp_path / "other", "m")


@pytest.mark.parametrize("name", [".env", "stenoflow.toml"])
@pytest.mark.parametrize("content", ["model = 'm'\n".encode("utf-16"), b"model = '\0'\n", b"\xff=\n"])
def test_a_file_that_is_no_text_is_named(name: str, content: bytes, home: Path) -> None:
    (home / name).write_bytes(content)
    with pytest.raises(SettingsError, match=str(home / name)) as refused:
        load_settings()
    assert refused.value.exit_code == 2


def test_a_file_that_is_no_toml_or_not_there_is_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "stenoflow.toml").write_text("[")
    with pytest.raises(SettingsError, match=r"home/stenoflow\.toml"):
        load_settings()
    monkeypatch.setenv("STENOFLOW_CONFIG", "missing.toml")
    with pytest.raises(SettingsError, match=r"missing\.toml"):
        load_settings()


@pytest.mark.parametrize("amount", ["nan", "inf", "-inf", "-1", "1e30", "9223372036855"])
@pytest.mark.parametrize("name", ["run", "month", "tags.board"])
def test_an_amount_that_cannot_be_is_refused_by_name(name: str, amount: str, home: Path) -> None:
    (home / "stenoflow.toml").write_text(f"[budgets]\n{name} = {amount}\n")
    with pytest.raises(SettingsError, match=rf"\[budgets\.{name}\]"):
        load_settings()


def test_the_largest_amount_fits_into_the_database(home: Path) -> None:
    (home / "stenoflow.toml").write_text("[budgets]\nrun = 9223372036854\n")
    settings = load_settings()
    assert settings.budgets.run == Decimal(9223372036854)
    assert (settings.budgets.caps.run_micro or 0) < 2**63


@pytest.mark.parametrize("name", ["MAX_HOURS", "GRACE_S", "READ_TIMEOUT_S"])
@pytest.mark.parametrize("value", ["nan", "inf", "1e300", "0"])
def test_a_time_that_cannot_be_is_refused_by_name(
    name: str, value: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert home.is_dir()
    monkeypatch.setenv(f"STENOFLOW_{name}", value)
    with pytest.raises(SettingsError, match=f"STENOFLOW_{name}"):
        load_settings()


@pytest.mark.parametrize("name", ["sound", "answers", "tags.board.artifacts", "inboxes.meetings.recordings"])
@pytest.mark.parametrize("days", ["0", "-1", "nan", "inf", "1e9", "1e308"])
def test_days_that_nothing_is_kept_for_are_refused_by_name(name: str, days: str, home: Path) -> None:
    table, _, last = f"retention.{name}".rpartition(".")
    (home / "stenoflow.toml").write_text(f"[{table}]\n{last} = {days}\n")
    with pytest.raises(SettingsError, match=rf"\[retention\.{name}\]"):
        load_settings()
