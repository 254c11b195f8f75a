"""Recording a call that brought no answer."""

from __future__ import annotations

from storage.database.ledger import Ledger
from storage.errors import StenoflowError
from tasks.audio_api.errors import CallError, UnknownOutcomeError
from tasks.settling import settle


async def end_unanswered(ledger: Ledger, attempt_id: str, error: BaseException, what: str) -> None:
    """Record a call without a result. One that was broken off here may have been charged too.

    Args:
        ledger: where.
        attempt_id: the call.
        error: what ended it.
        what: names it in the message, where it was broken off.
    """
    if isinstance(error, CallError) and error.charged == "no":
        await settle(ledger.refuse, attempt_id, error)
    elif isinstance(error, StenoflowError):
        await settle(ledger.lose, attempt_id, error)
    else:
        broken = UnknownOutcomeError(f"{what}: the call was broken off ({type(error).__name__})")
        await settle(ledger.lose, attempt_id, broken)
