from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from stenoflow.tasks.errors import SettingsError
from stenoflow.tasks.media.ffmpeg import VARIABLE, Ffmpeg, examine, find_ffmpeg


def script(path: Path, body: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder on the PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv(VARIABLE, raising=False)
    return tmp_path


@pytest.mark.usefixtures("folder")
def test_without_one_on_the_path_the_bundled_one_is_used(bundled: Ffmpeg) -> None:
    assert find_ffmpeg() == bundled


def test_a_fit_one_on_the_path_comes_first(folder: Path, bundled: Ffmpeg) -> None:
    (folder / "ffmpeg").symlink_to(bundled.path)
    assert find_ffmpeg() == Ffmpeg(str(folder / "ffmpeg"), bundled.version, "PATH")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("echo 'ffmpeg version 4.2.2-static Copyright'", "older than 4.4"),
        ("echo 'ffmpeg version n3.4 Copyright'", "older than 4.4"),
        ("echo 'avconv version 12'", "does not call itself ffmpeg"),
        ("echo no libraries >&2; exit 127", "no libraries"),
        ("exit 3", "exit status 3"),
        ("[ $1 = -version ] && echo 'ffmpeg version 7.1'; true", "cannot decode mp3, aac, flac"),
    ],
)
def test_an_unfit_one_on_the_path_is_passed_over(
    folder: Path, bundled: Ffmpeg, body: str, reason: str
) -> None:
    unfit = script(folder / "ffmpeg", body)
    assert find_ffmpeg() == bundled
    assert reason in examine(str(unfit)).unfit


def test_one_that_lacks_an_encoder_is_unfit(folder: Path, bundled: Ffmpeg) -> None:
    lacks = 'case "$*" in *libmp3lame*) echo "Unknown encoder" >&2; exit 1;; esac'
    assert (
        "Unknown encoder"
        in examine(str(script(folder / "ffmpeg", f'{lacks}\nexec {bundled.path} "$@"'))).unfit
    )


def test_one_that_loses_samples_is_unfit(folder: Path, bundled: Ffmpeg) -> None:
    loses = f'case "$*" in *pipe:1*) exec {bundled.path} "$@" | /usr/bin/head -c 2000;; esac'
    path = script(folder / "ffmpeg", f'{loses.replace("exec ", "")}\nexec {bundled.path} "$@"')
    assert "of 1600 samples" in examine(str(path)).unfit


def test_a_build_without_a_number_is_tried(folder: Path, bundled: Ffmpeg) -> None:
    nightly = 'if [ "$1" = -version ]; then echo "ffmpeg version N-109542-g1bf1ff8f32 Copyright"; exit; fi'
    path = script(folder / "ffmpeg", f'{nightly}\nexec {bundled.path} "$@"')
    assert find_ffmpeg() == Ffmpeg(str(path), "N-109542-g1bf1ff8f32", "PATH")


def test_the_named_one_is_used_before_all_others(
    folder: Path, bundled: Ffmpeg, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "ffmpeg").symlink_to(bundled.path)
    named = shutil.copy(bundled.path, folder / "mine")
    monkeypatch.setenv(VARIABLE, str(named))
    assert find_ffmpeg() == Ffmpeg(str(named), bundled.version, VARIABLE)


def test_the_named_one_is_not_replaced_where_it_is_unfit(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(folder / "gone"))
    with pytest.raises(SettingsError, match=r"gone cannot be used: .*No such file"):
        find_ffmpeg()


def test_none_at_all_says_what_to_do(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(folder / "gone"))
    with pytest.raises(SettingsError, match="no fit ffmpeg") as caught:
        find_ffmpeg()
    assert "install ffmpeg 4.4 or newer" in caught.value.hint
