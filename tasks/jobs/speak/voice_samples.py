"""Choosing a voice by ear: one line in several voices, and a page to hear them."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, StrictUndefined, Template

from stenoflow.storage.database.tables import Job
from stenoflow.tasks.artifacts.own_files import put_in_place, written_beside
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.errors import SettingsError
from stenoflow.tasks.jobs.speak.settings import SpeechSettings, VoiceOptions, speech_settings, voices_of
from stenoflow.tasks.settings import Settings

SAMPLE_LINE = (
    "Good morning. Three things were decided on Tuesday, the 14th of March: who writes the report, "
    "when it is due, and what it may cost. Are there any questions?"
)
"""What is said where no text is given: a statement, numbers, a list, a question."""

_UNSAFE = re.compile(r"[^\w.-]+")


@dataclass(frozen=True, slots=True)
class VoiceSample:
    """A voice that can be heard.

    Attributes:
        file: its sound's name, beside the page.
        cost: as people read it.
    """

    voice: str
    file: str
    content_type: str
    data: bytes
    cost: str

    @property
    def address(self) -> str:
        """The sound itself, so that the page is whole without its folder."""
        return f"data:{self.content_type};base64,{base64.b64encode(self.data).decode()}"


def voices_to_try(settings: Settings, context: AppContext, wanted: VoiceOptions) -> list[SpeechSettings]:
    """Return the settings for each voice: those that are named, else all of the model's.

    Raises:
        SettingsError: a voice is not there, or none is named and nobody knows which there are.
    """
    named = [voice.strip() for voice in (wanted.voice or "").split(",") if voice.strip()]
    voices = named or voices_of(settings, context.speech_models, wanted.model)
    if not voices:
        raise SettingsError("the model's voices are not known", "name some: --voice anna,otto")
    each = [
        speech_settings(settings, context.speech_models, replace(wanted, voice=voice))
        for voice in dict.fromkeys(voices)
    ]
    if any(one.format == "pcm" for one in each):
        raise SettingsError("a browser plays no bare samples", "choose another --format")
    return each


def file_name(voice: str, form: str) -> str:
    """Return a name for a voice's sound that every system takes."""
    return f"{_UNSAFE.sub('_', voice).strip('.') or 'voice'}.{form}"


def write_page(
    context: AppContext, folder: Path, line: str, job: Job, samples: Sequence[VoiceSample]
) -> Path:
    """Write a page on which all can be heard, whole in one file; it replaces nothing but such a page.

    Returns:
        Where it is.
    """
    path = folder / "index.html"
    page = _template().render(line=line, model=job.settings["model"], samples=samples)
    with written_beside(path) as temporary:
        temporary.write_bytes(page.encode())
        return put_in_place(context, temporary, path, path.suffix, job_id=job.id, source=None)


@cache
def _template() -> Template:
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    text = files(__package__).joinpath("voice_samples.html.jinja").read_text("utf-8")
    return environment.from_string(text)
