"""Minutes read aloud: the text that is spoken, and the sound as an artifact of the digest."""

from __future__ import annotations

from storage.database.states import Activity
from storage.database.tables import Artifact, Job
from tasks.digest.shown import shown
from tasks.digest.work import Answers, Work
from tasks.minutes.writing import render_spoken
from tasks.settling import settle
from tasks.speaking.job import cut
from tasks.speaking.settings import SpeechSettings
from tasks.speaking.speaker import Speaker, stored_audio
from tasks.speaking.speaking import Spoken, speak_text, store_whole
from tasks.speaking.text import clean
from tasks.workshop import Workshop

_NAME = "digest"


async def speak_minutes(speaker: Speaker, job: Job, work: Work) -> Spoken | None:
    """Have the minutes of a digest spoken, if that was asked for and they are whole.

    Raises:
        StenoflowError: they are not spoken whole; what there is of it is kept.
    """
    text = await settle(_text, speaker.workshop, job, work)
    if text is None or work.settings.speech is None:
        return None
    settings = SpeechSettings.from_dict(work.settings.speech)
    return await speak_text(speaker, job.id, text, settings, first_index=len(work.steps), name=_NAME)


def spoken_before(workshop: Workshop, job: Job, work: Work) -> Artifact | None:
    """Put the sound together again from its stored pieces; None where some are not there. Calls nobody."""
    text = _text(workshop, job, work)
    pieces = [each for each in workshop.catalog.segments(job.id) if each.activity == Activity.SPEAKING]
    if text is None or work.settings.speech is None or not pieces:
        return None
    found = [stored_audio(workshop, piece.work_key) for piece in pieces]
    stored = [each for each in found if each is not None]
    if len(stored) < len(found):
        return None
    settings = SpeechSettings.from_dict(work.settings.speech)
    script = cut(workshop, job.id, clean(text), settings, len(work.steps))
    audio = store_whole(workshop, job.id, script, stored, _NAME)
    return Spoken(job.id, audio, f"{_NAME}.{settings.format}", len(stored)).artifact(workshop)


def _text(workshop: Workshop, job: Job, work: Work) -> str | None:
    """Return what is read aloud; None where it is not to be, or not yet: it would be another text later."""
    if work.settings.speech is None:
        return None
    answers = Answers.stored(workshop, work)
    return render_spoken(shown(workshop, job, answers)) if answers.is_complete else None
