"""Where the frozen home lives while it is used: always at the same address, which ids are made of."""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from stenoflow.flows.cli import main
from tests.flows.conftest import Printed

PLACE = Path("/tmp/stenoflow-frozen")  # noqa: S108 - whoever uses it holds its lock
DATA = Path(__file__).parent / "data"
_DUMP, _STORE = DATA / "home.sql", DATA / "store"
# Two pieces of a short text, asked for in a format that takes little room.
_SETTINGS = '[speech_models."tts-1"]\nmax_characters = 60\nformats = ["mp3", "opus", "aac", "flac"]\n'


@dataclass(frozen=True, slots=True)
class Home:
    """The program with its home in the place.

    Attributes:
        base_url: of the API that it asks.
    """

    base_url: str
    folder: Path = PLACE / "home"

    def run(self, *arguments: str) -> Printed:
        """Run a command line in this process, in the place, with no settings but these."""
        out, err = io.StringIO(), io.StringIO()
        with (
            pytest.MonkeyPatch.context() as patch,
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            for name in os.environ:
                if name.startswith(("STENOFLOW_", "OPENAI_")) and name != "STENOFLOW_FFMPEG":
                    patch.delenv(name)
            patch.setenv("STENOFLOW_HOME", str(self.folder))
            patch.setenv("STENOFLOW_PROVIDER", "openai")
            # What the defaults were when it was recorded.
            patch.setenv("STENOFLOW_MODEL", "whisper-1")
            patch.setenv("STENOFLOW_CHAT_MODEL", "gpt-4o-mini")
            patch.setenv("STENOFLOW_SPEECH_MODEL", "tts-1")
            patch.setenv("OPENAI_BASE_URL", self.base_url)
            patch.setenv("OPENAI_API_KEY", "sk-test-0123456789")
            patch.chdir(PLACE)
            patch.setattr("sys.argv", ["stenoflow", *arguments])
            with pytest.raises(SystemExit) as ended:
                main()
        code = ended.value.code
        return Printed(code if isinstance(code, int) else 0, out.getvalue(), err.getvalue())

    def files(self) -> dict[str, bytes]:
        """Return what is in the store."""
        return _files_in(self.folder / "store")

    @contextmanager
    def database(self) -> Iterator[sqlite3.Connection]:
        """Look into its database."""
        with contextlib.closing(sqlite3.connect(self.folder / "stenoflow.db")) as database:
            yield database

    def begin(self) -> None:
        """Make the home anew, with nothing in it but its settings; sources and outputs as well."""
        for child in PLACE.iterdir():
            shutil.rmtree(child)
        shutil.copytree(DATA / "sources", PLACE / "sources")
        (PLACE / "out").mkdir()
        self.folder.mkdir()
        (self.folder / "stenoflow.toml").write_text(_SETTINGS, "utf-8")

    def load(self) -> None:
        """Make the home anew, as it was recorded."""
        self.begin()
        shutil.copytree(_STORE, self.folder / "store")
        with self.database() as database:
            database.executescript(_DUMP.read_text("utf-8"))

    def dump(self) -> None:
        """Record the home as it is, without the name of this machine."""
        with self.database() as database:
            database.execute("UPDATE runs SET host = 'somewhere'")
            database.commit()
            _DUMP.write_text("\n".join(database.iterdump()) + "\n", "utf-8")
        shutil.rmtree(_STORE, ignore_errors=True)
        for name, data in self.files().items():
            (_STORE / name).parent.mkdir(parents=True, exist_ok=True)
            (_STORE / name).write_bytes(data)


@contextmanager
def the_place() -> Iterator[None]:
    """Hold the place, which others wait for; it is gone at the end."""
    handle = _locked()
    try:
        yield
    finally:
        shutil.rmtree(PLACE)
        os.close(handle)


def _files_in(folder: Path) -> dict[str, bytes]:
    """Return the files below a folder, by path."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def _locked() -> int:
    while True:
        PLACE.mkdir(exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            handle = os.open(PLACE, os.O_RDONLY)
            fcntl.flock(handle, fcntl.LOCK_EX)
            with contextlib.suppress(FileNotFoundError):
                # Whoever held it before may have taken it away.
                if os.path.samestat(os.fstat(handle), PLACE.stat()):
                    return handle
            os.close(handle)
