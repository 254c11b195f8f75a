"""Telling the receiver that the settings name what happens in a run. It never delays or fails a job."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import date

from flows.announcing import Announcer
from flows.outcome import Outcome
from flows.running import Run
from storage.database.clock import utc_now
from storage.errors import StenoflowError
from tasks.hearing import provider_name
from tasks.redaction import Redaction
from tasks.settings import Settings
from tasks.webhooks.courier import Courier
from tasks.webhooks.sending import open_sender

_log = logging.getLogger(__name__)
# What the end of a run waits for events that the receiver has not taken.
_PATIENCE_S = 10.0


class Notifier:
    """Tells what happens in one run; belongs to its event loop. Without a courier it tells nobody."""

    def __init__(self, run: Run, courier: Courier | None = None) -> None:
        settings = run.workshop.settings
        self._run = run
        self._courier = courier
        self._announcer = Announcer(run.run_id, provider_name(settings), _redaction(settings))
        self._models: dict[str, asyncio.Task[None]] = {}

    async def follow(self, model: str, work: Awaitable[Outcome]) -> Outcome:
        """See a recording's work through and tell of its outcome, which is returned.

        Args:
            model: what it is heard by; told of once, if it is to be shut down.
            work: on the recording.
        """
        if self._courier is None:
            return await work
        if model not in self._models:
            self._models[model] = asyncio.create_task(self._check(model, self._courier))
        outcome = await work
        is_stopped = self._run.transcriber.gate.is_stopped
        for event in self._announcer.of_outcome(outcome, utc_now(), is_stopped=is_stopped):
            self._courier.take(event)
        return outcome

    async def close(self) -> None:
        """Wait for what is under way, for 10 s at most."""
        if self._courier is None:
            return
        ends_at = asyncio.get_running_loop().time() + _PATIENCE_S
        checks = list(self._models.values())
        if checks:
            await asyncio.wait(checks, timeout=_PATIENCE_S)
        for check in checks:
            check.cancel()
        await self._courier.close(max(0.0, ends_at - asyncio.get_running_loop().time()))

    async def _check(self, model: str, courier: Courier) -> None:
        for event in self._announcer.of_model(model, await self._shutdown(model), utc_now()):
            courier.take(event)

    async def _shutdown(self, model: str) -> date | None:
        """Return a model's last day: the server's word, else that of the table of models."""
        known = self._run.workshop.models.get(model).shutdown
        if self._run.workshop.settings.is_embedded:
            return known
        try:
            listed = await self._run.transcriber.api.models()
        except StenoflowError as error:
            _log.info("no list of models: %s", error.kind)
            return known
        return next((each.shutdown for each in listed if each.name == model and each.shutdown), known)


@asynccontextmanager
async def notifying(run: Run, say: Callable[[str], object] | None = None) -> AsyncIterator[Notifier]:
    """Open what tells of a run; ``say`` is told what was not delivered, by default stderr is."""
    endpoint = run.workshop.settings.webhook
    if endpoint is None:
        yield Notifier(run)
        return
    async with open_sender(endpoint) as sender:
        notifier = Notifier(run, Courier(sender.send, say or _to_stderr))
        try:
            yield notifier
        finally:
            await notifier.close()


def _redaction(settings: Settings) -> Redaction:
    keys = [key.get_secret_value() for key in (settings.openai_api_key, settings.webhook_secret) if key]
    return Redaction([*keys, settings.webhook_url])


def _to_stderr(text: str) -> None:
    sys.stderr.write(f"{text}\n")
