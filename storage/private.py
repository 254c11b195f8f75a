"""Folders that only their owner may enter: the home, and what is stored in it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile

PRIVATE_FOLDER = 0o700
PRIVATE_FILE = 0o600
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
# What we keep in a home. Whatever else lies there is not ours to change.
_OURS = (
    *("stenoflow.db*", "store", "work", "logs", "prefect", "uploads", "models", "dashboard.secret"),
    *("stenoflow.toml", ".env", "dashboard.url", "desk.url", "offers.json"),
)


def is_private(folder: Path) -> bool:
    """Tell whether nobody but its owner may enter a folder."""
    try:
        return not folder.stat().st_mode & _OTHERS
    except OSError:
        return False


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it, each as private as the one around it."""
    if folder.is_dir():
        return
    if folder.parent != folder:
        make_folder(folder.parent)
    folder.mkdir(PRIVATE_FOLDER if is_private(folder.parent) else 0o777, exist_ok=True)


def make_private(home: Path) -> None:
    """Make the home for its owner alone; of one that is there, take away what others may do in it.

    A folder that belongs to somebody else, or that others use as well, is left as it is.
    """
    # Where it cannot be made or changed, whoever needs it says so.
    with suppress(OSError):
        if not home.exists():
            home.parent.mkdir(parents=True, exist_ok=True)
            home.mkdir(PRIVATE_FOLDER)
        elif not is_private(home) and _is_ours(home):
            for path in _kept(home):
                _tighten(path)
            # Last: broken off before, it is begun anew by the next start.
            home.chmod(stat.S_IMODE(home.stat().st_mode) & ~_OTHERS)


def open_private(path: str, flags: int) -> int:
    """Open a file as an ``opener`` does; one that is made, only its owner may read."""
    return os.open(path, flags, PRIVATE_FILE)


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Temporary files are made with mode 0600.
    with NamedTemporaryFile(
        "w", dir=path.parent, prefix=f".{path.name}.", encoding="utf-8", delete=False
    ) as file:
        file.write(text)
    Path(file.name).replace(path)


def _is_ours(home: Path) -> bool:
    """Tell whether a folder and all in it belong to this user, and it is no folder for all, such as /tmp."""
    found = home.stat()
    if (
        found.st_uid != os.geteuid()
        or found.st_mode & stat.S_ISVTX
        or home.resolve() == Path.home().resolve()
    ):
        return False
    return all(child.lstat().st_uid == found.st_uid for child in home.iterdir())


def _kept(home: Path) -> Iterator[Path]:
    """Yield what is kept in a home, down to the last file; links are not followed."""
    for pattern in _OURS:
        for top in home.glob(pattern):
            yield top
            for folder, folders, files in os.walk(top) if not top.is_symlink() else ():
                yield from (Path(folder) / name for name in (*folders, *files))


def _tighten(path: Path) -> None:
    found = path.lstat()
    is_plain = stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)
    if is_plain and found.st_uid == os.geteuid() and found.st_mode & _OTHERS:
        path.chmod(stat.S_IMODE(found.st_mode) & ~_OTHERS)
