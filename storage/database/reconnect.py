"""Wait for a database server that restarts, and call blocking code so that it runs to its end."""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import stamina
from sqlalchemy.engine.interfaces import Dialect

from stenoflow.storage.errors import DatabaseError

TIMEOUT_S = 60.0
"""How long a server that was reached before is waited for."""


class OutageError(DatabaseError):
    """The server went away amid a transaction. Nobody can tell whether that was committed."""


class Backoff:
    """Waits for a server that was there before; one that was never reached is an error at once.

    Its connections share one patience, which begins when the first of them is refused: once that has run
    out, the rest of the program fails fast instead of waiting as long at each further step.
    """

    def __init__(self, *, reached: bool = False) -> None:
        """Begin; ``reached``: it was there before, for whoever has started this program."""
        self._reached = reached
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
        return now - self._away_since < TIMEOUT_S


P = ParamSpec("P")
T = TypeVar("T")

# Each of them waits as long for the server as `stenoflow.storage.database.reconnect` has patience.
_TRIES = 5


async def run_blocking(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a function in a thread and wait for its end, as `retry_outage` does.

    A cancellation meanwhile takes effect after it: a write to the ledger is never left half known.
    """
    here = contextvars.copy_context()
    ended = asyncio.get_running_loop().run_in_executor(
        None, lambda: here.run(lambda: retry_outage(function, *args, **kwargs))
    )
    try:
        return await asyncio.shield(ended)
    except asyncio.CancelledError:
        if not ended.done():
            await asyncio.wait([ended])
        raise


def retry_outage(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function, and again if the database's server went away amid a transaction of it.

    That may have been committed all the same, so the function must be one that can be said twice: an
    answer that was paid for is not to be lost because of a restart.

    Raises:
        BrokenOffError: it went away again and again.
    """
    for attempt in stamina.retry_context(on=OutageError, attempts=_TRIES, timeout=None, wait_max=2.0):
        with attempt:
            return function(*args, **kwargs)
    raise AssertionError("stamina ended without a result or an error")
