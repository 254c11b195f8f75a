from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

import pytest

_ROOT = Path(__file__).parents[1]
_ROOMS = ("flows", "tasks", "storage", "migrations")
_SOURCES = {".py", ".mako", ".toml", ".jinja", ".js", ".css", ".txt", ".opus"}


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ZipFile]:
    build = pytest.importorskip("hatchling.build")
    folder = tmp_path_factory.mktemp("wheel")
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(_ROOT)
        name = build.build_wheel(str(folder))
    with ZipFile(folder / name) as wheel:
        yield wheel


def test_a_wheel_has_everything_under_one_name(packed: ZipFile) -> None:
    tops = {name.split("/")[0] for name in packed.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"stenoflow"}


def test_a_wheel_has_every_module_and_data_file_and_nothing_else(packed: ZipFile) -> None:
    files = (path for room in _ROOMS for path in (_ROOT / room).rglob("*") if path.suffix in _SOURCES)
    expected = {f"stenoflow/{path.relative_to(_ROOT).as_posix()}" for path in files}
    expected = expected - {"stenoflow/flows/package.py"} | {"stenoflow/__init__.py"}
    assert {name for name in packed.namelist() if name.startswith("stenoflow/")} == expected


def test_a_wheel_installs_the_command(packed: ZipFile) -> None:
    (entry_points,) = (name for name in packed.namelist() if name.endswith("/entry_points.txt"))
    assert "stenoflow = stenoflow.flows.cli:main" in packed.read(entry_points).decode("utf-8")


@pytest.mark.slow
def test_twine_finds_nothing_wrong_with_wheel_and_sdist(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = pytest.importorskip("hatchling.build")
    pytest.importorskip("twine")
    monkeypatch.chdir(_ROOT)
    built = [tmp_path / make(str(tmp_path)) for make in (build.build_wheel, build.build_sdist)]
    checked = subprocess.run(
        [sys.executable, "-m", "twine", "check", "--strict", *map(str, built)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout


def test_a_tag_publishes_the_version_that_it_names() -> None:
    workflow = (_ROOT / ".github" / "workflows" / "publish.yml").read_text("utf-8")
    assert 'test -e "dist/stenoflow-${GITHUB_REF_NAME#v}.tar.gz"' in workflow
    assert "id-token: write" in workflow


@pytest.mark.parametrize(("tag", "version"), [("v9.8.7", "9.8.7"), (None, "0.1.dev0")])
def test_a_tag_is_the_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tag: str | None, version: str
) -> None:
    build = pytest.importorskip("hatchling.build")
    pytest.importorskip("hatch_vcs")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(_ROOT / name, tmp_path)
    shutil.copytree(_ROOT / "storage", tmp_path / "flows")
    (tmp_path / "flows" / "package.py").touch()
    monkeypatch.chdir(tmp_path)
    # As an image has it that is not told its version.
    monkeypatch.setenv("SETUPTOOLS_SCM_PRETEND_VERSION", "")
    monkeypatch.delenv("GIT_DIR", raising=False)
    if tag is not None:
        git = shutil.which("git")
        if git is None:
            pytest.skip("there is no Git")
        said = ["-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "-qm", "a release"]
        for arguments in (["init", "-q"], ["add", "."], said, ["tag", tag]):
            subprocess.run([git, *arguments], check=True)
    assert build.build_wheel(str(tmp_path / "dist")).startswith(f"stenoflow-{version}-")
