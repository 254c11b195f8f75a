"""A desk to make paid calls of every kind from, and what the API's own bill says of them."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from stenoflow.storage.database.catalog import SegmentPlan
from stenoflow.storage.database.states import Activity
from stenoflow.storage.database.tables import Attempt, Segment
from stenoflow.tasks.api.chat import ChatRequest, Message
from stenoflow.tasks.api.limiter import Limiter
from stenoflow.tasks.api.requests import TranscriptionRequest
from stenoflow.tasks.api.speech import SpeechRequest
from stenoflow.tasks.api.types import Target
from stenoflow.tasks.assembly.job_settings import JobSettings
from stenoflow.tasks.calls.chat import ChatCall
from stenoflow.tasks.calls.paid_call import Caller, PaidCall
from stenoflow.tasks.calls.provider import open_api
from stenoflow.tasks.calls.speak import SpeakCall
from stenoflow.tasks.calls.transcribe import TranscribeCall
from stenoflow.tasks.context import AppContext, open_context
from stenoflow.tasks.jobs.transcribe.run import LanguageVote
from stenoflow.tasks.jobs.translate.run import TranslateCall
from stenoflow.tasks.settings import load_settings
from tests.servers.audio_api import AudioApiServer, fixed_text
from tests.storage.database import rows

KINDS = ("transcription", "translation", "translation by chat", "chat", "speech")

_SECONDS = 10
_SETTINGS = JobSettings("openai", "whisper-1", "verbose_json", 60_000, 6_000)
_BY_CHAT = JobSettings(
    "openai", "whisper-1", "verbose_json", 60_000, 6_000, translate=True, translator="gpt-4o-mini"
)
_GERMAN = {"task": "transcribe", "language": "german", "text": "Guten Tag.", "segments": []}
_ENGLISH = json.dumps({"utterances": [{"line": 1, "text": "Good day."}]})


@dataclass
class Desk:
    """Makes calls of each kind, each for a segment of its own; the API behaves as its script says."""

    context: AppContext
    server: AudioApiServer
    sound: Path
    numbers: Iterator[int] = field(default_factory=count)

    def segment(
        self, cache_key: str, *, activity: Activity = Activity.TRANSCRIPTION, budget_micro: int | None = None
    ) -> Segment:
        """Store a segment of ten seconds with speech in its first five, in a job of its own."""
        catalog = self.context.catalog
        source = f"file:///talks/{next(self.numbers)}.mp3"
        job_id = rows.open_job(catalog, segments=0, source=source, budget_micro=budget_micro)
        plan = SegmentPlan(0, 0, 16_000 * _SECONDS, forced=False, speech=((0, 5_000),), activity=activity)
        catalog.add_segment(job_id, plan, cache_key)
        return catalog.segment(job_id, 0)

    def call(self, kind: str, *, budget_micro: int | None = None, text: str | None = None) -> PaidCall[Any]:
        """Return a call that nobody has made; ``text`` is what is said, the same makes the same call."""
        text = text or f"This is call number {next(self.numbers)}."
        key = rows.digest(f"{kind}: {text}")
        if kind == "chat":
            return self._chat(text, self.segment(key, activity=Activity.CHAT, budget_micro=budget_micro))
        if kind == "speech":
            return self._speech(text, self.segment(key, activity=Activity.SPEECH, budget_micro=budget_micro))
        segment = self.segment(key, budget_micro=budget_micro)
        if kind == "translation by chat":
            self.context.ledger.put_result(key, json.dumps(_GERMAN))
            return TranslateCall.of(self.context, segment, _BY_CHAT)
        is_translation = kind == "translation"
        return TranscribeCall(
            context=self.context,
            job_id=segment.job_id,
            index=0,
            cache_key=_SETTINGS.translation_key(key) if is_translation else key,
            target=Target("openai", "whisper-1"),
            activity=Activity.TRANSLATION if is_translation else Activity.TRANSCRIPTION,
            segment=segment,
            request=TranscriptionRequest("whisper-1"),
            sound=self.sound,
            languages=LanguageVote(self.context, segment.job_id, _SETTINGS),
        )

    def _chat(self, text: str, segment: Segment) -> ChatCall:
        return ChatCall(
            context=self.context,
            job_id=segment.job_id,
            index=0,
            cache_key=segment.cache_key,
            target=Target("openai", "gpt-4o-mini"),
            request=ChatRequest("gpt-4o-mini", (Message("user", text),), 50),
            is_usable=lambda answer: bool(answer.text),
        )

    def _speech(self, text: str, segment: Segment) -> SpeakCall:
        return SpeakCall(
            context=self.context,
            job_id=segment.job_id,
            index=0,
            cache_key=segment.cache_key,
            target=Target("openai", "tts-1"),
            request=SpeechRequest("tts-1", text, "alloy", "wav"),
        )

    def reset(self) -> None:
        """Let the API behave, and forget what it was asked."""
        self.server.unscript()
        self.server.mode, self.server.delay_s, self.server.peak = "ok", 0.0, 0
        self.server.recogniser = self.server.translator = fixed_text
        self.server.chat.chatter = lambda _: _ENGLISH
        for bill in (self.server.calls, self.server.chat.chats, self.server.speech.calls):
            bill.clear()

    def wait_for_a_request(self) -> None:
        """Wait until the API was asked for something; blocks."""
        while not self.billed:
            time.sleep(0.01)

    @property
    def billed(self) -> list[bool]:
        """Say of each request that reached the API whether it was charged for."""
        everything: list[Any] = [*self.server.calls, *self.server.chat.chats, *self.server.speech.calls]
        return [call.charged for call in everything]

    def state(self, call: PaidCall[Any]) -> str:
        """Return the state of a call's segment."""
        return self.context.catalog.segment(call.job_id, call.index).state

    def attempts(self, *calls: PaidCall[Any]) -> Sequence[Attempt]:
        """Return the attempts of the jobs of some calls."""
        return [each for call in calls for each in self.context.reports.attempts(call.job_id)]

    def charges(self, call: PaidCall[Any]) -> list[str]:
        """Return the kinds of charges of a call's job, in order."""
        return [charge.kind for charge in self.context.reports.charges(call.job_id)]


@contextmanager
def open_desk(folder: Path, server: AudioApiServer) -> Iterator[Desk]:
    """Open a home with its database and store, and a run that is alive in it."""
    sound = folder / "sound.mp3"
    # The server does not mind that it is no MP3.
    sound.write_bytes(bytes(range(256)) * 320)
    settings = load_settings(
        home=folder / "home", provider="openai", OPENAI_BASE_URL=server.base_url, OPENAI_API_KEY="sk-test"
    )
    with open_context(settings) as context, context.leases.held(context.run_id):
        yield Desk(context, server, sound)


@contextmanager
def other_run(desk: Desk) -> Iterator[AppContext]:
    """Open another run that is alive, in the same home."""
    with open_context(desk.context.settings) as context, context.leases.held(context.run_id):
        yield context


async def obtain(
    desk: Desk, *calls: PaidCall[Any], at_once: int = 4, limiter: Limiter | None = None
) -> list[BaseException | None]:
    """Obtain some calls side by side; returns what each raised."""
    context = desk.context
    async with open_api(context.settings, context.models) as api:
        caller = Caller(context, api, limiter or Limiter(at_once))
        return await asyncio.gather(*map(caller.obtain, calls), return_exceptions=True)
