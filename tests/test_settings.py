"""Where settings come from, and which cannot be used."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from stenoflow.tasks.api.chat_models import ChatModel
from stenoflow.tasks.api.models import Model
from stenoflow.tasks.api.providers import Provider, load_providers
from stenoflow.tasks.api.speech_models import SpeechModel
from stenoflow.tasks.context import load_prices
from stenoflow.tasks.errors import SettingsError
from stenoflow.tasks.operations.model_list import tables_of
from stenoflow.tasks.settings import (
    BudgetSettings,
    InboxSettings,
    MinutesTemplates,
    PriceEntry,
    RetentionSettings,
    Settings,
    UserSettings,
    VoicesSettings,
    load_settings,
)
from stenoflow.tasks.settings.files import passed_over, unknown_settings
from stenoflow.tasks.sources.inbox.options import RecordingOptions


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


# Of wrong kinds, out of bounds, or no value at all.
_WRONG = [
    "'x'", "''", "-1", "0", "1.5", "inf", "nan", "1e300", "true", "[]", "[1]", "['x', 'x']", "{}", "{a = 1}",
    "2026-11-28", "08:00:00", "2026-11-28T08:00:00", "'\\u0000'", f"'{'x' * 300}'", "[[1]]", "[{a = 1}]",
]  # fmt: skip
# Where an entry has a name of the user's, and what it cannot do without.
_ENTRIES = {
    "providers": ("[providers.ours]\n{}", Provider),
    "models": ("[models.ours]\n{}", Model),
    "chat_models": ("[chat_models.ours]\n{}", ChatModel),
    "speech_models": ("[speech_models.ours]\n{}", SpeechModel),
    "users": ("[users.anna]\n{}", UserSettings),
    "prices": ("[prices.ours.ours]\namount = 1\nper = 'minute'\n{}", PriceEntry),
    "budgets": ("[budgets]\n{}", BudgetSettings),
    "retention": ("[retention]\n{}", RetentionSettings),
    "inboxes": ("[[inboxes]]\nname = 'a'\naddress = 's3://b/c/'\n{}", InboxSettings),
    "options": ("[[inboxes]]\nname = 'a'\naddress = 's3://b/c/'\n[inboxes.options]\n{}", RecordingOptions),
    "minutes": ("[minutes]\n{}", MinutesTemplates),
    "voices": ("[voices]\n{}", VoicesSettings),
    "": ("{}", Settings),
}
# Words of pydantic's, of pydantic-settings' and of Python's.
_NOT_OURS = re.compile(
    r"[Ii]nput|pydantic|validation|\bvalid\b|Value ?[Ee]rror|Source|Extra|instance|iterable|unpack|parsing|"
    r"object has|NoneType|\bstr\b|\bint\b|\bdict\b|\blist\[|Decimal|datetime|constrained|literal\[",
)


def _names(of: Any) -> list[str]:
    return [*(getattr(of, "model_fields", ()) or (each.name for each in fields(of))), "nonsense"]


def _said(text: str) -> Iterator[str]:
    """Yield what is said where settings are read, their tables of models and providers with them."""
    try:
        settings = load_settings()
        load_providers(settings.providers)
        if settings.models or settings.chat_models or settings.speech_models:
            tables_of(settings)
        if settings.prices:
            load_prices(settings)
    except SettingsError as error:
        yield f"{text}: {error.message}; {error.hint}"


@pytest.mark.parametrize("table", _ENTRIES)
def test_no_bad_value_of_a_file_is_refused_in_the_words_of_a_library(table: str, home: Path) -> None:
    text, of = _ENTRIES[table]
    refused: list[str] = []
    for name in _names(of):
        for value in _WRONG:
            (home / "stenoflow.toml").write_text(
                text.replace(f"{name} = ", "#").format(f"{name} = {value}\n")
            )
            refused += _said(f"{table} {name} = {value[:40]}")
    assert len(refused) >= len(_names(of)) - 1
    assert [each for each in refused if _NOT_OURS.search(each.partition(": ")[2])] == []


@pytest.mark.parametrize("name", sorted({*Settings.model_fields} - {"home"}))
def test_no_bad_value_of_the_environment_is_refused_in_the_words_of_a_library(
    name: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert home.is_dir()
    variable = Settings.model_fields[name].validation_alias or f"STENOFLOW_{name.upper()}"
    for value in ("x", "-1", "[", "{}", "[1]", '{"a": 1}', "1e400", "nan", "[" * 100_000, "\udcff"):
        monkeypatch.setenv(str(variable), value)
        for said in _said(value[:40]):
            assert not _NOT_OURS.search(said.partition(": ")[2]), said


def test_a_list_in_the_environment_that_is_no_json_is_named_with_how_it_is_written(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STENOFLOW_HOSTS", "desk.example.com")
    with pytest.raises(SettingsError, match="STENOFLOW_HOSTS") as refused:
        load_settings()
    assert '["a", "b"]' in refused.value.hint
    monkeypatch.delenv("STENOFLOW_HOSTS")
    (home / ".env").write_text("STENOFLOW_HOSTS=desk.example.com\n")
    with pytest.raises(SettingsError, match="STENOFLOW_HOSTS"):
        load_settings()


def test_a_file_names_a_server_as_it_names_all_else(home: Path) -> None:
    (home / "stenoflow.toml").write_text('openai_base_url = "http://ours/v1"\n')
    assert load_settings().openai_base_url == "http://ours/v1"
    (home / "stenoflow.toml").write_text('OPENAI_BASE_URL = "http://ours/v2"\n')
    assert load_settings().openai_base_url == "http://ours/v2"


def test_what_means_nothing_is_found_wherever_it_is_said(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "stenoflow.toml").write_text("concurency = 3\nvoice = 'x'\nOPENAI_BASE_URL = 'x'\n[recordings]\n")
    (home / ".env").write_text("STENOFLOW_MODELL=x\nSTENOFLOW_MODEL=x\nELSE=x\nSTENOFLOW_ENGINE_KEY=x\n")
    monkeypatch.setenv("STENOFLOW_TAGS", "x")
    monkeypatch.setenv("STENOFLOW_FFMPEG", "x")
    found = {where: name for name, where in unknown_settings(Settings) if "TEST" not in name}
    assert found == {
        "the environment": "STENOFLOW_TAGS",
        str(home / ".env"): "STENOFLOW_MODELL",
        str(home / "stenoflow.toml"): "concurency",
    }


@pytest.mark.parametrize("name", ["sound", "answers", "tags.board.artifacts", "inboxes.meetings.recordings"])
@pytest.mark.parametrize("days", ["0", "-1", "nan", "inf", "1e9", "1e308"])
def test_days_that_nothing_is_kept_for_are_refused_by_name(name: str, days: str, home: Path) -> None:
    table, _, last = f"retention.{name}".rpartition(".")
    (home / "stenoflow.toml").write_text(f"[{table}]\n{last} = {days}\n")
    with pytest.raises(SettingsError, match=rf"\[retention\.{name}\]"):
        load_settings()
