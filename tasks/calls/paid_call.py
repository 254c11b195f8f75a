"""The paid call."""

from __future__ import annotations

from stenoflow.storage.database.ledger import Ledger
from stenoflow.storage.database.reconnect import run_blocking
from stenoflow.storage.errors import StenoflowError
from stenoflow.tasks.api.errors import CallError, UnknownOutcomeError


async def settle_error(ledger: Ledger, attempt_id: str, error: BaseException, what: str) -> None:
    """Record a call without a result. One that was broken off here may have been charged too.

    Args:
        ledger: where.
        attempt_id: the call.
        error: what ended it.
        what: names it in the message, where it was broken off.
    """
    if isinstance(error, CallError) and error.charged == "no":
        await run_blocking(ledger.refuse, attempt_id, error)
    elif isinstance(error, StenoflowError):
        await run_blocking(ledger.mark_unknown, attempt_id, error)
    else:
        broken = UnknownOutcomeError(f"{what}: the call was broken off ({type(error).__name__})")
        await run_blocking(ledger.mark_unknown, attempt_id, broken)
