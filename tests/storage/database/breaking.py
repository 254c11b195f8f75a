"""Breaking a transaction of PostgreSQL off at its end, before or after the server took it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from threading import current_thread

from sqlalchemy import Connection, Engine, event, text


class Moment(Enum):
    """When the connection breaks."""

    BEFORE_COMMIT = "nothing of it is stored"
    BEHIND_COMMIT = "it is stored, and its acknowledgement is lost"


@contextmanager
def breaking(
    target: Engine | type[Engine], moment: Moment, *, every: int = 1, times: int = 1, threads: str = ""
) -> Iterator[list[int]]:
    """Break every so many-th commit of the block off, so many times.

    Args:
        target: one engine, or all there are.
        moment: when.
        every: 3: the third, the sixth and so on.
        times: how many at most.
        threads: the beginning of the names of the threads whose commits count.

    Yields:
        The numbers of the commits that were broken off so far.
    """
    commits, broken = 0, list[int]()

    def on_commit(connection: Connection) -> None:
        nonlocal commits
        if connection.dialect.name != "postgresql" or not current_thread().name.startswith(threads):
            return
        commits += 1
        if commits % every or len(broken) >= times:
            return
        broken.append(commits)
        if moment is Moment.BEHIND_COMMIT:
            connection.connection.dbapi_connection.commit()  # type: ignore[union-attr]
        # Its backend ends, as at an immediate stop; what comes next is the driver's own error.
        connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

    event.listen(target, "commit", on_commit)
    try:
        yield broken
    finally:
        event.remove(target, "commit", on_commit)
