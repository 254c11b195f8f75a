"""What to do while PostgreSQL is away: restarted, failed over, out of memory.

Two things can go wrong, and each has one place that mends it. No connection is to be had: `Patience`
waits for the server, below everything else. A transaction is broken off: whoever called for it says it
again, which `tasks.settling` does; nobody here can, for a transaction is what its caller makes of it.
"""

from __future__ import annotations

import time
from typing import Any

import stamina
from sqlalchemy.engine.interfaces import Dialect

from storage.errors import DatabaseError

PATIENCE_S = 60.0
"""How long a server that was reached before is waited for."""


class BrokenOffError(DatabaseError):
    """The server went away amid a transaction. Nobody can tell whether that was committed."""


class Patience:
    """Waits for a server that was there before; one that was never reached is an error at once.

    Its connections share one patience, which begins when the first of them is refused: once that has run
    out, the rest of the program fails fast instead of waiting as long at each further step.
    """

    def __init__(self) -> None:
        self._reached = False
        self._away_since: float | None = None

    def connect(self, dialect: Dialect, _record: object, args: list[Any], options: dict[str, Any]) -> Any:
        """Connect; SQLAlchemy's event ``do_connect``. Raises what the driver raises."""
        # Refused, timed out, starting up, too many clients: the driver has one error for all of them.
        away = dialect.loaded_dbapi.OperationalError
        for attempt in stamina.retry_context(
            on=lambda error: isinstance(error, away) and self._may_come_back(),
            attempts=None,
            timeout=None,
            wait_initial=0.1,
            wait_max=2.0,
        ):
            with attempt:
                connection = dialect.connect(*args, **options)
        self._reached, self._away_since = True, None
        return connection

    def _may_come_back(self) -> bool:
        if not self._reached:
            return False
        now = time.monotonic()
        if self._away_since is None:
            self._away_since = now
        return now - self._away_since < PATIENCE_S
